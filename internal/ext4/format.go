package ext4

import "encoding/binary"

// The names below follow Linux's fs/ext4/ext4.h, where each of these values is defined.
const (
	superMagic   = 0xEF53
	journalMagic = 0xC03B3998
	extentMagic  = 0xF30A
	xattrMagic   = 0xEA020000

	compatHasJournal  = 0x4
	compatExtAttr     = 0x8
	compatResizeInode = 0x10
	compatDirIndex    = 0x20

	incompatFiletype = 0x2
	incompatRecover  = 0x4
	incompatExtents  = 0x40
	incompatFlexBG   = 0x200

	roCompatSparseSuper = 0x1
	roCompatLargeFile   = 0x2
	roCompatHugeFile    = 0x8
	roCompatGDTChecksum = 0x10 // GDT_CSUM, which e2fsprogs call uninit_bg
	roCompatDirNlink    = 0x20
	roCompatExtraIsize  = 0x40

	groupInodesZeroed = 0x4 // EXT4_BG_INODE_ZEROED

	flagIndex   = 0x1000
	flagExtents = 0x80000

	rootInode      = 2
	resizeInode    = 7
	journalInode   = 8
	lostFoundInode = 11
	// anchorInode is the parent of every region's root, a constant, so that ".." of a region does not depend
	// on what else is in the filesystem.
	anchorInode = 12

	// superblockOffset is where the primary superblock starts in block 0; backups start at their block.
	superblockOffset = 1024
	superblockSize   = 1024

	extraInodeSize = 32
	// mappingOffset and mappingSize delimit i_block in an inode: the extent tree's root, a device number or a
	// short symbolic link.
	mappingOffset = 40
	mappingSize   = 60

	// maxFileLinks is EXT4_LINK_MAX, the limit for everything but directories.
	maxFileLinks = 65000
	// maxDirectoryLinks is the largest link count of a directory; above it, dir_nlink stores 1.
	maxDirectoryLinks = 64998
	maxNameLength     = 255
)

var le = binary.LittleEndian
