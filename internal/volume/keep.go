package volume

import (
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/ext4"
)

// keptLayer is a layer of the parent that a snapshot may have where it is.
type keptLayer struct {
	// layer is nil when the parent has none that fits.
	layer *LayoutLayer
	// sure says that it stands over the same layers there. Over others it may inherit something else.
	sure bool
}

// contentKey is what a layer's own bytes are known by. A known DiffID under an unknown blob digest is only a claim
// of an image's config until the blob was read.
type contentKey struct {
	blob, diffID digest.Digest
	bottom       bool
}

// keep finds the parent's layers again: those over the same layers first, then, for what is left, others with the
// same content, in order. Each is used once, since every snapshot has a directory of its own.
func (p *Plan) keep() {
	p.kept = make([]keptLayer, len(p.contents.Snapshots))
	if p.base == nil {
		return
	}
	byChain := map[digest.Digest]*LayoutLayer{}
	byContent := map[contentKey][]*LayoutLayer{}
	for i := range p.base.layout.Regions {
		for j := range p.base.layout.Regions[i].Layers {
			known := &p.base.layout.Regions[i].Layers[j]
			byChain[known.Chain] = known
		}
	}
	used := map[*LayoutLayer]bool{}
	for i, snapshot := range p.contents.Snapshots {
		if known := byChain[snapshot.ChainID]; known != nil && known.key() == p.key(i) {
			p.kept[i] = keptLayer{layer: known, sure: true}
			used[known] = true
		}
	}
	for i := range p.base.layout.Regions {
		for j := range p.base.layout.Regions[i].Layers {
			if known := &p.base.layout.Regions[i].Layers[j]; !used[known] {
				byContent[known.key()] = append(byContent[known.key()], known)
			}
		}
	}
	for i := range p.contents.Snapshots {
		key := p.key(i)
		if fitting := byContent[key]; p.kept[i].layer == nil && len(fitting) > 0 {
			// A bottom layer inherits nothing.
			p.kept[i] = keptLayer{layer: fitting[0], sure: key.bottom}
			byContent[key] = fitting[1:]
		}
	}
}

func (l *LayoutLayer) key() contentKey {
	return contentKey{blob: l.Blob, diffID: l.DiffID, bottom: l.Bottom}
}

func (p *Plan) key(snapshot int) contentKey {
	s := p.contents.Snapshots[snapshot]
	source := p.sources[s.ChainID].layer
	return contentKey{blob: source.Descriptor.Digest, diffID: source.DiffID, bottom: s.Parent == ""}
}

// sizeUpon sets the size of a volume on its parent: the parent's, if what comes fits there beside what stays, else
// the size computed for both. It refuses a parent that is larger than the volume shall be, and one with more bytes
// of removed layers than of layers.
func (p *Plan) sizeUpon(size int64) error {
	refuse := func(format string, arguments ...any) error {
		return &ParentError{Err: fmt.Errorf(format, arguments...)}
	}
	stays, stale, inodes := p.weigh()
	fits := func(total int64) bool {
		bytes, numbers, err := ext4.Capacity(p.kind.filesystemSize(total))
		return err == nil && bytes >= stays+p.reserved() && numbers >= inodes+p.inodes()
	}
	p.Size = p.base.layout.Size
	switch computed := p.kind.computeSize(stays+p.reserved(), inodes+p.inodes()); {
	case size != 0 && size*gib < p.base.layout.Size:
		return refuse("it has %d GiB, and the volume shall have %d", p.base.layout.Size/gib, size)
	case size != 0:
		p.Size = size * gib
	case p.base.layout.Size/gib > 2*computed:
		return refuse("it has %d GiB, and these images need %d", p.base.layout.Size/gib, computed)
	case !fits(p.base.layout.Size):
		p.Size = max(p.base.layout.Size, computed*gib)
	}
	if stale > stays+p.reserved() {
		return refuse("it would hold %d MiB of removed layers beside %d MiB of layers", stale>>20, (stays+p.reserved())>>20)
	}
	if p.Size/gib > MaxSize {
		return refuse("with what it holds, these images need more than %d GiB", MaxSize)
	}
	capacity, _, err := ext4.Capacity(p.kind.filesystemSize(p.Size))
	if err != nil {
		return err
	}
	if capacity-stays < p.LayerBytes {
		return refuse("it has no room for what is new beside what stays")
	}
	p.shrinkReservations(capacity - stays)
	return nil
}

// weigh adds up what stays where it is, what of the parent would be left behind unused, both in bytes of whole
// chunks, and the inodes of what stays.
func (p *Plan) weigh() (stays, stale, inodes int64) {
	kept := p.keptLayers()
	count := func(ranges []LayoutRange) (sum int64) {
		for _, r := range ranges {
			sum += int64(r.Count)
		}
		return sum
	}
	for i := range p.base.layout.Regions {
		region := &p.base.layout.Regions[i]
		blocks := count(region.Blocks) * ext4.BlockSize
		if slices.ContainsFunc(region.Layers, func(l LayoutLayer) bool { return kept[l.Root] }) {
			stays += blocks
			inodes += count(region.Inodes)
		} else {
			stale += blocks
		}
	}
	stale += count(p.base.layout.Stale) * ext4.BlockSize
	return stays, stale - min(stale, p.reserved()), inodes
}

// keptLayers has the root inodes of the parent's layers that the plan wants to keep.
func (p *Plan) keptLayers() map[uint32]bool {
	roots := map[uint32]bool{}
	for _, kept := range p.kept {
		if kept.layer != nil {
			roots[kept.layer.Root] = true
		}
	}
	return roots
}
