package image

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// readTarget reads what the reference itself names; its descriptor comes from the answer.
func (r *resolver) readTarget(ctx context.Context, parsed Reference) (ocispec.Descriptor, error) {
	if parsed.Digest != "" {
		if err := checkDigest(parsed.Digest); err != nil {
			return ocispec.Descriptor{}, r.fail(Unsupported, err)
		}
	}
	return first(ctx, r.source, func(from *session) (ocispec.Descriptor, error) {
		target, content, err := from.readManifest(ctx, r.reference, parsed)
		if err == nil {
			_, err = r.keep(target, content)
		}
		return target, err
	})
}

// readManifest reads what a reference names at one place, and checks it against the digests that were promised.
func (s *session) readManifest(ctx context.Context, reference string, parsed Reference) (ocispec.Descriptor, []byte, error) {
	none := ocispec.Descriptor{}
	read, err := s.read(ctx, reference, s.address("manifests/"+parsed.identifier()), maxManifestBytes)
	if err != nil {
		return none, nil, err
	}
	content := read.content
	if len(content) > maxManifestBytes {
		return none, nil, s.fail(reference, Unsupported, fmt.Errorf("its manifest has more than the %d bytes that containerd reads", maxManifestBytes))
	}
	actual := digest.FromBytes(content)
	// containerd asks for the announced digest next, so a false one would fail on the node.
	for _, promised := range []string{parsed.Digest.String(), read.header.Get(digestHeader)} {
		if promised != "" && promised != actual.String() {
			return none, nil, s.fail(reference, DigestMismatch, fmt.Errorf("manifest %s has the digest %s", promised, actual))
		}
	}
	parsedDocument, err := parseDocument(content)
	if err != nil {
		return none, nil, s.fail(reference, Unsupported, err)
	}
	return ocispec.Descriptor{
		MediaType: mediaTypeOf(read.header.Get("Content-Type"), parsedDocument.MediaType),
		Digest:    actual,
		Size:      int64(len(content)),
	}, content, nil
}

// known returns a blob that was read before, or nil. What was read and checked as an index, a manifest or a
// config is nothing else under another descriptor.
func (r *resolver) known(descriptor ocispec.Descriptor) (*Blob, error) {
	known := r.blobs[descriptor.Digest]
	if known == nil {
		return nil, nil
	}
	before, now := known.Descriptor.MediaType, descriptor.MediaType
	if isIndex(before) != isIndex(now) || isManifest(before) != isManifest(now) {
		return nil, r.fail(Unsupported, fmt.Errorf("%s is said to be %s and %s", descriptor.Digest, before, now))
	}
	if known.Descriptor.Size != descriptor.Size {
		return nil, r.fail(DigestMismatch, fmt.Errorf("%s did not come with its %d bytes", descriptor.Digest, descriptor.Size))
	}
	return known, nil
}

// read returns an index or manifest by its descriptor.
func (r *resolver) read(ctx context.Context, descriptor ocispec.Descriptor) (*Blob, error) {
	if known, err := r.known(descriptor); known != nil || err != nil {
		return known, err
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
	if known, err := r.known(descriptor); known != nil || err != nil {
		return known, err
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
		blob.Children, err = parsed.index()
	} else {
		var config ocispec.Descriptor
		var layers []ocispec.Descriptor
		config, layers, err = parsed.manifest()
		blob.Children = append([]ocispec.Descriptor{config}, layers...)
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
	return first(ctx, r.source, func(from *session) ([]byte, error) {
		read, err := from.read(ctx, r.reference, from.address(kind+descriptor.Digest.String()), descriptor.Size)
		if err != nil {
			return nil, err
		}
		content := read.content
		if int64(len(content)) != descriptor.Size {
			return nil, from.fail(r.reference, DigestMismatch, fmt.Errorf("%s did not come with its %d bytes", descriptor.Digest, descriptor.Size))
		}
		if actual := digest.FromBytes(content); actual != descriptor.Digest {
			return nil, from.fail(r.reference, DigestMismatch, fmt.Errorf("%s came as %s", descriptor.Digest, actual))
		}
		return content, nil
	})
}
