package volume

import (
	"context"
	"maps"
	"slices"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/tree"
)

// chunkBlocks is how many 4 KiB blocks of the filesystem a block of the disk has.
const chunkBlocks = BlockSize / ext4.BlockSize

// previous is the parent's filesystem as its successor's writer wants it.
func (b *base) previous() *ext4.Previous {
	inodes := rangesOf[ext4.Range](b.layout.MetaInodes)
	for _, region := range b.layout.Regions {
		inodes = append(inodes, rangesOf[ext4.Range](region.Inodes)...)
	}
	return &ext4.Previous{Bytes: b.partition, Inodes: inodes}
}

// keepRegions leaves the parent's regions in place that have a layer which may stay.
func (b *build) keepRegions() error {
	if b.plan.base == nil {
		return nil
	}
	stays := b.standIns()
	for _, region := range b.plan.base.layout.Regions {
		nodes := make([]*tree.Node, len(region.Layers))
		for i, l := range region.Layers {
			nodes[i] = stays[l.Root]
		}
		if !slices.ContainsFunc(nodes, func(n *tree.Node) bool { return n != nil }) {
			continue
		}
		if _, err := b.writer.KeepRegion(region.placement(), nodes); err != nil {
			return &ParentError{Err: err}
		}
		b.kept = append(b.kept, region)
	}
	return nil
}

// standIns has, by root inode, the nodes that stand for the parent's layers in the directory of snapshots.
func (b *build) standIns() map[uint32]*tree.Node {
	nodes := map[uint32]*tree.Node{}
	for i, kept := range b.plan.kept {
		if kept.layer != nil {
			nodes[kept.layer.Root] = b.snapshots[i].standIn
		}
	}
	return nodes
}

// keep settles that a snapshot has the parent's layer.
func (b *build) keep(i int) {
	state, known := &b.snapshots[i], b.plan.kept[i].layer
	state.kept, state.record, state.root = true, *known, state.standIn
	state.lower = b.plan.base.layer(known.Snapshot)
	b.finish(i)
}

// keepIfSame keeps the parent's layer if it inherits the same from the layers that are below it now.
func (b *build) keepIfSame(ctx context.Context, i int) (bool, error) {
	known := b.plan.kept[i].layer
	lower, err := b.lower(ctx, i)
	if err != nil {
		return false, err
	}
	inherited, err := layer.Reinherit(known.Inherited, lower)
	if err != nil {
		return false, err
	}
	if layer.EqualInherited(known.Inherited, inherited) {
		b.keep(i)
		return true, nil
	}
	b.total.Add(b.source(i).layer.Descriptor.Size)
	return false, nil
}

// layout records where the layers are: those that stayed, then those that were written.
func (b *build) layout(ctx context.Context) (*Layout, error) {
	layout := &Layout{
		Version: layoutVersion,
		Format:  b.plan.kind.name,
		Size:    b.plan.Size,
		Lineage: b.plan.lineage,
		Images:  b.plan.layoutImages(),
		Meta:    ranges(b.meta.Reserved()),
		Trace:   b.plan.trace.digest(),
	}
	if err := b.addKeptRegions(ctx, layout); err != nil {
		return nil, err
	}
	for i, region := range b.regions {
		var layers []LayoutLayer
		for _, s := range b.plan.regions[i].snapshots {
			if state := &b.snapshots[s]; !state.kept {
				layers = append(layers, state.record)
			}
		}
		if err := b.addRegion(layout, region.Layout(), layers); err != nil {
			return nil, err
		}
	}
	layout.Stale = b.stale(layout)
	return layout, nil
}

// addKeptRegions adds the parent's regions without the layers that are not wanted.
func (b *build) addKeptRegions(ctx context.Context, layout *Layout) error {
	kept := map[uint32]LayoutLayer{}
	var unwanted []*tree.Node
	for i := range b.snapshots {
		switch state := &b.snapshots[i]; {
		case state.kept:
			kept[state.record.Root] = state.record
		case b.plan.kept[i].layer != nil:
			unwanted = append(unwanted, state.standIn)
		}
	}
	placed, err := b.writer.Prune(ctx, unwanted)
	if err != nil {
		return err
	}
	for i, region := range b.kept {
		var layers []LayoutLayer
		for _, t := range placed[i].Trees {
			layers = append(layers, kept[t.Root])
		}
		if len(layers) == len(region.Layers) {
			region.Layers = layers
			layout.Regions = append(layout.Regions, region)
			continue
		}
		if err := b.addRegion(layout, placed[i], layers); err != nil {
			return err
		}
	}
	return nil
}

// addRegion adds a region that was written or changed, unless nothing is in it.
func (b *build) addRegion(layout *Layout, placed ext4.Layout, layers []LayoutLayer) error {
	if len(layers) == 0 {
		return nil
	}
	sum, err := b.target.digest(placed.Chunks())
	if err != nil {
		return err
	}
	layout.Regions = append(layout.Regions, LayoutRegion{
		Blocks: ranges(placed.Blocks),
		Inodes: ranges(placed.Inodes),
		Digest: hexDigest(sum),
		Layers: layers,
	})
	return nil
}

// stale lists the chunks that hold bytes of the parent's removed layers: nothing has them now.
func (b *build) stale(layout *Layout) []LayoutRange {
	if b.plan.base == nil {
		return nil
	}
	before := b.plan.base.layout
	chunks := map[uint32]bool{}
	mark := func(ranges []LayoutRange, stale bool) {
		for _, r := range ranges {
			for block := r.Start; block < r.Start+r.Count; block += chunkBlocks {
				if stale {
					chunks[block] = true
				} else {
					delete(chunks, block)
				}
			}
		}
	}
	mark(before.Stale, true)
	for _, region := range before.Regions {
		mark(region.Blocks, true)
	}
	for _, region := range layout.Regions {
		mark(region.Blocks, false)
	}
	mark(layout.Meta, false)
	return joined(chunks)
}

// joined returns runs of chunks, which are named by their first blocks.
func joined(chunks map[uint32]bool) []LayoutRange {
	var runs []LayoutRange
	for _, start := range slices.Sorted(maps.Keys(chunks)) {
		if last := len(runs) - 1; last >= 0 && runs[last].Start+runs[last].Count == start {
			runs[last].Count += chunkBlocks
			continue
		}
		runs = append(runs, LayoutRange{Start: start, Count: chunkBlocks})
	}
	return runs
}
