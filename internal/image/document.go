package image

import (
	"bytes"
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
	// maxLayers is how many directories the kernel stacks in one overlayfs (OVL_MAX_STACK in its
	// fs/overlayfs). containerd unpacks more, but no container starts from them.
	maxLayers = 500
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

// errTooMany ends the reading of a list.
var errTooMany = errors.New("the list is too long")

// errArtifact is what a manifest holds that is no image.
var errArtifact = errors.New("it may be a chart, a model or another artifact")

// decodeList reads a list up to a number of entries: four MiB of "{}" would be hundreds of MiB of structs.
func decodeList[T any](content json.RawMessage, most int) ([]T, error) {
	if len(content) == 0 || string(content) == "null" {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return nil, errors.New("it has something else where a list belongs")
	}
	var list []T
	for decoder.More() {
		if len(list) == most {
			return nil, errTooMany
		}
		var entry T
		if err := decoder.Decode(&entry); err != nil {
			return nil, err
		}
		list = append(list, entry)
	}
	return list, nil
}

func (d document) index() ([]ocispec.Descriptor, error) {
	entries, err := decodeList[ocispec.Descriptor](d.Manifests, maxDescriptors)
	if errors.Is(err, errTooMany) {
		return nil, fmt.Errorf("its index has more than %d entries", maxDescriptors)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing the index: %w", err)
	}
	for _, entry := range entries {
		if err := checkDescriptor(entry, maxLayerBytes); err != nil {
			return nil, fmt.Errorf("reading the index: %w", err)
		}
	}
	return entries, nil
}

// manifest returns the config and the layers of an image.
func (d document) manifest() (config ocispec.Descriptor, layers []ocispec.Descriptor, err error) {
	if len(d.Config) != 0 {
		if err := json.Unmarshal(d.Config, &config); err != nil {
			return config, nil, fmt.Errorf("parsing the manifest: %w", err)
		}
	}
	if !isConfig(config.MediaType) {
		return config, nil, fmt.Errorf("%q is not the media type of an image's config: %w", config.MediaType, errArtifact)
	}
	if err := checkDescriptor(config, maxConfigBytes); err != nil {
		return config, nil, fmt.Errorf("reading the config's descriptor: %w", err)
	}
	layers, err = decodeList[ocispec.Descriptor](d.Layers, maxLayers)
	if errors.Is(err, errTooMany) {
		return config, nil, fmt.Errorf("it has more than %d layers, and Linux stacks no more for a container", maxLayers)
	}
	if err != nil {
		return config, nil, fmt.Errorf("parsing the manifest: %w", err)
	}
	for number, layer := range layers {
		if err := checkLayerType(layer.MediaType); err != nil {
			return config, nil, fmt.Errorf("reading the descriptor of layer %d: %w", number, err)
		}
		if err := checkDescriptor(layer, maxLayerBytes); err != nil {
			return config, nil, fmt.Errorf("reading the descriptor of layer %d: %w", number, err)
		}
	}
	return config, layers, nil
}

// imageConfig has what is read of a config. Its history, which may be as long as it likes, is not.
type imageConfig struct {
	ocispec.Platform
	RootFS struct {
		Type    string          `json:"type"`
		DiffIDs json.RawMessage `json:"diff_ids"`
	} `json:"rootfs"`
}

// parseConfig returns the platform and the diff ids, one per layer.
func parseConfig(content []byte, layers int) (ocispec.Platform, []digest.Digest, error) {
	none := ocispec.Platform{}
	var config imageConfig
	if err := json.Unmarshal(content, &config); err != nil {
		return none, nil, fmt.Errorf("parsing the config: %w", err)
	}
	if config.RootFS.Type != "" && config.RootFS.Type != "layers" {
		return none, nil, fmt.Errorf("its config describes a root filesystem of type %q instead of layers", config.RootFS.Type)
	}
	diffIDs, err := decodeList[digest.Digest](config.RootFS.DiffIDs, layers)
	if errors.Is(err, errTooMany) {
		return none, nil, fmt.Errorf("its manifest has %d layers, but its config has more diff ids", layers)
	}
	if err != nil {
		return none, nil, fmt.Errorf("parsing the config's diff ids: %w", err)
	}
	if len(diffIDs) != layers {
		return none, nil, fmt.Errorf("its manifest has %d layers, but its config has %d diff ids", layers, len(diffIDs))
	}
	for _, diffID := range diffIDs {
		if err := checkDigest(diffID); err != nil {
			return none, nil, fmt.Errorf("reading the config's diff ids: %w", err)
		}
	}
	return config.Platform, diffIDs, nil
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
