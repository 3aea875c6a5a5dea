package ext4

import (
	"github.com/larder-dev/larder/internal/tree"
)

const (
	// maxExtentBlocks is EXT_INIT_MAX_LEN; longer counts mean unwritten extents.
	maxExtentBlocks = 32768
	// Both kinds of extent tree node begin with a header and have entries of the same size.
	extentEntrySize = 12
	extentsInInode  = mappingSize/extentEntrySize - 1
	extentsInBlock  = BlockSize/extentEntrySize - 1
)

func blockCount(extents []tree.Extent) (blocks uint32) {
	for _, extent := range extents {
		blocks += extent.Count
	}
	return blocks
}

// extentEntry is an entry of an extent tree: of a leaf when count is set, else of an index.
type extentEntry struct {
	logical, block, count uint32
}

func leafEntries(extents []tree.Extent) []extentEntry {
	entries := make([]extentEntry, 0, len(extents))
	logical := uint32(0)
	for _, extent := range extents {
		for done := uint32(0); done < extent.Count; {
			count := min(extent.Count-done, maxExtentBlocks)
			entries = append(entries, extentEntry{logical: logical, block: extent.Start + done, count: count})
			logical += count
			done += count
		}
	}
	return entries
}

// extentTreeBlocks is how many blocks the extent tree takes outside of the inode.
func extentTreeBlocks(extents []tree.Extent) (blocks uint32) {
	for entries := len(leafEntries(extents)); entries > extentsInInode; {
		entries = (entries + extentsInBlock - 1) / extentsInBlock
		blocks += uint32(entries)
	}
	return blocks
}

// encodeExtents writes the extent tree, its root to mapping and the blocks below, from the leaves up, through
// place, which says where it put each.
func encodeExtents(mapping []byte, extents []tree.Extent, place func(node []byte) (block uint32, err error)) error {
	entries := leafEntries(extents)
	depth := uint16(0)
	for ; len(entries) > extentsInInode; depth++ {
		var above []extentEntry
		for len(entries) > 0 {
			count := min(len(entries), extentsInBlock)
			node := make([]byte, BlockSize)
			encodeExtentNode(node, entries[:count], depth)
			block, err := place(node)
			if err != nil {
				return err
			}
			above = append(above, extentEntry{logical: entries[0].logical, block: block})
			entries = entries[count:]
		}
		entries = above
	}
	encodeExtentNode(mapping[:mappingSize], entries, depth)
	return nil
}

func encodeExtentNode(node []byte, entries []extentEntry, depth uint16) {
	le.PutUint16(node, extentMagic)
	le.PutUint16(node[2:], uint16(len(entries)))
	le.PutUint16(node[4:], uint16(len(node)/extentEntrySize-1))
	le.PutUint16(node[6:], depth)
	for i, entry := range entries {
		at := node[(i+1)*extentEntrySize:]
		le.PutUint32(at, entry.logical)
		if depth > 0 {
			le.PutUint32(at[4:], entry.block)
			continue
		}
		le.PutUint16(at[4:], uint16(entry.count))
		le.PutUint32(at[8:], entry.block)
	}
}
