package registry

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's media types of schema 2.
const (
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig       = "application/vnd.docker.container.image.v1+json"
	dockerLayer        = "application/vnd.docker.image.rootfs.diff.tar"
)

// Artifact is what a reference can point at: an Image or an Index.
type Artifact interface {
	// build returns the artifact's own descriptor, and adds its blobs to the set.
	build(set *Built) (ocispec.Descriptor, error)
}

// Image is one platform's image.
type Image struct {
	// Layers are ordered from the bottom up.
	Layers []Layer
	// Platform is "os/architecture[/variant]"; empty means linux/amd64.
	Platform string
	// Docker makes it Docker's schema 2 rather than OCI.
	Docker bool
	// Entrypoint, Env and User go into the config as they stand.
	Entrypoint []string
	Env        []string
	User       string
}

// Index points at several artifacts: images of several platforms, or further indexes.
type Index struct {
	Entries []Artifact
	// Docker makes it a manifest list rather than an OCI index.
	Docker bool
	// WithoutPlatforms leaves the images' platforms out, so that a reader has to look into their configs.
	WithoutPlatforms bool
}

// Built is an artifact with all its blobs, ready to be pushed.
type Built struct {
	// Descriptor is the artifact's own.
	Descriptor ocispec.Descriptor
	// Manifests are the indexes and manifests, children before parents, as registries want them pushed.
	Manifests []Blob
	// Blobs are the configs and layers.
	Blobs []Blob
}

// Blob is a descriptor and the bytes that it describes.
type Blob struct {
	Descriptor ocispec.Descriptor
	Content    []byte
}

// Build makes an artifact's bytes without a registry.
func Build(artifact Artifact) (*Built, error) {
	set := &Built{}
	descriptor, err := artifact.build(set)
	if err != nil {
		return nil, fmt.Errorf("building an image: %w", err)
	}
	set.Descriptor = descriptor
	return set, nil
}

func (i Image) build(set *Built) (ocispec.Descriptor, error) {
	none := ocispec.Descriptor{}
	platform := i.platform()
	config := ocispec.Image{
		Created:  &Epoch,
		Platform: platform,
		Config:   ocispec.ImageConfig{Entrypoint: i.Entrypoint, Env: i.Env, User: i.User},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}},
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: i.pick(ocispec.MediaTypeImageManifest, dockerManifest),
		Layers:    []ocispec.Descriptor{},
	}
	for number, layer := range i.Layers {
		built, err := layer.build(i.Docker)
		if err != nil {
			return none, fmt.Errorf("building layer %d: %w", number, err)
		}
		set.Blobs = append(set.Blobs, Blob{Descriptor: built.descriptor, Content: built.content})
		manifest.Layers = append(manifest.Layers, built.descriptor)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, built.diffID)
		config.History = append(config.History, ocispec.History{Created: &Epoch, CreatedBy: fmt.Sprintf("layer %d", number)})
	}
	configBlob, err := encode(i.pick(ocispec.MediaTypeImageConfig, dockerConfig), config)
	if err != nil {
		return none, err
	}
	set.Blobs = append(set.Blobs, configBlob)
	manifest.Config = configBlob.Descriptor
	manifestBlob, err := encode(manifest.MediaType, manifest)
	if err != nil {
		return none, err
	}
	set.Manifests = append(set.Manifests, manifestBlob)
	descriptor := manifestBlob.Descriptor
	descriptor.Platform = &platform
	return descriptor, nil
}

func (i Image) platform() ocispec.Platform {
	text := i.Platform
	if text == "" {
		text = "linux/amd64"
	}
	parts := strings.SplitN(text, "/", 3)
	platform := ocispec.Platform{OS: parts[0]}
	if len(parts) > 1 {
		platform.Architecture = parts[1]
	}
	if len(parts) > 2 {
		platform.Variant = parts[2]
	}
	return platform
}

func (i Image) pick(oci, docker string) string {
	if i.Docker {
		return docker
	}
	return oci
}

func (i Index) build(set *Built) (ocispec.Descriptor, error) {
	none := ocispec.Descriptor{}
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{},
	}
	if i.Docker {
		index.MediaType = dockerManifestList
	}
	for number, entry := range i.Entries {
		descriptor, err := entry.build(set)
		if err != nil {
			return none, fmt.Errorf("building entry %d of an index: %w", number, err)
		}
		if i.WithoutPlatforms {
			descriptor.Platform = nil
		}
		index.Manifests = append(index.Manifests, descriptor)
	}
	blob, err := encode(index.MediaType, index)
	if err != nil {
		return none, err
	}
	set.Manifests = append(set.Manifests, blob)
	return blob.Descriptor, nil
}

func encode(mediaType string, document any) (Blob, error) {
	content, err := json.Marshal(document)
	if err != nil {
		return Blob{}, fmt.Errorf("encoding %s: %w", mediaType, err)
	}
	return Blob{Descriptor: describe(mediaType, content), Content: content}, nil
}

func describe(mediaType string, content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}
