package volume

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"github.com/larder-dev/larder/internal/ctrstore"
	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
)

// Bounds of a volume's size, in GiB.
const (
	// MinSize is the smallest that holds the journal and the tables and something beside.
	MinSize = 2
	// MaxSize is about the largest whose group descriptors fit the space reserved for them.
	MaxSize = 2000
)

const (
	gib = 1 << 30

	// sizeStep and headroom (in percent) of a computed size let an image set grow and keep its placement.
	sizeStep = 8
	headroom = 25

	// inflation is the ratio of filesystem blocks to gzip or zstd bytes for which a layer's first extent is
	// reserved; 2 to 3 is common. A layer that needs more overflows, one that needs less leaves a hole.
	inflation = 3
	// bytesPerInode is how many compressed bytes stand behind one inode in images with many small files. Node.js
	// modules have about 4 KiB, but never make up a whole image.
	bytesPerInode = 8 << 10
	// smallLayer bounds the compressed bytes of a layer that shares its region with its neighbours.
	smallLayer = 64 << 10
)

// Plan is what is going to be on a volume, and where its layers go.
type Plan struct {
	// Images are those on the volume, in the given order.
	Images []image.Image
	// Size is the disk's, in bytes; a whole number of GiB.
	Size int64
	// LayerBytes is the sum of the compressed layers, each counted as often as it is read.
	LayerBytes int64

	contents *ctrstore.Contents
	sources  map[digest.Digest]source
	regions  []regionPlan
	lineage  lineage
}

// source is where a snapshot's layer is downloaded from.
type source struct {
	repository string
	layer      image.Layer
}

// regionPlan is a part of the volume that holds one layer, or several small ones that follow each other.
type regionPlan struct {
	// snapshots are indexes into the contents' snapshots.
	snapshots []int
	// reserve is the size of the first extent, in bytes.
	reserve int64
}

// lineage are the identifiers that stay the same in a chain of volumes where each is the parent of the next.
type lineage struct {
	Filesystem uuid.UUID `json:"filesystem"`
	HashSeed   uuid.UUID `json:"hashSeed"`
	Disk       uuid.UUID `json:"disk"`
}

// TooSmallError says that images cannot fit a volume of the given size.
type TooSmallError struct {
	// Size is the volume's and Need an estimate of what is needed, both in GiB.
	Size, Need int64
}

func (e *TooSmallError) Error() string {
	return fmt.Sprintf("a volume of %d GiB is too small for these images, which need about %d GiB: raise volumeSize, or leave it out to have it computed", e.Size, e.Need)
}

// NewPlan lays out a volume of size GiB; 0 computes the size from the compressed layers.
// Errors: TooSmallError, and image sets that cannot be in one containerd store.
func NewPlan(images []image.Image, size int64) (*Plan, error) {
	contents, err := ctrstore.Plan(images)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Images: images, contents: contents, sources: layerSources(images)}
	plan.regions = planRegions(contents.Snapshots, plan.sources)
	var reserved int64
	for _, snapshot := range contents.Snapshots {
		plan.LayerBytes += plan.sources[snapshot.ChainID].layer.Descriptor.Size
	}
	for _, region := range plan.regions {
		reserved += region.reserve
	}
	switch {
	case size == 0:
		size = computeSize(reserved, plan.LayerBytes)
	case size < MinSize || size > MaxSize:
		return nil, fmt.Errorf("volume size %d GiB: must be from %d to %d GiB", size, MinSize, MaxSize)
	}
	if size > MaxSize {
		return nil, fmt.Errorf("these images need a volume of more than %d GiB, which is the largest: put them into several snapshots", MaxSize)
	}
	plan.Size = size * gib
	capacity, _, err := ext4.Capacity(partitionSize(plan.Size))
	if err != nil {
		return nil, err
	}
	if plan.LayerBytes > capacity {
		return nil, &TooSmallError{Size: size, Need: computeSize(reserved, plan.LayerBytes)}
	}
	plan.shrinkReservations(reserved, capacity)
	plan.lineage = newLineage(images, plan.Size)
	return plan, nil
}

