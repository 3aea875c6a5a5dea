// Package image finds container images in registries and their mirrors: references as containerd spells them, the
// tags that a policy chooses, what they point at now, the manifests for the wanted platforms, and the bytes of their
// layers.
package image

import (
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is what a reference means at one moment: everything but the layers' bytes.
type Image struct {
	// Reference is the reference as it was asked for.
	Reference string
	// Repository is the normalised repository, with its host: "docker.io/library/nginx".
	Repository string
	// Tag is empty when the reference names a digest.
	Tag string
	// Target describes what the reference points at: an index or a manifest.
	Target ocispec.Descriptor
	// Manifests are the cached ones, one per platform, in the order of the index.
	Manifests []Manifest
	// Blobs are the raw indexes, manifests and configs, each once, parents before children.
	Blobs []Blob
	// MissingPlatforms are wanted platforms ("linux/arm64") that the image does not have.
	MissingPlatforms []string
}

// Manifest is one platform's image.
type Manifest struct {
	// Platform is normalised, without a variant that goes without saying: "linux/amd64", "linux/arm64",
	// "linux/arm/v7". It is what the index says of the manifest, and without an index what the config says.
	Platform   string
	Descriptor ocispec.Descriptor
	Config     ocispec.Descriptor
	// Layers are ordered from the bottom up.
	Layers []Layer
}

// Layer is one layer as the manifest and the config name it.
type Layer struct {
	// Descriptor is the compressed blob's.
	Descriptor ocispec.Descriptor
	// DiffID is the digest of the uncompressed tar.
	DiffID digest.Digest
}

// Blob is a small blob that a containerd content store keeps.
type Blob struct {
	Descriptor ocispec.Descriptor
	Content    []byte
	// Children are the descriptors that the blob refers to, in its own order; nil for a config.
	// Those of other platforms are listed although their blobs are absent, as after a pull.
	Children []ocispec.Descriptor
	// Platform is set on a config, normalised; it is what the config itself says.
	Platform string
	// ChainID is the top layer's chain id; set on a config, empty for an image without layers.
	ChainID digest.Digest
}

// Names returns the three kinds of name under which containerd's CRI keeps an image: by tag (when there is
// one), by digest, and by each config's digest.
func (i *Image) Names() []string {
	names := make([]string, 0, 2+len(i.Manifests))
	if i.Tag != "" {
		names = append(names, i.Repository+":"+i.Tag)
	}
	names = append(names, i.Repository+"@"+i.Target.Digest.String())
	for _, manifest := range i.Manifests {
		names = append(names, manifest.Config.Digest.String())
	}
	return names
}
