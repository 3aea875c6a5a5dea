package ext4

import (
	"context"
	"fmt"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// WriteTree writes the directories, inodes and everything else of a tree whose files were stored through the
// region before, into the region and into inodes of its own, and returns where all of it is. It waits for the
// region's turn. The root's ".." leads to the anchor directory, where Finish expects it among the children. It
// fails with *OutOfInodes or *OutOfBlocks when the filesystem is full, and names the file that ext4 cannot hold.
func (r *Region) WriteTree(ctx context.Context, root *tree.Node) (TreeLayout, error) {
	if err := r.begin(ctx); err != nil {
		return TreeLayout{}, err
	}
	layout, err := r.writeTree(ctx, root)
	if err != nil {
		return TreeLayout{}, r.lost("writing a tree", err)
	}
	return layout, nil
}

func (r *Region) writeTree(ctx context.Context, root *tree.Node) (TreeLayout, error) {
	p, err := newPlan(root, nil, nil)
	if err != nil {
		return TreeLayout{}, err
	}
	p.parent = anchorInode
	claimed, err := r.claim(p)
	if err != nil {
		return TreeLayout{}, err
	}
	if err := r.waitTurn(ctx); err != nil {
		return TreeLayout{}, err
	}
	numbers, err := r.numberInodes(int64(len(p.entries)))
	if err != nil {
		return TreeLayout{}, err
	}
	number(p.entries, numbers)
	for _, e := range p.entries {
		if err := r.writeEntry(ctx, p, e, r.writer.options.Label); err != nil {
			return TreeLayout{}, err
		}
	}
	layout := r.finishTree(p, claimed)
	r.writer.roots[root] = layout.Root
	return layout, nil
}

// finishTree notes where the tree is that was written, with the blocks of its files and with inodes that are not
// in the plan.
func (r *Region) finishTree(p *plan, claimed []span, nameless ...span) TreeLayout {
	layout := TreeLayout{
		Root:        p.entries[0].number,
		Blocks:      convert[tree.Extent](join(append(claimed, r.placed...))),
		Directories: map[uint32]uint32{},
	}
	r.placed = nil
	inodes := nameless
	for _, e := range p.entries {
		inodes = appendRun(inodes, span{Start: e.number, Count: 1})
		if e.node.IsDirectory() {
			layout.Directories[(e.number-1)/inodesPerGroup]++
		}
	}
	layout.Inodes = convert[Range](join(inodes))
	r.trees = append(r.trees, layout)
	return layout
}

// writeEntry writes what belongs to an inode, then the inode.
func (r *Region) writeEntry(ctx context.Context, p *plan, e *entry, label string) error {
	in := nodeInode(e.node, r.writer.options.Time)
	in.links = e.links
	xattrs, err := encodeXattrs(e.node.Xattrs, label)
	if err != nil {
		return fmt.Errorf("%s: %w", e.path(), err)
	}
	in.inline = xattrs.inline
	if xattrs.block != nil {
		extents, err := r.storeBytes(ctx, xattrs.block)
		if err != nil {
			return err
		}
		in.xattrBlock = extents[0].Start
		in.blocks++
	}
	switch e.node.Type() {
	case tree.TypeDirectory:
		err = r.writeDirectory(ctx, p, e, in)
	case tree.TypeRegular:
		in.size = e.node.Size
		err = r.mapBlocks(ctx, in, e.node.Extents)
	case tree.TypeSymlink:
		err = r.writeSymlink(ctx, e.node.Target, in)
	case tree.TypeCharDev, tree.TypeBlockDev:
		err = putDevice(in.mapping[:], e.node.Major, e.node.Minor)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.path(), err)
	}
	return r.inodes.write(ctx, r.writer.to, e.number, in.encode())
}

func (r *Region) writeSymlink(ctx context.Context, target string, in *inode) error {
	in.size = int64(len(target))
	if len(target) < mappingSize {
		copy(in.mapping[:], target)
		return nil
	}
	extents, err := r.storeBytes(ctx, []byte(target))
	if err != nil {
		return err
	}
	return r.mapBlocks(ctx, in, extents)
}

// mapBlocks gives an inode its extent tree.
func (r *Region) mapBlocks(ctx context.Context, in *inode, extents []tree.Extent) error {
	in.flags |= flagExtents
	in.blocks += blockCount(extents) + extentTreeBlocks(extents)
	return encodeExtents(in.mapping[:], extents, func(node []byte) (uint32, error) {
		placed, err := r.storeBytes(ctx, node)
		if err != nil {
			return 0, err
		}
		return placed[0].Start, nil
	})
}

func checkTarget(e *entry) error {
	if target := e.node.Target; target == "" || len(target) >= BlockSize || strings.ContainsRune(target, 0) {
		return fmt.Errorf("%s: a symbolic link's target has to have 1 to %d bytes, none of them zero", e.path(), BlockSize-1)
	}
	return nil
}
