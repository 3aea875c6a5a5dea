package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// resolver reads one image's indexes, manifests and configs, each once.
type resolver struct {
	session   *session
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
	config, err := parseConfig(configBlob.Content, len(layers))
	if err != nil {
		return nil, r.fail(Unsupported, err)
	}
	configBlob.Platform = platformName(config.Platform)
	configBlob.ChainID = identity.ChainID(config.RootFS.DiffIDs)
	platform := config.Platform
	if from.Platform != nil {
		platform = *from.Platform
	}
	if !match.Match(platform) {
		return nil, nil
	}
	manifest := &Manifest{Platform: platformName(platform), Descriptor: from, Config: configDescriptor}
	for number, layer := range layers {
		manifest.Layers = append(manifest.Layers, Layer{Descriptor: layer, DiffID: config.RootFS.DiffIDs[number]})
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

// readTarget reads what the reference itself names; its descriptor comes from the answer.
func (r *resolver) readTarget(ctx context.Context, parsed Reference) (ocispec.Descriptor, error) {
	none := ocispec.Descriptor{}
	if parsed.Digest != "" {
		if err := checkDigest(parsed.Digest); err != nil {
			return none, r.fail(Unsupported, err)
		}
	}
	content, header, err := r.fetch(ctx, "manifests/"+parsed.identifier(), maxManifestBytes)
	if err != nil {
		return none, err
	}
	if len(content) > maxManifestBytes {
		return none, r.fail(Unsupported, fmt.Errorf("its manifest has more than the %d bytes that containerd reads", maxManifestBytes))
	}
	actual := digest.FromBytes(content)
	// containerd asks for the announced digest next, so a false one would fail on the node.
	for _, promised := range []string{parsed.Digest.String(), header.Get("Docker-Content-Digest")} {
		if promised != "" && promised != actual.String() {
			return none, r.fail(DigestMismatch, fmt.Errorf("manifest %s has the digest %s", promised, actual))
		}
	}
	parsedDocument, err := parseDocument(content)
	if err != nil {
		return none, r.fail(Unsupported, err)
	}
	target := ocispec.Descriptor{
		MediaType: mediaTypeOf(header.Get("Content-Type"), parsedDocument.MediaType),
		Digest:    actual,
		Size:      int64(len(content)),
	}
	_, err = r.keep(target, content)
	return target, err
}

// read returns an index or manifest by its descriptor.
func (r *resolver) read(ctx context.Context, descriptor ocispec.Descriptor) (*Blob, error) {
	if known := r.blobs[descriptor.Digest]; known != nil {
		return known, nil
	}
	if err := checkDescriptor(descriptor, maxManifestBytes); err != nil {
		return nil, r.fail(Unsupported, err)
	}
	content, err := r.fetchVerified(ctx, "manifests/", descriptor)
	if err != nil {
		return nil, err
	}
	return r.keep(descriptor, content)
}

func (r *resolver) readConfig(ctx context.Context, descriptor ocispec.Descriptor) (*Blob, error) {
	if known := r.blobs[descriptor.Digest]; known != nil {
		return known, nil
	}
	content, err := r.fetchVerified(ctx, "blobs/", descriptor)
	if err != nil {
		return nil, err
	}
	blob := &Blob{Descriptor: descriptor, Content: content}
	r.blobs[descriptor.Digest] = blob
	return blob, nil
}

// keep checks an index or manifest and remembers it with its children.
func (r *resolver) keep(descriptor ocispec.Descriptor, content []byte) (*Blob, error) {
	parsed, err := parseDocument(content)
	if err == nil {
		err = parsed.check(descriptor.MediaType)
	}
	if err != nil {
		return nil, r.fail(Unsupported, err)
	}
	blob := &Blob{Descriptor: descriptor, Content: content}
	if isIndex(descriptor.MediaType) {
		blob.Children, err = parseIndex(content)
	} else {
		var manifest ocispec.Manifest
		manifest, err = parseManifest(content)
		blob.Children = append([]ocispec.Descriptor{manifest.Config}, manifest.Layers...)
	}
	if err != nil {
		return nil, r.fail(Unsupported, err)
	}
	if r.descriptors += len(blob.Children); r.descriptors > maxDescriptors {
		return nil, r.fail(Unsupported, fmt.Errorf("it refers to more than %d blobs", maxDescriptors))
	}
	r.blobs[descriptor.Digest] = blob
	return blob, nil
}

func (r *resolver) fetchVerified(ctx context.Context, kind string, descriptor ocispec.Descriptor) ([]byte, error) {
	content, _, err := r.fetch(ctx, kind+descriptor.Digest.String(), descriptor.Size)
	if err != nil {
		return nil, err
	}
	if int64(len(content)) != descriptor.Size {
		return nil, r.fail(DigestMismatch, fmt.Errorf("%s did not come with its %d bytes", descriptor.Digest, descriptor.Size))
	}
	if actual := digest.FromBytes(content); actual != descriptor.Digest {
		return nil, r.fail(DigestMismatch, fmt.Errorf("%s came as %s", descriptor.Digest, actual))
	}
	return content, nil
}

// fetch reads a small document, but no more than one byte beyond maxBytes, by which its caller sees the excess.
func (r *resolver) fetch(ctx context.Context, resource string, maxBytes int64) ([]byte, http.Header, error) {
	response, err := r.session.get(ctx, r.reference, resource, http.Header{"Accept": {acceptable}})
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxBytes+1))
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, nil, r.fail(Incomplete, fmt.Errorf("reading %s", resource))
		}
		return nil, nil, failure(ctx, r.reference, r.session.host, err)
	}
	return content, response.Header, nil
}

func (r *resolver) fail(reason Reason, err error) error {
	return &Error{Reference: r.reference, Registry: r.session.host, Reason: reason, Err: err}
}
