// Package ext4 writes a populated ext4 filesystem in one pass, as whole 512 KiB chunks that are each handed
// over exactly once, and reads such a filesystem back.
//
// It needs no privileges and no seekable output, so an uploader can send every chunk as it comes. The bytes
// depend on what is stored and on Options alone, never on timing.
//
// # Where things are
//
// No address depends on the size of the filesystem, so a larger volume keeps the placement of a smaller one.
// Sixteen groups of 128 MiB form a flex group, and each flex group has its metadata at its own start:
//
//	group 0   window | bitmaps | inode tables of groups 0..15 | journal (256 MiB) | regions …
//	group 1   window | …
//	group 16           bitmaps | inode tables of groups 16..31 | regions …
//
// A window of 4.5 MiB at the start of group 0, group 1 and the groups whose number is a power of 3, 5 or 7
// holds a superblock, the group descriptors and the room they need to grow online to 16 TiB. A flex group that
// is cut short by the end of the filesystem keeps the places of its missing groups free.
//
// Everything else belongs to regions. A Region owns whole chunks of blocks and whole chunks of inodes, and holds no
// address of another one, so that a filesystem can be written as the child of an earlier one (Options.Previous):
// KeepRegion leaves a region where it is, unread and unwritten, and what others left is free for new ones.
// What is read first of a region can have chunks of its own in it (Region.StoreHot).
//
// # Limits
//
// A directory has at most 1,014 MiB of names, which is what an index of two levels reaches; a file's extended
// attributes are those that fit its inode and one block.
package ext4
