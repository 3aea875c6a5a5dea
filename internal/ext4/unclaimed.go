package ext4

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/larder-dev/larder/internal/tree"
)

// claim takes a tree's files out of the region's unclaimed blocks.
func (r *Region) claim(p *plan) error {
	var claimed []tree.Extent
	for _, e := range p.entries {
		if e.node.Type() != tree.TypeRegular {
			continue
		}
		for _, extent := range e.node.Extents {
			if extent.Count > 0 {
				claimed = append(claimed, extent)
			}
		}
	}
	rest, missing := subtract(r.unclaimed, claimed)
	if missing.Count > 0 {
		return fmt.Errorf("%s: block %d was not stored through this region, or another file has it", p.fileAt(missing).path(), missing.Start)
	}
	r.unclaimed = rest
	return nil
}

// fileAt returns the last file that has the extent.
func (p *plan) fileAt(extent tree.Extent) *entry {
	for _, e := range slices.Backward(p.entries) {
		if e.node.Type() == tree.TypeRegular && slices.Contains(e.node.Extents, extent) {
			return e
		}
	}
	return p.entries[0]
}

// subtract returns what of one set of blocks is not in another, in ascending order, and an extent of the other
// that is not wholly in the one, if there is any. It brings both into ascending order.
func subtract(from, taken []tree.Extent) (rest []tree.Extent, missing tree.Extent) {
	byStart := func(a, b tree.Extent) int { return cmp.Compare(a.Start, b.Start) }
	slices.SortFunc(from, byStart)
	slices.SortFunc(taken, byStart)
	var head tree.Extent // what is left of the last one of from
	for _, t := range taken {
		for head.Start+head.Count <= t.Start && len(from) > 0 {
			if head.Count > 0 {
				rest = append(rest, head)
			}
			head, from = from[0], from[1:]
		}
		if t.Start < head.Start || t.Start-head.Start > head.Count || t.Count > head.Count-(t.Start-head.Start) {
			return nil, t
		}
		if before := t.Start - head.Start; before > 0 {
			rest = append(rest, tree.Extent{Start: head.Start, Count: before})
		}
		head.Count -= t.Start - head.Start + t.Count
		head.Start = t.Start + t.Count
	}
	if head.Count > 0 {
		rest = append(rest, head)
	}
	return append(rest, from...), tree.Extent{}
}
