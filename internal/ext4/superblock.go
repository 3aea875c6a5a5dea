package ext4

// superblock is the 1,024 bytes of struct ext4_super_block in Linux's fs/ext4/ext4.h.
type superblock []byte

func (w *Writer) superblock(freeBlocks, freeInodes uint32) superblock {
	s := make(superblock, superblockSize)
	now := uint32(w.options.Time.Unix())
	for offset, value := range map[int]uint32{
		0:   w.geometry.groups * inodesPerGroup,
		4:   w.geometry.blocks,
		8:   0, // Nothing is held back for root: everything on a node's data volume is written by root.
		12:  freeBlocks,
		16:  freeInodes,
		24:  2, // log2 of the block size in KiB
		28:  2, // log2 of the cluster size in KiB
		32:  blocksPerGroup,
		36:  blocksPerGroup, // clusters a group
		40:  inodesPerGroup,
		48:  now, // last write
		64:  now, // last check
		76:  1,   // revision
		84:  lostFoundInode,
		92:  compatHasJournal | compatExtAttr | compatResizeInode | compatDirIndex,
		96:  incompatFiletype | incompatExtents | incompatFlexBG,
		100: roCompatSparseSuper | roCompatLargeFile | roCompatHugeFile | roCompatGDTChecksum | roCompatDirNlink | roCompatExtraIsize,
		224: journalInode,
		256: 0xC, // default mount options: user_xattr, acl
		264: now, // creation
		352: hashSignedChars,
		// A kernel that finds another value writes it to all copies of the superblock, at the first mount (Linux
		// fs/ext4/super.c, ext4_update_overhead): on a cold disk each is a block to fetch.
		584: w.geometry.overhead(),
	} {
		le.PutUint32(s[offset:], value)
	}
	for offset, value := range map[int]uint16{
		54:  0xFFFF, // no check after a number of mounts
		56:  superMagic,
		58:  1, // clean
		60:  1, // on errors: continue
		88:  inodeSize,
		206: reservedDescriptorBlocks,
		348: extraInodeSize, // at least
		350: extraInodeSize, // wanted
	} {
		le.PutUint16(s[offset:], value)
	}
	copy(s[104:], w.options.UUID[:])
	copy(s[236:], w.options.HashSeed[:])
	s[252] = hashHalfMD4
	s[253] = 1 // the journal's blocks are backed up below
	s[372] = logGroupsPerFlex
	s.backUpJournal()
	return s
}

// backUpJournal copies the journal inode's blocks and size, with which e2fsck can restore it.
func (s superblock) backUpJournal() {
	const backup, high, low = 268, 268 + mappingSize, 268 + mappingSize + 4
	encodeExtentNode(s[backup:backup+mappingSize], leafEntries(journalExtents()), 0)
	le.PutUint32(s[high:], uint32(uint64(journalBlocks*BlockSize)>>32))
	le.PutUint32(s[low:], uint32(journalBlocks*BlockSize))
}

// markBackup makes it the copy in a group: there mke2fs and the kernel do not call the filesystem clean.
func (s superblock) markBackup(group uint32) {
	le.PutUint16(s[58:], 0)
	le.PutUint16(s[90:], uint16(group))
}
