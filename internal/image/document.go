package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// maxManifestBytes is what containerd accepts of an index or manifest at most (MaxManifestSize in its
	// core/remotes/docker/resolver.go, where 1048 stands for 1024): a larger one cannot be pulled by a node.
	maxManifestBytes = 4 * 1048 * 1048
	// maxConfigBytes bounds a config, which containerd does not: twice a manifest's limit, and a thousand
	// times a usual config.
	maxConfigBytes = 8 << 20
	// maxLayerBytes is the largest filesystem of 4 KiB blocks with 32-bit numbers; no layer can be larger.
	maxLayerBytes = 16 << 40
	// maxDescriptors is how many references containerd follows in one image (maxReferences in its
	// core/images/handlers.go).
	maxDescriptors = 10_000
	// maxIndexDepth bounds indexes within indexes; containerd's only bound is maxDescriptors, and real
	// images have one level.
	maxIndexDepth = 8
)

// document has what tells the kinds of JSON apart, so that one kind cannot pose as another: the same digest
// read as index here and as manifest on a node would be two different images.
type document struct {
	MediaType string          `json:"mediaType"`
	Config    json.RawMessage `json:"config"`
	Layers    json.RawMessage `json:"layers"`
	Manifests json.RawMessage `json:"manifests"`
	FSLayers  json.RawMessage `json:"fsLayers"`
}

func parseDocument(content []byte) (document, error) {
	var parsed document
	if err := json.Unmarshal(content, &parsed); err != nil {
		return document{}, fmt.Errorf("parsing the manifest: %w", err)
	}
	return parsed, nil
}

func (d document) check(mediaType string) error {
	switch {
	case len(d.FSLayers) != 0 || strings.HasPrefix(mediaType, dockerSchema1):
		return errors.New("it is in Docker's schema 1, which containerd no longer reads: push it again with a current tool")
	case !isIndex(mediaType) && !isManifest(mediaType):
		return fmt.Errorf("%q is neither an image nor an image index", mediaType)
	case isManifest(mediaType) && (len(d.Manifests) != 0 || isIndex(d.MediaType)):
		return fmt.Errorf("an index poses as %s", mediaType)
	case isIndex(mediaType) && (len(d.Config) != 0 || len(d.Layers) != 0 || isManifest(d.MediaType)):
		return fmt.Errorf("a manifest poses as %s", mediaType)
	}
	return nil
}

func parseIndex(content []byte) ([]ocispec.Descriptor, error) {
	var index ocispec.Index
	if err := json.Unmarshal(content, &index); err != nil {
		return nil, fmt.Errorf("parsing the index: %w", err)
	}
	for _, entry := range index.Manifests {
		if err := checkDescriptor(entry, maxLayerBytes); err != nil {
			return nil, fmt.Errorf("reading the index: %w", err)
		}
	}
	return index.Manifests, nil
}

func parseManifest(content []byte) (ocispec.Manifest, error) {
	var manifest ocispec.Manifest
	if err := json.Unmarshal(content, &manifest); err != nil {
		return manifest, fmt.Errorf("parsing the manifest: %w", err)
	}
	if !isConfig(manifest.Config.MediaType) {
		return manifest, fmt.Errorf("%q is not the media type of an image's config: it may be a chart, a model or another artifact",
			manifest.Config.MediaType)
	}
	if err := checkDescriptor(manifest.Config, maxConfigBytes); err != nil {
		return manifest, fmt.Errorf("reading the config's descriptor: %w", err)
	}
	for number, layer := range manifest.Layers {
		if err := checkLayerType(layer.MediaType); err != nil {
			return manifest, err
		}
		if err := checkDescriptor(layer, maxLayerBytes); err != nil {
			return manifest, fmt.Errorf("reading the descriptor of layer %d: %w", number, err)
		}
	}
	return manifest, nil
}

// parseConfig reads a config and checks that it has one diff id per layer.
func parseConfig(content []byte, layers int) (ocispec.Image, error) {
	var config ocispec.Image
	if err := json.Unmarshal(content, &config); err != nil {
		return config, fmt.Errorf("parsing the config: %w", err)
	}
	if config.RootFS.Type != "" && config.RootFS.Type != "layers" {
		return config, fmt.Errorf("its config describes a root filesystem of type %q instead of layers", config.RootFS.Type)
	}
	if len(config.RootFS.DiffIDs) != layers {
		return config, fmt.Errorf("its manifest has %d layers, but its config has %d diff ids", layers, len(config.RootFS.DiffIDs))
	}
	for _, diffID := range config.RootFS.DiffIDs {
		if err := checkDigest(diffID); err != nil {
			return config, fmt.Errorf("reading the config's diff ids: %w", err)
		}
	}
	return config, nil
}

func checkDescriptor(descriptor ocispec.Descriptor, maxBytes int64) error {
	if err := checkDigest(descriptor.Digest); err != nil {
		return err
	}
	if descriptor.Size < 0 || descriptor.Size > maxBytes {
		return fmt.Errorf("%s is said to have %d bytes, which is not between 0 and %d", descriptor.Digest, descriptor.Size, maxBytes)
	}
	return nil
}

// checkDigest accepts SHA-256 alone: it is what every registry serves, and what the volume's layout is keyed by.
func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("%q is not a digest: %w", d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %s is not SHA-256", d)
	}
	return nil
}
