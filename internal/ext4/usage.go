package ext4

import (
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

// UsageOf returns what containerd's disk usage of a tree will be: the bytes of st_blocks, with those of
// directories, extent trees and attributes, and the number of inodes, hard links once. Files must have their
// extents, and WriteTree must have taken the tree or one that it is in. A directory is taken to be in at most four pieces.
func (w *Writer) UsageOf(node *tree.Node) (bytes, inodes int64, err error) {
	u := usage{writer: w, seen: map[*tree.Node]bool{}}
	if err := u.add(node); err != nil {
		return 0, 0, fmt.Errorf("counting the blocks of a tree: %w", err)
	}
	return u.blocks * BlockSize, u.inodes, nil
}

type usage struct {
	writer         *Writer
	blocks, inodes int64
	// seen are the nodes with several names.
	seen map[*tree.Node]bool
	// names are of the directory that is looked at.
	names []dirent
}

func (u *usage) add(n *tree.Node) error {
	if !n.IsDirectory() && n.Links != 1 {
		if u.seen[n] {
			return nil
		}
		u.seen[n] = true
	}
	blocks, err := u.blocksOf(n)
	if err != nil {
		return err
	}
	u.blocks += blocks
	u.inodes++
	for _, child := range n.Children {
		if err := u.add(child); err != nil {
			return err
		}
	}
	return nil
}

func (u *usage) blocksOf(n *tree.Node) (int64, error) {
	xattrs, err := u.writer.xattrs.encode(n.Xattrs)
	if err != nil {
		return 0, err
	}
	var blocks int64
	if xattrs.block != nil {
		blocks++
	}
	switch n.Type() {
	case tree.TypeDirectory:
		u.names = u.names[:0]
		for name := range n.Children {
			u.names = append(u.names, dirent{name: name})
		}
		index, err := newIndex(u.names, u.writer.options.HashSeed)
		if err != nil {
			return 0, err
		}
		blocks += int64(index.blocks())
	case tree.TypeRegular:
		extents := n.Extents.List()
		blocks += int64(blockCount(extents)) + int64(extentTreeBlocks(extents))
	case tree.TypeSymlink:
		if len(n.Target()) >= mappingSize {
			blocks++
		}
	}
	return blocks, nil
}
