package ext4

import (
	"context"

	"github.com/larder-dev/larder/internal/tree"
)

// WriteTree writes the directories, inodes and everything else of a tree whose files were stored through the
// region before, into the region and into inodes of its own, and returns where all of it is. It waits for the
// region's turn. The root's ".." leads to the anchor directory, where Finish expects it among the children. It
// fails with *OutOfInodes or *OutOfBlocks when the filesystem is full, and with *UnstorableError when a file
// would not fit a larger one either.
//
// Nodes of the tree that are hot, if any, have the first inodes and come first; where the region has hot files, or no
// others, what belongs to these nodes is beside those.
func (r *Region) WriteTree(ctx context.Context, root *tree.Node, hot map[*tree.Node]bool) (TreeLayout, error) {
	if err := r.begin(ctx); err != nil {
		return TreeLayout{}, err
	}
	layout, err := r.writeTree(ctx, root, hot)
	if err != nil {
		return TreeLayout{}, r.lost("writing a tree", err)
	}
	return layout, nil
}

func (r *Region) writeTree(ctx context.Context, root *tree.Node, hot map[*tree.Node]bool) (TreeLayout, error) {
	p, err := newPlan(root, nil, nil)
	if err != nil {
		return TreeLayout{}, err
	}
	p.parent, p.hot = anchorInode, hot
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
	p.number(numbers)
	if err := r.writeEntries(ctx, p, r.writer.xattrs); err != nil {
		return TreeLayout{}, err
	}
	layout := r.finishTree(p, claimed)
	r.writer.roots[root] = layout.Root
	return layout, nil
}

// finishTree notes where the tree is that was written, with the blocks of its files and with inodes that are not
// in the plan.
func (r *Region) finishTree(p *plan, claimed []span, nameless ...span) TreeLayout {
	structure := join(r.placed)
	layout := TreeLayout{
		Root:        p.entries[0].number,
		Blocks:      convert[tree.Extent](join(append(claimed, structure...))),
		Structure:   convert[tree.Extent](structure),
		Directories: map[uint32]uint32{},
	}
	hotBlocks := r.hotPlaced
	r.placed, r.hotPlaced = nil, nil
	inodes, hotInodes := nameless, []span(nil)
	for _, e := range p.entries {
		inodes = appendRun(inodes, span{Start: e.number, Count: 1})
		if e.node.IsDirectory() {
			layout.Directories[(e.number-1)/inodesPerGroup]++
		}
		if p.hot[e.node] {
			hotInodes = appendRun(hotInodes, span{Start: e.number, Count: 1})
			hotBlocks = append(hotBlocks, convert[span](e.node.Extents.List())...)
		}
	}
	layout.Inodes = convert[Range](join(inodes))
	layout.Hot, layout.HotInodes = convert[tree.Extent](join(hotBlocks)), convert[Range](join(hotInodes))
	r.trees = append(r.trees, layout)
	return layout
}

// writeEntries writes all inodes, and what belongs to each in front of it. The filesystem's own numbers, which do
// not rise with the places in the plan, come first: all of them are in one chunk.
func (r *Region) writeEntries(ctx context.Context, p *plan, xattrs xattrEncoder) error {
	for _, own := range []bool{true, false} {
		for place := range p.inOrder() {
			if own != (p.entries[place].number <= anchorInode) {
				continue
			}
			if err := r.writeBeside(ctx, p, place, xattrs); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeBeside writes an entry beside the hot files if it is hot and there are any. Where there are no others either,
// it begins a chunk of hot ones, for what follows.
func (r *Region) writeBeside(ctx context.Context, p *plan, place int32, xattrs xattrEncoder) error {
	hot := p.hot[p.entries[place].node]
	r.into = &r.blocks
	if hot && (r.hot.used() || !r.blocks.used()) {
		r.into = &r.hot
	}
	before := len(r.placed)
	err := r.writeEntry(ctx, p, place, xattrs)
	if hot {
		r.hotPlaced = append(r.hotPlaced, r.placed[before:]...)
	}
	return err
}

func (r *Region) writeEntry(ctx context.Context, p *plan, place int32, encoder xattrEncoder) error {
	e := p.entries[place]
	in := nodeInode(e.node, tree.NewTime(r.writer.options.Time))
	in.links = e.links
	xattrs, err := encoder.encode(e.node.Xattrs)
	if err != nil {
		return p.unstorable(place, err)
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
		err = r.writeDirectory(ctx, p, place, in)
	case tree.TypeRegular:
		in.size = e.node.Size
		err = r.mapBlocks(ctx, in, e.node.Extents.List())
	case tree.TypeSymlink:
		err = r.writeSymlink(ctx, e.node.Target(), in)
	case tree.TypeCharDev, tree.TypeBlockDev:
		major, minor := e.node.Device()
		putDevice(in.mapping[:], major, minor)
	}
	if err != nil {
		return err
	}
	return r.inodes.write(ctx, r.writer.to, e.number, in)
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
