package volume

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/tree"
)

// layoutVersion changes when an older reader or a newer writer could no longer work with a layout record.
const layoutVersion = 1

// LayoutPath is where a volume keeps its layout record: outside of containerd's root, which belongs to
// containerd alone.
const LayoutPath = ".larder/layout.json"

// Layout says where on a volume everything is, so that the next volume can leave it there.
type Layout struct {
	Version int    `json:"version"`
	Format  Format `json:"format"`
	// Size is the disk's, in bytes.
	Size    int64          `json:"size"`
	Lineage lineage        `json:"lineage"`
	Images  []LayoutImage  `json:"images"`
	Regions []LayoutRegion `json:"regions"`
	// Meta are the chunks of blocks reserved for what is not a layer (blobs, databases, this record), and
	// MetaInodes those of inodes.
	Meta       []LayoutRange `json:"meta"`
	MetaInodes []LayoutRange `json:"metaInodes"`
	// Stale are chunks that hold bytes of removed layers, and that nothing has.
	Stale []LayoutRange `json:"stale,omitempty"`
	// Trace is the digest of the trace by which the layers are laid out; empty without one.
	Trace digest.Digest `json:"trace,omitempty"`
}

// Used is what containerd's snapshots, or the images' files, take of the filesystem, in bytes.
func (l *Layout) Used() int64 {
	var used int64
	for _, img := range l.Images {
		used += img.Used
	}
	for _, region := range l.Regions {
		for _, layer := range region.Layers {
			used += layer.Bytes
		}
	}
	return used
}

// LayoutImage is one image of the volume.
type LayoutImage struct {
	Reference string        `json:"reference"`
	Names     []string      `json:"names"`
	Digest    digest.Digest `json:"digest"`
	Platforms []string      `json:"platforms"`
	// Size is the sum of the compressed layers, in bytes.
	Size int64 `json:"size"`
	// Directory is where the image's files are, and Used what they take, in bytes; only in the format Files.
	Directory string `json:"directory,omitempty"`
	Used      int64  `json:"used,omitempty"`
}

// LayoutRegion is a part of the volume that holds one layer, or several small ones.
type LayoutRegion struct {
	// Blocks are 4 KiB blocks of the filesystem in whole chunks of 128, in the order in which they were filled.
	Blocks []LayoutRange `json:"blocks"`
	// Inodes are inode numbers in whole chunks of 2,048.
	Inodes []LayoutRange `json:"inodes"`
	// Digest is the SHA-256 over the SHA-256 sums of the region's chunks: those of Blocks, then those of Inodes.
	Digest string        `json:"digest"`
	Layers []LayoutLayer `json:"layers"`
}

// LayoutRange is a run of blocks or of inodes.
type LayoutRange struct {
	Start uint32 `json:"start"`
	Count uint32 `json:"count"`
}

// LayoutLayer are the facts about a layer that the next volume needs, without reading the layer again.
type LayoutLayer struct {
	Blob   digest.Digest `json:"blob"`
	DiffID digest.Digest `json:"diffID"`
	// Chain identifies the layer together with all below it.
	Chain digest.Digest `json:"chain"`
	// Bottom layers have no whiteouts: there, a whiteout deletes.
	Bottom bool `json:"bottom,omitempty"`
	// Inherited are the attributes that came from lower layers; with the DiffID they say what the tree is.
	Inherited []layer.Inherited `json:"inherited,omitempty"`
	// Bytes and Files are the layer's usage as containerd's snapshotter counts it.
	Bytes int64 `json:"bytes"`
	Files int64 `json:"files"`
	// Snapshot names the snapshot's directory on this volume, and Root is that directory's inode number.
	Snapshot uint64 `json:"snapshot"`
	Root     uint32 `json:"root"`
	// Blocks and Inodes are those in use, and Directories counts the directories by block group.
	Blocks      []LayoutRange     `json:"blocks"`
	Inodes      []LayoutRange     `json:"inodes"`
	Directories map[uint32]uint32 `json:"directories"`
	// Structure are those of Blocks without files' bytes: directories, long links, attributes, extent trees.
	Structure []LayoutRange `json:"structure"`
	// Hot are those of Blocks, and HotInodes those of Inodes, that the trace leads to: its files and what finding them
	// takes. Both are empty without one.
	Hot       []LayoutRange `json:"hot,omitempty"`
	HotInodes []LayoutRange `json:"hotInodes,omitempty"`
}

