package ctrstore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
)

// Contents is what a containerd store holds for a set of images.
type Contents struct {
	// Blobs are the small ones, each once.
	Blobs []Blob
	// Images are the image records, sorted by name.
	Images []ImageRecord
	// Snapshots are ordered parents first. Their sizes and inodes are the caller's to set before
	// [Contents.WriteDatabases]: they are known only when the layers have been unpacked.
	Snapshots []Snapshot
}

// Blob is an index, a manifest or a config in the content store.
type Blob struct {
	Descriptor ocispec.Descriptor
	Content    []byte
	Labels     map[string]string
}

// ImageRecord is a name and what it stands for.
type ImageRecord struct {
	Name string
	// Target has digest, media type and size in bytes, as containerd keeps them.
	Target ocispec.Descriptor
	Labels map[string]string
}

// Pinned tells whether kubelet is kept from collecting the image.
func (r *ImageRecord) Pinned() bool { return r.Labels[pinnedKey] == pinnedValue }

// Snapshot is one unpacked chain of layers.
type Snapshot struct {
	// ID is the directory's name below snapshots, from 1.
	ID uint64
	// ChainID identifies the layer together with all below it.
	ChainID digest.Digest
	// Parent is the chain id of the layers below, empty at the bottom.
	Parent digest.Digest
	// DiffID is the digest of the layer's uncompressed tar.
	DiffID digest.Digest
	// Size is the space that its files take on disk, in bytes, and Inodes their number, "fs" included: what
	// containerd's continuity fs.DiskUsage counts.
	Size, Inodes int64
}

// Plan says what the store holds for these images: blobs, chains of layers and names that they share are there
// once. It fails if two of them give one tag different contents.
func Plan(images []image.Image) (*Contents, error) {
	p := &planner{blobs: map[digest.Digest]int{}, names: map[string]ImageRecord{}, chains: map[digest.Digest]bool{}}
	for i := range images {
		if err := p.add(&images[i]); err != nil {
			return nil, err
		}
	}
	for _, record := range p.names {
		p.contents.Images = append(p.contents.Images, record)
	}
	slices.SortFunc(p.contents.Images, func(a, b ImageRecord) int { return strings.Compare(a.Name, b.Name) })
	return &p.contents, nil
}

type planner struct {
	contents Contents
	// blobs are indexes into the contents' blobs.
	blobs  map[digest.Digest]int
	names  map[string]ImageRecord
	chains map[digest.Digest]bool
}

func (p *planner) add(img *image.Image) error {
	tops := map[digest.Digest]digest.Digest{}
	for _, manifest := range img.Manifests {
		tops[manifest.Config.Digest] = p.addChain(manifest.Layers)
	}
	for _, blob := range img.Blobs {
		if err := p.addBlob(blob, img.Repository, tops[blob.Descriptor.Digest]); err != nil {
			return err
		}
	}
	target := ocispec.Descriptor{MediaType: img.Target.MediaType, Digest: img.Target.Digest, Size: img.Target.Size}
	for _, name := range img.Names() {
		known, found := p.names[name]
		// A config's name may have several targets, such as an index and the manifest in it: the last one
		// counts, as after two pulls.
		if found && known.Target.Digest != target.Digest && !isDigest(name) {
			return fmt.Errorf("planning the image %s: it was resolved to %s and to %s: resolve the images again",
				name, known.Target.Digest, target.Digest)
		}
		p.names[name] = ImageRecord{Name: name, Target: target, Labels: imageLabels()}
	}
	return nil
}

func isDigest(name string) bool { return digest.Digest(name).Validate() == nil }

// addChain adds the snapshots of layers from the bottom up and returns the top one's chain id.
func (p *planner) addChain(layers []image.Layer) digest.Digest {
	chain := make([]digest.Digest, len(layers))
	for i, layer := range layers {
		chain[i] = layer.DiffID
	}
	var parent digest.Digest
	for i, chainID := range identity.ChainIDs(chain) {
		if !p.chains[chainID] {
			p.chains[chainID] = true
			p.contents.Snapshots = append(p.contents.Snapshots, Snapshot{
				ID:      uint64(len(p.contents.Snapshots) + 1),
				ChainID: chainID,
				Parent:  parent,
				DiffID:  layers[i].DiffID,
			})
		}
		parent = chainID
	}
	return parent
}

func (p *planner) addBlob(blob image.Blob, repository string, top digest.Digest) error {
	i, known := p.blobs[blob.Descriptor.Digest]
	if !known {
		i = len(p.contents.Blobs)
		p.blobs[blob.Descriptor.Digest] = i
		p.contents.Blobs = append(p.contents.Blobs, Blob{
			Descriptor: blob.Descriptor,
			Content:    blob.Content,
			Labels:     childLabels(blob.Children),
		})
	}
	labels := p.contents.Blobs[i].Labels
	if top != "" {
		labels[snapshotRefKey] = top.String()
	}
	return addSource(labels, repository)
}
