package ext4

import (
	"fmt"
	"slices"

	"github.com/larder-dev/larder/internal/tree"
)

// claim takes a tree's files out of the region's unclaimed blocks and returns their blocks.
func (r *Region) claim(p *plan) ([]span, error) {
	var claimed []span
	for _, e := range p.entries {
		if e.node.Type() != tree.TypeRegular {
			continue
		}
		for _, extent := range e.node.Extents.List() {
			if extent.Count > 0 {
				claimed = append(claimed, span(extent))
			}
		}
	}
	rest, missing, ok := subtract(r.unclaimed, claimed)
	if !ok {
		return nil, fmt.Errorf("%s: block %d was not stored through this region, or another file has it", p.path(p.fileAt(tree.Extent(missing))), missing.Start)
	}
	r.unclaimed = rest
	return claimed, nil
}

// fileAt returns the place of the last file that has the extent.
func (p *plan) fileAt(extent tree.Extent) int32 {
	for i, e := range slices.Backward(p.entries) {
		if e.node.Type() == tree.TypeRegular && slices.Contains(e.node.Extents.List(), extent) {
			return int32(i)
		}
	}
	return 0
}
