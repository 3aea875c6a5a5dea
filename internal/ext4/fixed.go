package ext4

import (
	"context"
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
)

const (
	addressesPerBlock = BlockSize / 4
	doubleIndirect    = 13 // i_block[EXT4_DIND_BLOCK]
	// resizeInodeSize is everything that direct, indirect and double indirect blocks can address: libext2fs
	// gives this size to the inode (lib/ext2fs/res_gdt.c), and e2fsck expects it.
	resizeInodeSize = (12 + addressesPerBlock + addressesPerBlock*addressesPerBlock) * BlockSize
)

// resizeBlocks are the blocks that count as the resize inode's: the reserved descriptor blocks of all windows
// and the block that lists those of the first.
func (g geometry) resizeBlocks() uint32 {
	return 1 + reservedDescriptorBlocks*uint32(1+len(g.backupGroups()))
}

// bitmap is one for the blocks or inodes of all groups.
type bitmap []byte

func (b bitmap) set(start, count uint32) {
	for bit := start; bit < start+count; {
		if bit%8 == 0 && start+count-bit >= 8 {
			b[bit/8] = 0xFF
			bit += 8
			continue
		}
		b[bit/8] |= 1 << (bit % 8)
		bit++
	}
}

// group returns the bitmap block of one group.
func (b bitmap) group(group uint32) []byte { return b[group*BlockSize : (group+1)*BlockSize] }

// hasInodes tells whether any inode of a chunk is set, in a bitmap of inodes.
func (b bitmap) hasInodes(chunk uint32) bool {
	const chunksPerGroup, bytesPerChunk = inodesPerGroup / inodesPerChunk, inodesPerChunk / 8
	at := chunk % chunksPerGroup * bytesPerChunk
	return slices.Max(b.group(chunk / chunksPerGroup)[at:at+bytesPerChunk]) != 0
}

func unset(block []byte) (count uint32) {
	for _, b := range block {
		count += uint32(8 - bits.OnesCount8(b))
	}
	return count
}

// writeFixed writes everything that is at a fixed place, when all regions are closed.
func (w *Writer) writeFixed(ctx context.Context, blocks, inodes bitmap) error {
	descriptors, freeBlocks, freeInodes := w.descriptors(blocks, inodes)
	chunk := make([]byte, ChunkSize)
	for flex := range w.geometry.flexGroups() {
		first, end := w.geometry.groupsOfFlex(flex)
		for group := first; group < end; group++ {
			slot := group - first
			copy(chunk[slot*BlockSize:], blocks.group(group))
			copy(chunk[(groupsPerFlex+slot)*BlockSize:], inodes.group(group))
		}
		if flex == 0 {
			w.geometry.putResizeIndex(chunk[(resizeIndexBlock-windowBlocks)*BlockSize:])
		}
		if err := writeChunk(ctx, w.to, int64(flexStart(flex)/blocksPerChunk), chunk); err != nil {
			return err
		}
	}
	putJournalSuperblock(chunk)
	if err := writeChunk(ctx, w.to, journalStart/blocksPerChunk, chunk); err != nil {
		return err
	}
	super := w.superblock(freeBlocks, freeInodes)
	if err := w.writeFirstWindow(ctx, super, descriptors); err != nil {
		return err
	}
	for _, group := range w.geometry.backupGroups() {
		super.markBackup(group)
		copy(chunk, super)
		copy(chunk[BlockSize:], descriptors)
		if err := writeChunk(ctx, w.to, int64(group)*chunksPerGroup, chunk); err != nil {
			return err
		}
	}
	return nil
}

// trees returns where all trees are, those of kept regions first.
func (w *Writer) trees() iter.Seq[TreeLayout] {
	return func(yield func(TreeLayout) bool) {
		for _, layout := range w.kept {
			for _, t := range layout.Trees {
				if !yield(t) {
					return
				}
			}
		}
		for _, region := range w.regions {
			for _, t := range region.trees {
				if !yield(t) {
					return
				}
			}
		}
	}
}

func (w *Writer) blockBitmap() bitmap {
	g := w.geometry
	b := make(bitmap, g.groups*BlockSize)
	for group := range g.groups {
		if hasSuperblock(group) {
			b.set(group*blocksPerGroup, g.windowUsed())
		}
		b.set(blockBitmap(group), 1)
		b.set(inodeBitmap(group), 1)
		b.set(inodeTable(group), inodeTableBlocks)
	}
	b.set(resizeIndexBlock, 1)
	for _, extent := range journalExtents() {
		b.set(extent.Start, extent.Count)
	}
	for t := range w.trees() {
		for _, extent := range t.Blocks {
			b.set(extent.Start, extent.Count)
		}
	}
	// Bits beyond the end of the filesystem are set, as mke2fs has them.
	for block := g.blocks; block < g.groups*blocksPerGroup; block++ {
		b.set(block, 1)
	}
	return b
}

func (w *Writer) inodeBitmap() bitmap {
	b := make(bitmap, w.geometry.groups*BlockSize)
	const bitsPerGroup = 8 * BlockSize
	for t := range w.trees() {
		for _, numbers := range t.Inodes {
			for number := numbers.Start; number < numbers.Start+numbers.Count; number++ {
				b.set((number-1)/inodesPerGroup*bitsPerGroup+(number-1)%inodesPerGroup, 1)
			}
		}
	}
	for group := range w.geometry.groups {
		b.set(group*bitsPerGroup+inodesPerGroup, bitsPerGroup-inodesPerGroup)
	}
	return b
}

// putResizeIndex writes the resize inode's double indirect block: the reserved descriptor blocks of the first
// window, each at the place that its number as a descriptor block gives it.
func (g geometry) putResizeIndex(block []byte) {
	for i := range uint32(reservedDescriptorBlocks) {
		number := g.descriptorBlocks() + i
		le.PutUint32(block[number%addressesPerBlock*4:], 1+number)
	}
}

// writeFirstWindow writes the primary superblock, the descriptors, and the reserved descriptor blocks, each of
// which lists its copies in the other windows.
func (w *Writer) writeFirstWindow(ctx context.Context, super superblock, descriptors []byte) error {
	window := make([]byte, windowBlocks*BlockSize)
	copy(window[superblockOffset:], super)
	copy(window[BlockSize:], descriptors)
	backups := w.geometry.backupGroups()
	for i := range uint32(reservedDescriptorBlocks) {
		block := 1 + w.geometry.descriptorBlocks() + i
		for j, group := range backups {
			le.PutUint32(window[block*BlockSize+uint32(j)*4:], block+group*blocksPerGroup)
		}
	}
	for index := range int64(len(window) / ChunkSize) {
		if err := writeChunk(ctx, w.to, index, window[index*ChunkSize:(index+1)*ChunkSize]); err != nil {
			return err
		}
	}
	return nil
}

// putJournalSuperblock writes an empty journal's only block that is not zero (struct journal_superblock_s in
// Linux's include/linux/jbd2.h). Alone on this filesystem it is big-endian.
func putJournalSuperblock(block []byte) {
	for _, field := range []struct{ offset, value uint32 }{
		{0, journalMagic},
		{4, 4}, // block type: superblock, version 2
		{12, BlockSize},
		{16, journalBlocks},
		{20, 1}, // first block of the log
		{24, 1}, // first sequence number expected
		{64, 1}, // users
	} {
		binary.BigEndian.PutUint32(block[field.offset:], field.value)
	}
}
