// Package layer turns one layer blob into the tree that containerd would have unpacked from it, while the
// blob streams by: nothing is spooled, and memory is needed for names and attributes only.
//
// The judge is containerd's applier for the overlayfs snapshotter. What it does, and where (containerd
// v2.4.2; continuity is github.com/containerd/continuity v0.5.0):
//
//   - Compression is told by the blob's first bytes, never by its media type: gzip of one or many members,
//     zstd, or none; an empty blob is an empty layer. pkg/archive/compression/compression.go, DecompressStream.
//     The layers' media types that say "no compression" are the one exception there; Larder looks at all blobs.
//   - Bytes behind the last gzip member or zstd frame are an error, zeros too, as for containerd where it inflates
//     by itself; skippable frames are not. eStargz's table of contents and landmarks are files like others.
//   - The DiffID is over the whole uncompressed stream, with what follows the tar's end marker.
//     core/diff/apply/apply.go, Apply ("Read any trailing data").
//   - Above the bottom layer ".wh.x" becomes a character device 0:0 named x, without permission bits and owned
//     as the entry says, and fails where this layer wrote x before; ".wh..wh..opq" becomes
//     trusted.overlay.opaque=y on its directory. pkg/archive/tar_opts_linux.go, OverlayConvertWhiteout.
//   - The bottom layer is unpacked without overlayfs: ".wh.x" removes x, and ".wh..wh..opq" removes what its
//     directory holds without an entry of its own. core/diff/apply/apply_linux.go, apply; pkg/archive/tar.go,
//     applyNaive. A whiteout of "", "." or ".." is invalid: validateWhiteout.
//   - Names are cleaned; an entry for the root is ignored; the parent path goes through the layer's own
//     symbolic links, bounded to the root. tar.go, applyNaive; continuity fs/path.go, RootPath.
//   - Missing parents take mode, owner, times and attributes from the nearest lower layer that has the
//     directory, else 0755 root. A file or a whiteout there ends the search. tar.go, mkparent;
//     tar_unix.go, copyDirInfo and copyUpXAttrs. See [Diff.Inherit], and [Reinherit] for a layer that is on an
//     earlier volume.
//   - The root of a layer is 0755 and owned as the layer below's root, so always by root, since no entry can
//     change it. plugins/snapshots/overlay/overlay.go, prepareDirectory and createSnapshot.
//   - An entry replaces what has its name; only a directory over a directory is merged. tar.go, applyNaive.
//   - A hard link's target is found in this layer alone, and not followed if it is a symbolic link; the
//     entry's owner, mode, times and attributes then apply to the shared inode. tar.go, createTarFile and
//     hardlinkRootPath. That lchown makes the kernel drop the file's security.capability, so an entry has to
//     bring it again (measured on Linux: listxattr is empty after lchown through the second name).
//   - Only PAX records "SCHILY.xattr." carry attributes, not LIBARCHIVE's. trusted.* is dropped, user.* is
//     kept on files and directories only, and what the kernel refuses as not supported is dropped. tar.go,
//     createTarFile; tar_unix.go, setxattr. The mode is set after an ACL, and so changes it.
//   - What is made in a directory with a default ACL has it as its access ACL, directories as their default one too,
//     before its own attributes are set: files, devices, pipes, implicit parents and whiteouts, but no symbolic
//     links. An implicit parent has its directory's until the lower layer's replaces it, and what is made in it
//     then gets that. The umask plays no part, since a default ACL takes its place and chmod follows. Linux
//     fs/posix_acl.c, posix_acl_create and posix_acl_chmod; tar_unix.go, mkdir, openFile and copyUpXAttrs.
//   - Times before 1970 or after 2262 become 1970; an access time is never older than the modification time.
//     time.go, boundTime and latestTime. Directories get theirs at the very end, by name and through symbolic
//     links. tar.go, applyNaive.
//   - PAX global headers are not files, but their names are names: parents are made, and what was there goes.
//     Unknown types are an error. tar.go, applyNaive and createTarFile.
//
// # Names that lead out of the layer
//
// containerd clamps "/x" and "../x" to the root of the layer. Larder takes "x", "./x" and "/x" alike, since
// real images carry all three and they mean one file. A name, or a hard link's target, that climbs above the
// root by ".." is refused with an [EntryError]: no tool writes one by accident. The targets of symbolic links
// are free text, as they are to the kernel; following them while unpacking never leaves the layer.
//
// # Where Larder differs on purpose
//
//   - security.selinux is dropped: the volume's own label is the only one that a node should see.
//   - Owners of -1 and beyond 32 bits, and device numbers beyond the kernel's 12 and 20 bits, are refused.
//   - A layer that unpacks to more than the volume's size is refused, and so is a zstd window of more than 128 MiB,
//     where containerd takes 512 MiB.
//   - Old GNU sparse files are taken, with their holes as zeros; containerd takes PAX ones only.
//   - What containerd stamps with the time of unpacking is stamped 1970 (whiteouts, the root, implicit parents
//     without a lower one) or keeps the lower layer's time (other implicit parents, whose copied time containerd
//     loses by writing into them), so that the same layers always give the same bytes.
//   - containerd remembers a bottom layer's entries by path where an opaque marker asks for them, Larder by file: a
//     directory that was an entry, was removed, and came again as a parent only, goes with the marker.
//   - A directory that was removed again by a later entry is no error, nor is a file in a lower layer where
//     this one has a directory two levels deep.
package layer
