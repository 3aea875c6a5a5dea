package ext4

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/larder-dev/larder/internal/tree"
)

// KeepRegion leaves a region of the previous filesystem where it is: what is not removed of it is neither read
// nor written. It returns the region's new layout, and comes before the first NewRegion.
//
// There is a node for each of the layout's trees: a directory that stands for the tree's root among the children
// of Finish's anchor, or nil for a tree that is removed. The blocks of such a tree are free, its inodes are erased,
// and chunks that no other tree of the region uses belong to it no longer.
//
// It fails, and keeps nothing, when the layout cannot be that of a region of this filesystem. It cannot tell whether
// it is that of the bytes there.
func (w *Writer) KeepRegion(layout Layout, nodes []*tree.Node) (Layout, error) {
	if w.options.Previous == nil || len(w.regions) > 0 {
		return Layout{}, errors.New("regions are kept from a previous filesystem only, and before new ones are added")
	}
	if err := w.checkLayout(layout); err != nil {
		return Layout{}, fmt.Errorf("keeping a region: %w", err)
	}
	if err := w.checkStandIns(layout, nodes); err != nil {
		return Layout{}, fmt.Errorf("keeping a region: %w", err)
	}
	var stay []TreeLayout
	var removed []span
	for i, t := range layout.Trees {
		if nodes[i] == nil {
			removed = append(removed, convert[span](t.Inodes)...)
			continue
		}
		stay = append(stay, t)
		w.roots[nodes[i]] = t.Root
	}
	kept := newLayout(stay)
	blocks, inodes := cover(convert[span](kept.Blocks), 0, blocksPerChunk), cover(convert[span](kept.Inodes), 1, inodesPerChunk)
	if err := errors.Join(w.chunks.takeAt(blocks), w.inodeChunks.takeAt(inodes)); err != nil {
		return Layout{}, fmt.Errorf("keeping a region: %w", err)
	}
	w.erased = append(w.erased, intersect(removed, convert[span](kept.Inodes))...)
	w.stale = join(append(w.stale, cover(removed, 1, inodesPerChunk)...))
	w.kept = append(w.kept, kept)
	return kept, nil
}

// checkLayout makes sure that a region is in free chunks, and its trees in the region, each beside the others.
func (w *Writer) checkLayout(layout Layout) error {
	chunks, err := wholeChunks(layout.Blocks)
	if err != nil {
		return err
	}
	if err := (&pool{free: w.chunks.free}).takeAt(chunks); err != nil {
		return err
	}
	inodeChunks, err := w.geometry.inodeChunks(layout.Inodes)
	if err != nil {
		return err
	}
	if err := (&pool{free: w.inodeChunks.free}).takeAt(inodeChunks); err != nil {
		return fmt.Errorf("inodes: %w", err)
	}
	blocks, inodes := join(convert[span](layout.Blocks)), join(convert[span](layout.Inodes))
	for i, t := range layout.Trees {
		var missing span
		var ok bool
		if blocks, missing, ok = subtract(blocks, convert[span](t.Blocks)); !ok {
			return fmt.Errorf("tree %d has the blocks %d+%d, which are not the region's or another tree's", i, missing.Start, missing.Count)
		}
		if inodes, missing, ok = subtract(inodes, convert[span](t.Inodes)); !ok {
			return fmt.Errorf("tree %d has the inodes %d+%d, which are not the region's or another tree's", i, missing.Start, missing.Count)
		}
		if err := checkCounts(t); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
	}
	return nil
}

// checkCounts compares what a layout says about a tree's inodes with their numbers.
func checkCounts(t TreeLayout) error {
	rootFound := false
	inGroup := map[uint32]uint32{}
	for _, numbers := range convert[span](t.Inodes) {
		rootFound = rootFound || numbers.Start <= t.Root && t.Root < numbers.end()
		for number := numbers.Start; number < numbers.end(); {
			group := (number - 1) / inodesPerGroup
			next := min(numbers.end(), (group+1)*inodesPerGroup+1)
			inGroup[group] += next - number
			number = next
		}
	}
	if !rootFound {
		return fmt.Errorf("its root, inode %d, is not among its inodes", t.Root)
	}
	for group, directories := range t.Directories {
		if directories > inGroup[group] {
			return fmt.Errorf("it has %d directories in block group %d and %d inodes", directories, group, inGroup[group])
		}
	}
	return nil
}

func (w *Writer) checkStandIns(layout Layout, nodes []*tree.Node) error {
	if len(nodes) != len(layout.Trees) {
		return fmt.Errorf("%d nodes stand for %d trees", len(nodes), len(layout.Trees))
	}
	seen := map[*tree.Node]bool{}
	for i, n := range nodes {
		if n == nil {
			continue
		}
		if _, known := w.roots[n]; known || seen[n] || !n.IsDirectory() {
			return fmt.Errorf("the node of tree %d has to be a directory of its own", i)
		}
		seen[n] = true
	}
	return nil
}

