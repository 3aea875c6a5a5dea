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

	// bytesPerInode is how many compressed bytes stand behind one inode in images with many small files. Node.js
	// modules have about 4 KiB, but never make up a whole image.
	bytesPerInode = 8 << 10

	// metaReserve and the two below it are what is reserved for the directories, databases and the layout record:
	// for any volume, for each layer and for each blob, in bytes. Databases of 3,000 layers have 32 MiB.
	metaReserve  = 1 << 20
	metaPerLayer = 12 << 10
	metaPerBlob  = 4 << 10
)

// Plan is what is going to be on a volume, and where its layers go.
type Plan struct {
	// Images are those on the volume, in the given order.
	Images []image.Image
	// Size is the disk's, in bytes; a whole number of GiB.
	Size int64
	// LayerBytes is the sum of the compressed layers that have to be read, each counted as often as it is.
	LayerBytes int64

	kind *kind
	// contents are containerd's store; without one they are empty, and files says what is there instead.
	contents *ctrstore.Contents
	sources  map[digest.Digest]source
	files    []imageFiles
	// base is the parent, or nil, and kept says which of its layers each snapshot has.
	base *base
	kept []keptLayer
	// regions are those to be written.
	regions []regionPlan
	// meta is what is reserved for everything that is not a layer, in bytes.
	meta    int64
	lineage lineage
	// trace has the files that are laid together; nil for none.
	trace *Trace
}

// source is where a snapshot's layer is downloaded from.
type source struct {
	repository string
	layer      image.Layer
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

// newPlan lays out a volume of size GiB; 0 computes the size. Layers that base has stay where they are; base may
// be nil, and so may trace. Errors: TooSmallError, FormatError, image sets that cannot be in one containerd store,
// and ParentError for a base that a volume of its own is better than.
func newPlan(kind *kind, images []image.Image, size int64, base *base, trace *Trace) (*Plan, error) {
	if size != 0 && (size < MinSize || size > MaxSize) {
		return nil, fmt.Errorf("volume size %d GiB: must be from %d to %d GiB", size, MinSize, MaxSize)
	}
	if err := base.checkTrace(trace); err != nil {
		return nil, &ParentError{Err: err}
	}
	plan := &Plan{Images: images, kind: kind, contents: &ctrstore.Contents{}, base: base, trace: trace}
	err := kind.plan(plan)
	if err != nil {
		return nil, err
	}
	if base == nil {
		err = plan.sizeAnew(size)
		plan.lineage = newLineage(kind.name, images, plan.Size, trace)
	} else {
		err = plan.sizeUpon(size)
		plan.lineage = base.layout.Lineage
	}
	if err != nil {
		return nil, err
	}
	return plan, nil
}

// planContainerd plans containerd's root directory.
func (p *Plan) planContainerd() (err error) {
	if p.contents, err = ctrstore.Plan(p.Images); err != nil {
		return err
	}
	p.sources = layerSources(p.Images)
	p.keep()
	p.planRegions()
	p.meta = metaBytes(p.contents)
	return nil
}

// sizeAnew sets the size of a volume without a parent.
func (p *Plan) sizeAnew(size int64) error {
	reserved := p.reserved()
	if size == 0 {
		size = p.kind.computeSize(reserved, p.inodes())
	}
	if size > MaxSize {
		return fmt.Errorf("these images need a volume of more than %d GiB, which is the largest: put them into several snapshots", MaxSize)
	}
	p.Size = size * gib
	capacity, _, err := ext4.Capacity(p.kind.filesystemSize(p.Size))
	if err != nil {
		return err
	}
	if p.LayerBytes > capacity {
		return &TooSmallError{Size: size, Need: p.kind.computeSize(reserved, p.inodes())}
	}
	p.shrinkReservations(capacity)
	return nil
}

// parent is nil for a volume without one.
func (p *Plan) parent() RawDisk {
	if p.base == nil {
		return nil
	}
	return p.base.disk
}

// reserved is the sum of all first extents, in bytes.
func (p *Plan) reserved() int64 {
	sum := p.meta
	for _, region := range p.regions {
		sum += region.reserve
	}
	return sum
}

// inodes is how many the layers that are read may need.
func (p *Plan) inodes() int64 { return p.LayerBytes / bytesPerInode }

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

// metaBytes is what to reserve for everything that is not a layer; what needs more overflows. It is rounded up
// far, so that it stays the same while a set of images changes little.
func metaBytes(contents *ctrstore.Contents) int64 {
	need := int64(metaReserve + metaPerLayer*len(contents.Snapshots))
	for _, blob := range contents.Blobs {
		need += metaPerBlob + int64(len(blob.Content))
	}
	reserve := int64(metaReserve)
	for reserve < need {
		reserve *= 2
	}
	return reserve
}

// computeSize returns the smallest size in GiB, in steps, that has room for the reserved bytes and the inodes
// to be expected, with headroom; above MaxSize if there is none.
func (k *kind) computeSize(reserved, expectedInodes int64) int64 {
	withHeadroom := func(n int64) int64 { return n + n/100*headroom }
	for size := int64(sizeStep); size <= MaxSize; size += sizeStep {
		bytes, inodes, err := ext4.Capacity(k.filesystemSize(size * gib))
		if err == nil && bytes >= withHeadroom(reserved) && inodes >= withHeadroom(expectedInodes) {
			return size
		}
	}
	return MaxSize + 1
}

// shrinkReservations makes first extents smaller in proportion where they would fill the space there is, in bytes,
// so that something is left for overflow, directories and databases.
func (p *Plan) shrinkReservations(space int64) {
	const reservable = 80 // percent of the space
	reserved, limit := p.reserved(), space/100*reservable
	if reserved <= limit {
		return
	}
	shrink := func(reserve int64) int64 {
		return int64(float64(reserve)/float64(reserved)*float64(limit)) / BlockSize * BlockSize
	}
	for i := range p.regions {
		p.regions[i].reserve = shrink(p.regions[i].reserve)
	}
	p.meta = shrink(p.meta)
}

// newLineage derives identifiers from what the volume holds: the same inputs give the same bytes.
func newLineage(format Format, images []image.Image, size int64, trace *Trace) lineage {
	var lines []string
	for _, img := range images {
		for _, name := range img.Names() {
			lines = append(lines, name+" "+img.Target.Digest.String())
		}
	}
	if trace != nil {
		lines = append(lines, "trace "+trace.digest().String())
	}
	slices.Sort(lines)
	content := sha256.Sum256([]byte(fmt.Sprintf("%d %s %d %s", layoutVersion, format, size, strings.Join(lines, "\n"))))
	derive := func(what string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, append(content[:], what...)) }
	return lineage{Filesystem: derive("filesystem"), HashSeed: derive("hash seed"), Disk: derive("disk")}
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
