package ctrstore

import (
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
)

var created = time.Unix(1_700_000_000, 0)

func descriptor(mediaType, content string) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromString(content), Size: int64(len(content))}
}

// layers makes layers whose DiffIDs are the digests of their names.
func layers(names ...string) []image.Layer {
	var all []image.Layer
	for _, name := range names {
		all = append(all, image.Layer{
			Descriptor: descriptor(ocispec.MediaTypeImageLayerGzip, "blob of "+name),
			DiffID:     digest.FromString(name),
		})
	}
	return all
}

// chainID is the chain of the layers with these names.
func chainID(names ...string) digest.Digest {
	var diffIDs []digest.Digest
	for _, layer := range layers(names...) {
		diffIDs = append(diffIDs, layer.DiffID)
	}
	return identity.ChainID(diffIDs)
}

// built is an image of one platform: its manifest and the blobs below it.
type built struct {
	manifest image.Manifest
	blobs    []image.Blob
}

// build makes a manifest, its contents being told by its layers and a word to tell it from others.
func build(word string, names ...string) built {
	all := layers(names...)
	configContent := "config of " + word + strings.Join(names, ",")
	manifestContent := "manifest of " + word + strings.Join(names, ",")
	config := descriptor(ocispec.MediaTypeImageConfig, configContent)
	manifest := descriptor(ocispec.MediaTypeImageManifest, manifestContent)
	children := []ocispec.Descriptor{config}
	for _, layer := range all {
		children = append(children, layer.Descriptor)
	}
	return built{
		manifest: image.Manifest{Descriptor: manifest, Config: config, Layers: all},
		blobs: []image.Blob{
			{Descriptor: manifest, Content: []byte(manifestContent), Children: children},
			{Descriptor: config, Content: []byte(configContent), ChainID: chainID(names...)},
		},
	}
}

// single is an image without an index.
func single(repository, tag string, b built) image.Image {
	return image.Image{
		Repository: repository, Tag: tag, Target: b.manifest.Descriptor,
		Manifests: []image.Manifest{b.manifest}, Blobs: b.blobs,
	}
}

// indexed is an image with an index, which lists a platform that is not cached as well.
func indexed(repository, tag string, platforms ...built) image.Image {
	const content = "an index"
	img := image.Image{Repository: repository, Tag: tag, Target: descriptor(ocispec.MediaTypeImageIndex, content)}
	index := image.Blob{Descriptor: img.Target, Content: []byte(content)}
	index.Children = append(index.Children, descriptor(ocispec.MediaTypeImageManifest, "another platform"))
	for _, platform := range platforms {
		index.Children = append(index.Children, platform.manifest.Descriptor)
		img.Manifests = append(img.Manifests, platform.manifest)
		img.Blobs = append(img.Blobs, platform.blobs...)
	}
	img.Blobs = append([]image.Blob{index}, img.Blobs...)
	return img
}

func mustPlan(t testing.TB, images ...image.Image) *Contents {
	t.Helper()
	contents, err := Plan(images)
	if err != nil {
		t.Fatal(err)
	}
	return contents
}