// wholeChunks returns the chunks that runs of blocks are made of.
func wholeChunks(runs []tree.Extent) ([]span, error) {
	chunks := make([]span, len(runs))
	for i, blocks := range runs {
		if blocks.Count == 0 || blocks.Start%blocksPerChunk != 0 || blocks.Count%blocksPerChunk != 0 {
			return nil, fmt.Errorf("the blocks %d+%d are not whole chunks of %d", blocks.Start, blocks.Count, blocksPerChunk)
		}
		chunks[i] = span{Start: blocks.Start / blocksPerChunk, Count: blocks.Count / blocksPerChunk}
	}
	return chunks, nil
}

// inodeChunks returns the chunks of inodes that runs of inode numbers are made of.
func (g geometry) inodeChunks(runs []Range) ([]span, error) {
	chunks := make([]span, len(runs))
	for i, numbers := range runs {
		if numbers.Count == 0 || numbers.Start%inodesPerChunk != 1 || numbers.Count%inodesPerChunk != 0 {
			return nil, fmt.Errorf("the inodes %d+%d are not whole chunks of %d", numbers.Start, numbers.Count, inodesPerChunk)
		}
		if last := int64(numbers.Start) - 1 + int64(numbers.Count); last > int64(g.groups)*inodesPerGroup {
			return nil, fmt.Errorf("the inodes %d+%d are beyond the filesystem's last, %d", numbers.Start, numbers.Count, g.groups*inodesPerGroup)
		}
		chunks[i] = span{Start: numbers.Start / inodesPerChunk, Count: numbers.Count / inodesPerChunk}
	}
	return chunks, nil
}

// Prune removes trees of kept regions that turned out not to be wanted, by the nodes that stand for them, and erases
// the inodes of all removed trees in chunks that a kept region still has. It comes when all regions but the last
// are closed, and returns the layouts of the kept regions, in the order of KeepRegion: those that have lost all
// their trees are empty. Finish does it when it has not come before.
func (w *Writer) Prune(ctx context.Context, unwanted []*tree.Node) ([]Layout, error) {
	if w.pruned {
		return nil, errors.New("pruning: it was done before")
	}
	w.pruned = true
	roots := map[uint32]bool{}
	for _, n := range unwanted {
		root, known := w.roots[n]
		if !known {
			return nil, errors.New("pruning: a node stands for no kept tree")
		}
		roots[root] = true
		delete(w.roots, n)
	}
	for i, kept := range w.kept {
		var stay []TreeLayout
		for _, t := range kept.Trees {
			if !roots[t.Root] {
				stay = append(stay, t)
				continue
			}
			w.erased = append(w.erased, convert[span](t.Inodes)...)
			w.stale = join(append(w.stale, cover(convert[span](t.Inodes), 1, inodesPerChunk)...))
		}
		w.kept[i] = newLayout(stay)
	}
	if err := w.eraseInKept(ctx); err != nil {
		return nil, fmt.Errorf("pruning: %w", err)
	}
	return slices.Clone(w.kept), nil
}

// eraseInKept rebuilds chunks of inodes of which kept regions still have a part.
func (w *Writer) eraseInKept(ctx context.Context) error {
	buffer := make([]byte, ChunkSize)
	for _, kept := range w.kept {
		for _, chunks := range cover(convert[span](kept.Inodes), 1, inodesPerChunk) {
			for chunk := chunks.Start; chunk < chunks.end(); chunk++ {
				if err := w.eraseInChunk(ctx, chunk, buffer); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (w *Writer) eraseInChunk(ctx context.Context, chunk uint32, buffer []byte) error {
	inodes := span(inodesOf(span{Start: chunk, Count: 1}))
	erased := intersect(w.erased, []span{inodes})
	if len(erased) == 0 {
		return nil
	}
	index := inodeChunkIndex(chunk)
	if err := readFull(w.options.Previous.Bytes, buffer, index*ChunkSize); err != nil {
		return fmt.Errorf("reading chunk %d of the previous filesystem: %w", index, err)
	}
	for _, e := range erased {
		clear(buffer[(e.Start-inodes.Start)*inodeSize : (e.end()-inodes.Start)*inodeSize])
	}
	return writeChunk(ctx, w.to, index, buffer)
}

// eraseChunks clears the chunks of inodes that the previous filesystem had and this one does not: e2fsck takes
// everything in the used part of an inode table that looks like an inode for one, whatever the bitmap says, and that
// part grows on a node up to any inode that is taken there. The descriptors promise that what is beyond is zero.
func (w *Writer) eraseChunks(ctx context.Context, used bitmap) error {
	zeros := make([]byte, ChunkSize)
	for _, chunks := range w.stale {
		for chunk := chunks.Start; chunk < chunks.end(); chunk++ {
			if used.hasInodes(chunk) {
				continue
			}
			if err := writeChunk(ctx, w.to, inodeChunkIndex(chunk), zeros); err != nil {
				return err
			}
		}
	}
	return nil
}
