package ext4

import (
	"github.com/larder-dev/larder/internal/tree"
)

// Range is a run of inode numbers.
type Range struct{ Start, Count uint32 }

// Layout is where a region is: what KeepRegion needs to leave it there in the next filesystem.
type Layout struct {
	// Blocks are the chunks that the region owns, those with blocks of its trees, as runs of blocks in ascending
	// order.
	Blocks []tree.Extent
	// Inodes are the chunks of inodes that the region owns, those with inodes of its trees, as runs of inode
	// numbers in ascending order.
	Inodes []Range
	// Trees are in the order of the calls of WriteTree.
	Trees []TreeLayout
}

// TreeLayout is where one tree of a region is.
type TreeLayout struct {
	// Root is the inode number of the tree's root.
	Root uint32
	// Blocks are all blocks that the tree uses, those of files, directories, symbolic links, attributes and
	// extent trees, in ascending order.
	Blocks []tree.Extent
	// Structure are those of Blocks that do not hold files' bytes, in ascending order: what finding and opening a
	// file reads. KeepRegion does not need them.
	Structure []tree.Extent
	// Hot are those of Blocks that belong to the tree's hot nodes, and HotInodes are those nodes' own numbers, both in
	// ascending order. KeepRegion does not need them.
	Hot       []tree.Extent
	HotInodes []Range
	// Inodes are the numbers of the tree's inodes, in ascending order.
	Inodes []Range
	// Directories counts the directories among them by block group.
	Directories map[uint32]uint32
}

func newLayout(trees []TreeLayout) Layout {
	var blocks, inodes []span
	for _, t := range trees {
		blocks = append(blocks, convert[span](t.Blocks)...)
		inodes = append(inodes, convert[span](t.Inodes)...)
	}
	layout := Layout{Trees: trees}
	for _, chunks := range cover(blocks, 0, blocksPerChunk) {
		layout.Blocks = append(layout.Blocks, blocksOf(chunks))
	}
	for _, chunks := range cover(inodes, 1, inodesPerChunk) {
		layout.Inodes = append(layout.Inodes, inodesOf(chunks))
	}
	return layout
}

// Chunks returns the indexes of the chunks that the region's blocks and then its inodes are in, as they were
// handed to the ChunkWriter.
func (l Layout) Chunks() []int64 {
	var chunks []int64
	for _, s := range cover(convert[span](l.Blocks), 0, blocksPerChunk) {
		for chunk := s.Start; chunk < s.end(); chunk++ {
			chunks = append(chunks, int64(chunk))
		}
	}
	for _, s := range cover(convert[span](l.Inodes), 1, inodesPerChunk) {
		for chunk := s.Start; chunk < s.end(); chunk++ {
			chunks = append(chunks, inodeChunkIndex(chunk))
		}
	}
	return chunks
}

// blocksOf returns the blocks of chunks.
func blocksOf(chunks span) tree.Extent {
	return tree.Extent{Start: chunks.Start * blocksPerChunk, Count: chunks.Count * blocksPerChunk}
}

// inodesOf returns the inode numbers of chunks of inodes.
func inodesOf(chunks span) Range {
	return Range{Start: chunks.Start*inodesPerChunk + 1, Count: chunks.Count * inodesPerChunk}
}
