package ctrstore

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// snapshotter is the only one that Larder writes for.
	snapshotter = "overlayfs"

	contentRefPrefix = "containerd.io/gc.ref.content"
	snapshotRefKey   = "containerd.io/gc.ref.snapshot." + snapshotter
	sourcePrefix     = "containerd.io/distribution.source."
	chainKey         = "containerd.io/snapshot.ref"

	managedKey   = "io.cri-containerd.image"
	managedValue = "managed"
	pinnedKey    = "io.cri-containerd.pinned"
	pinnedValue  = "pinned"
)

// maxLabel is what a label's key and value may have together, in bytes (containerd pkg/labels/validate.go).
const maxLabel = 4096

// Media types of Docker's image manifest version 2, schema 2.
const (
	dockerManifest    = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig      = "application/vnd.docker.container.image.v1+json"
	dockerLayerPrefix = "application/vnd.docker.image.rootfs."
	ociLayerPrefix    = "application/vnd.oci.image.layer."
)

func imageLabels() map[string]string {
	return map[string]string{managedKey: managedValue, pinnedKey: pinnedValue}
}

// childLabels makes containerd's garbage collector follow a blob to its children.
func childLabels(children []ocispec.Descriptor) map[string]string {
	labels := map[string]string{}
	counts := map[string]int{}
	for _, child := range children {
		key := childKey(child.MediaType)
		if key == "" {
			continue
		}
		n := counts[key]
		counts[key]++
		// containerd numbers keys that end with a dot from 0; of others, which are expected once, the first
		// has no number.
		if n > 0 || strings.HasSuffix(key, ".") {
			labels[key+strconv.Itoa(n)] = child.Digest.String()
			continue
		}
		labels[key] = child.Digest.String()
	}
	return labels
}

// childKey is empty for layers, whose blobs are not in the store.
func childKey(mediaType string) string {
	switch {
	case mediaType == ocispec.MediaTypeImageConfig || mediaType == dockerConfig:
		return contentRefPrefix + ".config"
	case mediaType == ocispec.MediaTypeImageManifest || mediaType == dockerManifest:
		return contentRefPrefix + ".m."
	case strings.HasPrefix(mediaType, ociLayerPrefix) || strings.HasPrefix(mediaType, dockerLayerPrefix):
		return ""
	}
	return contentRefPrefix + "."
}

// addSource adds a repository ("docker.io/library/nginx") to those that a blob came from.
func addSource(labels map[string]string, repository string) error {
	location, err := url.Parse("dummy://" + repository)
	if err != nil {
		return fmt.Errorf("reading the repository name %q: %w", repository, err)
	}
	key := sourcePrefix + location.Hostname()
	var paths []string
	if known := labels[key]; known != "" {
		paths = strings.Split(known, ",")
	}
	paths = append(paths, strings.TrimPrefix(location.Path, "/"))
	slices.Sort(paths)
	value := strings.Join(slices.Compact(paths), ",")
	// The label only helps a push to find what its registry has already; containerd leaves it out as well.
	if len(key)+len(value) <= maxLabel {
		labels[key] = value
	}
	return nil
}
