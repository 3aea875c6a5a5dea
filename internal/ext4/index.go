package ext4

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The index of a directory (struct dx_root and dx_node in Linux's fs/ext4/namei.c) has entries of a hash and a
// block's number in the directory; an entry's block has the names from its hash on.
const (
	indexEntrySize = 8
	// The root is in the first block, behind "." and "..", which seems to fill the block, and eight bytes about
	// the index.
	indexInfo     = dotsLength
	indexInfoSize = 8
	entriesInRoot = (BlockSize - indexInfo - indexInfoSize) / indexEntrySize
	// Nodes are behind an entry without an inode that seems to fill their block.
	entriesInNode = (BlockSize - direntHeader) / indexEntrySize
	// maxLeaves are what two levels reach; more need the feature large_dir. At 1,014 MiB of names that is from
	// 3.9 million entries of the longest to 88 million of the shortest names.
	maxLeaves = entriesInRoot * entriesInNode

	// sameHash in an entry says that the block before it has names of the same hash.
	sameHash = 1
)

// index is a directory with more names than one block holds; nil is any other.
type index struct {
	// names are in the order of their hashes.
	names []dirent
	// leaves are the places in names at which blocks begin.
	leaves []int
}

// newIndex brings names into the order in which an index finds them and puts them into blocks; it returns nil,
// and leaves them as they are, if one block holds them.
func newIndex(names []dirent, seed hashSeed) (*index, error) {
	used := dotsLength
	for _, d := range names {
		used += direntLength(d.name)
	}
	if used <= BlockSize {
		return nil, nil
	}
	for i := range names {
		names[i].hash = seed.hash(names[i].name)
	}
	slices.SortFunc(names, func(a, b dirent) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.name, b.name))
	})
	leaves, err := packLeaves(names)
	if err != nil {
		return nil, err
	}
	return &index{names: names, leaves: leaves}, nil
}

// packLeaves returns the places in names at which blocks begin that have as many of them as fit.
func packLeaves(names []dirent) ([]int, error) {
	var leaves []int
	used := BlockSize
	for i, d := range names {
		length := direntLength(d.name)
		if used+length > BlockSize {
			leaves = append(leaves, i)
			used = 0
		}
		used += length
	}
	if len(leaves) > maxLeaves {
		return nil, fmt.Errorf("the directory's %d names take %d blocks, and ext4 finds them in at most %d", len(names), len(leaves), maxLeaves)
	}
	return leaves, nil
}

// blocks is how many blocks the directory takes.
func (x *index) blocks() int {
	if x == nil {
		return 1
	}
	return x.firstLeaf() + len(x.leaves)
}

// firstLeaf is the first of the directory's blocks that has names. The nodes are behind the root.
func (x *index) firstLeaf() int {
	if len(x.leaves) <= entriesInRoot {
		return 1
	}
	return 1 + (len(x.leaves)+entriesInNode-1)/entriesInNode
}

// leaf returns the names of a block.
func (x *index) leaf(i int) []dirent {
	if i+1 < len(x.leaves) {
		return x.names[x.leaves[i]:x.leaves[i+1]]
	}
	return x.names[x.leaves[i]:]
}

// firstHash is what an entry that leads to a leaf says.
func (x *index) firstHash(leaf int) uint32 {
	first := x.leaves[leaf]
	hash := x.names[first].hash
	if first > 0 && x.names[first-1].hash == hash {
		hash |= sameHash
	}
	return hash
}

// putRoot writes the index into a first block that has "." and "..".
func (x *index) putRoot(block []byte) {
	const hashVersion, infoLength, levels = indexInfo + 4, indexInfo + 5, indexInfo + 6
	block[hashVersion], block[infoLength] = hashHalfMD4, indexInfoSize
	entries := block[indexInfo+indexInfoSize:]
	nodes := x.firstLeaf() - 1
	if nodes == 0 {
		x.putLeaves(entries, 0, len(x.leaves))
		return
	}
	block[levels] = 1
	for i := range nodes {
		putIndexEntry(entries, i, x.firstHash(i*entriesInNode), 1+i)
	}
	putIndexCount(entries, nodes)
}

// putNode writes one of the blocks between the root and the leaves.
func (x *index) putNode(block []byte, i int) {
	le.PutUint16(block[4:], BlockSize)
	first := i * entriesInNode
	x.putLeaves(block[direntHeader:], first, min(entriesInNode, len(x.leaves)-first))
}

func (x *index) putLeaves(entries []byte, first, count int) {
	for i := range count {
		putIndexEntry(entries, i, x.firstHash(first+i), x.firstLeaf()+first+i)
	}
	putIndexCount(entries, count)
}

func putIndexEntry(entries []byte, i int, hash uint32, block int) {
	le.PutUint32(entries[i*indexEntrySize:], hash)
	le.PutUint32(entries[i*indexEntrySize+4:], uint32(block))
}

// putIndexCount writes how many entries there could be and are, in the place of the first one's hash, which nobody
// needs.
func putIndexCount(entries []byte, count int) {
	le.PutUint16(entries, uint16(len(entries)/indexEntrySize))
	le.PutUint16(entries[2:], uint16(count))
}
