package volume

import (
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// inflation is the ratio of filesystem blocks to gzip or zstd bytes for which a layer's first extent is
	// reserved; 2 to 3 is common. A layer that needs more overflows, one that needs less leaves a hole.
	inflation = 3
	// smallLayer bounds the compressed bytes of a layer that shares its region with its neighbours.
	smallLayer = 64 << 10
)

// regionPlan is a part of the volume that holds one layer, or several small ones that follow each other, with a trace
// also the large one behind them.
type regionPlan struct {
	// snapshots are indexes into the contents' snapshots.
	snapshots []int
	// reserve is the size of the first extent, in bytes.
	reserve int64
	// unsure says that the region's only layer is on the parent, over other layers than here. It is written only
	// if it inherits something else from these.
	unsure bool
}

// planRegions gives every snapshot that is not kept for sure a region, in order; neighbours that are small share
// one. With a trace the large layer behind them shares it, too: each region that a start reads is a chunk of blocks and
// one of inodes to fetch, and small layers in front leave the large one's first inodes in the same chunk. A region's
// snapshots stand on earlier ones only, in an earlier region or before them in their own, so that regions can be
// finished in order.
func (p *Plan) planRegions() {
	shared := false
	for i, snapshot := range p.contents.Snapshots {
		descriptor := p.sources[snapshot.ChainID].layer.Descriptor
		switch {
		case p.kept[i].sure:
			continue
		case p.kept[i].layer != nil:
			p.regions = append(p.regions, regionPlan{snapshots: []int{i}, unsure: true})
			shared = false
			continue
		}
		p.LayerBytes += descriptor.Size
		small := isSmall(descriptor)
		if shared && (small || p.trace != nil) {
			last := &p.regions[len(p.regions)-1]
			last.snapshots = append(last.snapshots, i)
			last.reserve = roundUp(last.reserve+estimate(descriptor.MediaType, descriptor.Size), BlockSize)
		} else {
			p.regions = append(p.regions, regionPlan{
				snapshots: []int{i},
				reserve:   roundUp(estimate(descriptor.MediaType, descriptor.Size), BlockSize),
			})
		}
		shared = small
	}
}

// isSmall tells whether a layer is packed together with its neighbours.
func isSmall(descriptor ocispec.Descriptor) bool { return descriptor.Size <= smallLayer }

// estimate says how many bytes of blocks a layer takes, from its descriptor alone: the layers' places must
// be known before any of them is opened.
func estimate(mediaType string, compressed int64) int64 {
	if strings.HasSuffix(mediaType, "gzip") || strings.HasSuffix(mediaType, "zstd") {
		return inflation * compressed
	}
	return compressed
}
