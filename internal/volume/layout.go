package volume

import (
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/layer"
)

// layoutVersion changes when an older reader or a newer writer could no longer work with a layout record.
const layoutVersion = 1

// LayoutPath is where a volume keeps its layout record: outside of containerd's root, which belongs to
// containerd alone.
const LayoutPath = ".larder/layout.json"

// Layout says where on a volume everything is, so that the next volume can leave it there.
type Layout struct {
	Version int    `json:"version"`
	Format  string `json:"format"`
	// Size is the disk's, in bytes.
	Size    int64          `json:"size"`
	Lineage lineage        `json:"lineage"`
	Images  []LayoutImage  `json:"images"`
	Regions []LayoutRegion `json:"regions"`
}

// LayoutImage is one image of the volume.
type LayoutImage struct {
	Reference string        `json:"reference"`
	Names     []string      `json:"names"`
	Digest    digest.Digest `json:"digest"`
	Platforms []string      `json:"platforms"`
	// Size is the sum of the compressed layers, in bytes.
	Size int64 `json:"size"`
}

// LayoutRegion is a part of the volume that holds one layer, or several small ones.
type LayoutRegion struct {
	// Blocks are runs of 4 KiB blocks of the filesystem, made of whole chunks of 128.
	Blocks []LayoutRun `json:"blocks"`
	// Inodes are runs of inode numbers, made of whole chunks of 2,048.
	Inodes []LayoutRun `json:"inodes"`
	// Digest is the SHA-256 over the SHA-256 sums of the region's chunks: those of Blocks, then those of Inodes.
	Digest string        `json:"digest"`
	Layers []LayoutLayer `json:"layers"`
}

// LayoutRun is a run of blocks or of inodes.
type LayoutRun struct {
	Start uint32 `json:"start"`
	Count uint32 `json:"count"`
}

// LayoutLayer are the facts about a layer that the databases need, without reading it again.
type LayoutLayer struct {
	Blob   digest.Digest `json:"blob"`
	DiffID digest.Digest `json:"diffID"`
	// Bottom layers have no whiteouts: there, a whiteout deletes.
	Bottom bool `json:"bottom,omitempty"`
	// Inherited are the attributes that came from lower layers; with the DiffID they say what the tree is.
	Inherited []layer.Inherited `json:"inherited,omitempty"`
	// Bytes and Inodes are the layer's usage as containerd's snapshotter counts it.
	Bytes  int64 `json:"bytes"`
	Inodes int64 `json:"inodes"`
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
	return &layout, nil
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