// layerSources finds, for each chain of layers, one repository that has its top layer.
func layerSources(images []image.Image) map[digest.Digest]source {
	sources := map[digest.Digest]source{}
	for _, img := range images {
		for _, manifest := range img.Manifests {
			chain := make([]digest.Digest, len(manifest.Layers))
			for i, layer := range manifest.Layers {
				chain[i] = layer.DiffID
			}
			for i, chainID := range identity.ChainIDs(chain) {
				if _, known := sources[chainID]; !known {
					sources[chainID] = source{repository: img.Repository, layer: manifest.Layers[i]}
				}
			}
		}
	}
	return sources
}

// planRegions gives every snapshot a region, in order; neighbours that are small share one. A region's
// snapshots stand on earlier ones only, in an earlier region or before them in their own, so that regions
// can be finished in order.
func planRegions(snapshots []ctrstore.Snapshot, sources map[digest.Digest]source) []regionPlan {
	var regions []regionPlan
	shared := false
	for i, snapshot := range snapshots {
		descriptor := sources[snapshot.ChainID].layer.Descriptor
		small := descriptor.Size <= smallLayer
		if small && shared {
			last := &regions[len(regions)-1]
			last.snapshots = append(last.snapshots, i)
			last.reserve = roundUp(last.reserve+estimate(descriptor.MediaType, descriptor.Size), BlockSize)
			continue
		}
		regions = append(regions, regionPlan{
			snapshots: []int{i},
			reserve:   roundUp(estimate(descriptor.MediaType, descriptor.Size), BlockSize),
		})
		shared = small
	}
	return regions
}

// estimate says how many bytes of blocks a layer takes, from its descriptor alone: the layers' places must
// be known before any of them is opened.
func estimate(mediaType string, compressed int64) int64 {
	if strings.HasSuffix(mediaType, "gzip") || strings.HasSuffix(mediaType, "zstd") {
		return inflation * compressed
	}
	return compressed
}

// computeSize returns the smallest size in GiB, in steps, that has room for the reserved bytes and the inodes
// to be expected, with headroom; above MaxSize if there is none.
func computeSize(reserved, layerBytes int64) int64 {
	withHeadroom := func(n int64) int64 { return n + n/100*headroom }
	for size := int64(sizeStep); size <= MaxSize; size += sizeStep {
		bytes, inodes, err := ext4.Capacity(partitionSize(size * gib))
		if err == nil && bytes >= withHeadroom(reserved) && inodes >= withHeadroom(layerBytes/bytesPerInode) {
			return size
		}
	}
	return MaxSize + 1
}

// shrinkReservations makes first extents smaller in proportion where they would fill a volume whose size was
// given, so that something is left for overflow, directories and databases.
func (p *Plan) shrinkReservations(reserved, capacity int64) {
	const reservable = 80 // percent of the capacity
	limit := capacity / 100 * reservable
	if reserved <= limit {
		return
	}
	for i := range p.regions {
		share := float64(p.regions[i].reserve) / float64(reserved)
		p.regions[i].reserve = int64(share*float64(limit)) / BlockSize * BlockSize
	}
}

// newLineage derives identifiers from what the volume holds: the same inputs give the same bytes.
func newLineage(images []image.Image, size int64) lineage {
	var lines []string
	for _, img := range images {
		for _, name := range img.Names() {
			lines = append(lines, name+" "+img.Target.Digest.String())
		}
	}
	slices.Sort(lines)
	content := sha256.Sum256([]byte(fmt.Sprintf("%d %d %s", layoutVersion, size, strings.Join(lines, "\n"))))
	derive := func(what string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, append(content[:], what...)) }
	return lineage{Filesystem: derive("filesystem"), HashSeed: derive("hash seed"), Disk: derive("disk")}
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