// ranges converts between the records of this package and of those that it stands on.
func ranges[T tree.Extent | ext4.Range](from []T) []LayoutRange {
	converted := make([]LayoutRange, len(from))
	for i, r := range from {
		converted[i] = LayoutRange(r)
	}
	return converted
}

func rangesOf[T tree.Extent | ext4.Range](from []LayoutRange) []T {
	converted := make([]T, len(from))
	for i, r := range from {
		converted[i] = T(r)
	}
	return converted
}

// placement is the region as the filesystem writer knows it.
func (r *LayoutRegion) placement() ext4.Layout {
	placed := ext4.Layout{Blocks: rangesOf[tree.Extent](r.Blocks), Inodes: rangesOf[ext4.Range](r.Inodes)}
	for _, l := range r.Layers {
		placed.Trees = append(placed.Trees, ext4.TreeLayout{
			Root:        l.Root,
			Blocks:      rangesOf[tree.Extent](l.Blocks),
			Inodes:      rangesOf[ext4.Range](l.Inodes),
			Directories: l.Directories,
		})
	}
	return placed
}

// place records where the filesystem writer put a layer.
func (l *LayoutLayer) place(placed ext4.TreeLayout) {
	l.Root, l.Blocks, l.Inodes, l.Directories = placed.Root, ranges(placed.Blocks), ranges(placed.Inodes), placed.Directories
	l.Structure = ranges(placed.Structure)
	l.Hot, l.HotInodes = ranges(placed.Hot), ranges(placed.HotInodes)
}

// parseLayout reads a layout record.
func parseLayout(data []byte) (*Layout, error) {
	var layout Layout
	if err := json.Unmarshal(data, &layout); err != nil {
		return nil, fmt.Errorf("reading the layout record: %w", err)
	}
	if layout.Version != layoutVersion {
		return nil, fmt.Errorf("reading the layout record: version %d is not known to this release, which writes version %d", layout.Version, layoutVersion)
	}
	if err := layout.check(); err != nil {
		return nil, fmt.Errorf("reading the layout record: %w", err)
	}
	return &layout, nil
}

// check makes sure that all blocks are on the disk, and whole chunks where they have to be; a record may come from
// anyone.
func (l *Layout) check() error {
	chunks := slices.Concat(l.Meta, l.Stale)
	var blocks []LayoutRange
	for _, region := range l.Regions {
		chunks = append(chunks, region.Blocks...)
		for _, layer := range region.Layers {
			blocks = append(append(blocks, layer.Blocks...), layer.Structure...)
			if r, ok := within(layer.Hot, layer.Blocks); !ok {
				return fmt.Errorf("the hot blocks %d+%d are not the layer's", r.Start, r.Count)
			}
			if r, ok := within(layer.HotInodes, layer.Inodes); !ok {
				return fmt.Errorf("the hot inodes %d+%d are not the layer's", r.Start, r.Count)
			}
		}
	}
	for _, r := range chunks {
		if r.Start%chunkBlocks != 0 || r.Count%chunkBlocks != 0 {
			return fmt.Errorf("the blocks %d+%d are not whole chunks", r.Start, r.Count)
		}
	}
	for _, r := range append(blocks, chunks...) {
		if end := int64(r.Start) + int64(r.Count); end*ext4.BlockSize > l.Size {
			return fmt.Errorf("the blocks %d+%d are not on the disk", r.Start, r.Count)
		}
	}
	return nil
}

// within returns a range that is not in a single one of others, which are in ascending order, if there is any.
func within(ranges, others []LayoutRange) (outside LayoutRange, ok bool) {
	for _, r := range ranges {
		at, found := slices.BinarySearchFunc(others, r.Start, func(other LayoutRange, start uint32) int {
			return cmp.Compare(other.Start, start)
		})
		if !found {
			at--
		}
		if at < 0 || uint64(r.Start)+uint64(r.Count) > uint64(others[at].Start)+uint64(others[at].Count) {
			return r, false
		}
	}
	return LayoutRange{}, true
}

// layoutImages lists a plan's images.
func (p *Plan) layoutImages() []LayoutImage {
	images := make([]LayoutImage, 0, len(p.Images))
	for _, img := range p.Images {
		entry := LayoutImage{Reference: img.Reference, Names: img.Names(), Digest: img.Target.Digest}
		for _, manifest := range img.Manifests {
			entry.Platforms = append(entry.Platforms, manifest.Platform)
			for _, l := range manifest.Layers {
				entry.Size += l.Descriptor.Size
			}
		}
		images = append(images, entry)
	}
	return images
}

func hexDigest(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
