package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// resolver reads one image's indexes, manifests and configs, each once.
type resolver struct {
	source    *source
	reference string
	// blobs holds what was read, by digest.
	blobs map[digest.Digest]*Blob
	// needed are the digests of what leads to a chosen manifest, itself and its config included.
	needed map[digest.Digest]bool
	// descriptors counts the references seen so far.
	descriptors int
}

func (r *resolver) resolve(ctx context.Context, parsed Reference, wanted []wantedPlatform) (*Image, error) {
	target, err := r.readTarget(ctx, parsed)
	if err != nil {
		return nil, err
	}
	image := &Image{
		Reference:  r.reference,
		Repository: parsed.Repository,
		Tag:        parsed.Tag,
		Target:     target,
	}
	chosen := map[digest.Digest]Manifest{}
	for _, platform := range wanted {
		manifest, err := r.choose(ctx, target, platform.match, 0)
		if err != nil {
			return nil, err
		}
		if manifest == nil {
			image.MissingPlatforms = append(image.MissingPlatforms, platform.name)
			continue
		}
		chosen[manifest.Descriptor.Digest] = *manifest
	}
	if len(chosen) == 0 {
		return nil, r.fail(PlatformMissing, fmt.Errorf("wanted: %s; it has: %s",
			strings.Join(image.MissingPlatforms, ", "), r.offered(target)))
	}
	r.collect(image, target, chosen)
	slices.Reverse(image.Blobs)
	slices.Reverse(image.Manifests)
	return image, nil
}

// choose follows one platform down from a manifest or an index to the manifest that containerd would use; it
// returns nil if there is none.
func (r *resolver) choose(ctx context.Context, from ocispec.Descriptor, match platforms.MatchComparer, depth int) (*Manifest, error) {
	if depth > maxIndexDepth {
		return nil, r.fail(Unsupported, fmt.Errorf("its indexes are nested more than %d deep", maxIndexDepth))
	}
	if !isIndex(from.MediaType) && !isManifest(from.MediaType) {
		return nil, nil // an artifact beside the images: a signature, an attestation
	}
	blob, err := r.read(ctx, from)
	if errors.Is(err, errArtifact) && depth > 0 && from.Platform == nil {
		return nil, nil // another such artifact: only reading it told so
	}
	if err != nil {
		return nil, err
	}
	if isManifest(from.MediaType) {
		return r.readImage(ctx, blob, from, match)
	}
	fitting := candidates(blob.Children, match)
	if len(fitting) == 0 {
		return nil, nil
	}
	manifest, err := r.choose(ctx, fitting[0], match, depth+1)
	if manifest != nil {
		r.needed[from.Digest] = true
	}
	return manifest, err
}

// readImage reads a manifest's config. Where the index named the platform, that counts, as on a node; the
// config's own counts otherwise.
func (r *resolver) readImage(ctx context.Context, blob *Blob, from ocispec.Descriptor, match platforms.MatchComparer) (*Manifest, error) {
	configDescriptor, layers := blob.Children[0], blob.Children[1:]
	configBlob, err := r.readConfig(ctx, configDescriptor)
	if err != nil {
		return nil, err
	}
	platform, diffIDs, err := parseConfig(configBlob.Content, len(layers))
	if err != nil {
		return nil, r.fail(Unsupported, err)
	}
	configBlob.Platform = platformName(platform)
	configBlob.ChainID = identity.ChainID(diffIDs)
	if from.Platform != nil {
		platform = *from.Platform
	}
	if !match.Match(platform) {
		return nil, nil
	}
	manifest := &Manifest{Platform: platformName(platform), Descriptor: from, Config: configDescriptor}
	for number, layer := range layers {
		manifest.Layers = append(manifest.Layers, Layer{Descriptor: layer, DiffID: diffIDs[number]})
	}
	r.needed[from.Digest], r.needed[configDescriptor.Digest] = true, true
	return manifest, nil
}

// collect walks the tree once more, backwards, and takes each needed blob once, after its children. Reversed,
// that has parents first, even those that share a child, and the order of the index: the order in which the
// platforms were asked for must not show in the result.
func (r *resolver) collect(image *Image, from ocispec.Descriptor, chosen map[digest.Digest]Manifest) {
	if !r.needed[from.Digest] {
		return
	}
	delete(r.needed, from.Digest)
	blob := r.blobs[from.Digest]
	for _, child := range slices.Backward(blob.Children) {
		r.collect(image, child, chosen)
	}
	image.Blobs = append(image.Blobs, *blob)
	if manifest, found := chosen[from.Digest]; found {
		image.Manifests = append(image.Manifests, manifest)
	}
}

// offered lists the platforms of what was read, for a person who asked for another.
func (r *resolver) offered(target ocispec.Descriptor) string {
	var names []string
	for _, blob := range r.blobs {
		switch {
		case isConfig(blob.Descriptor.MediaType):
			names = append(names, blob.Platform)
		case isIndex(blob.Descriptor.MediaType):
			for _, entry := range blob.Children {
				if entry.Platform != nil && entry.Platform.OS != "unknown" {
					names = append(names, platformName(*entry.Platform))
				}
			}
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return "none in " + target.Digest.String()
	}
	return strings.Join(names, ", ")
}

func (r *resolver) fail(reason Reason, err error) error {
	return &Error{Reference: r.reference, Registry: r.source.origin.host, Reason: reason, Err: err}
}
