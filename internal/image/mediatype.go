package image

import (
	"fmt"
	"mime"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's media types of schema 2 (docs.docker.com: Image Manifest Version 2, Schema 2).
const (
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig       = "application/vnd.docker.container.image.v1+json"
	dockerLayer        = "application/vnd.docker.image.rootfs.diff.tar"
	dockerSchema1      = "application/vnd.docker.distribution.manifest.v1"
)

// acceptable is what a registry is told we read. Without it some registries convert to schema 1.
var acceptable = strings.Join([]string{
	ocispec.MediaTypeImageIndex, dockerManifestList, ocispec.MediaTypeImageManifest, dockerManifest,
}, ", ")

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerManifestList
}

func isManifest(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == dockerManifest
}

func isConfig(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageConfig || mediaType == dockerConfig
}

// checkLayerType refuses layers that containerd would not unpack, or only from elsewhere or with a key.
func checkLayerType(mediaType string) error {
	switch mediaType {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		dockerLayer, dockerLayer + ".gzip", dockerLayer + ".zstd":
		return nil
	}
	switch {
	case strings.HasSuffix(mediaType, "+encrypted"):
		return fmt.Errorf("its layers are encrypted (%s)", mediaType)
	case strings.Contains(mediaType, ".nondistributable.") || strings.Contains(mediaType, ".foreign."):
		return fmt.Errorf("it has layers that its registry does not hold (%s)", mediaType)
	}
	return fmt.Errorf("%q is not the media type of an image layer: %w", mediaType, errArtifact)
}

// mediaTypeOf believes the registry's header, as containerd does, unless that is missing or a generic type, as
// some plain file servers send; then the document's own field counts.
func mediaTypeOf(header, field string) string {
	mediaType, _, err := mime.ParseMediaType(header)
	if err == nil && strings.HasPrefix(mediaType, "application/vnd.") {
		return mediaType
	}
	return field
}
