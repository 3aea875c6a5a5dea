package registry

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Push builds an artifact and puts it under "repository:tag"; it returns the full reference, with the server's
// host in front.
func (s *Server) Push(ctx context.Context, name string, artifact Artifact) (string, error) {
	built, err := Build(artifact)
	if err != nil {
		return "", err
	}
	return s.PushBuilt(ctx, name, built)
}

// PushBuilt is Push for an artifact that was built before.
func (s *Server) PushBuilt(ctx context.Context, name string, built *Built) (string, error) {
	repository, tag, found := strings.Cut(name, ":")
	if !found {
		return "", fmt.Errorf("pushing %q: the name is not repository:tag", name)
	}
	for _, blob := range built.Blobs {
		if _, err := s.PutBlob(ctx, repository, blob.Content); err != nil {
			return "", err
		}
	}
	for _, manifest := range built.Manifests {
		identifier := manifest.Descriptor.Digest.String()
		if err := s.PutManifest(ctx, repository, identifier, manifest.Descriptor.MediaType, manifest.Content); err != nil {
			return "", err
		}
	}
	top := built.Manifests[len(built.Manifests)-1]
	if err := s.PutManifest(ctx, repository, tag, top.Descriptor.MediaType, top.Content); err != nil {
		return "", err
	}
	return s.host + "/" + name, nil
}

// PutBlob stores one blob, and describes it; the media type is the caller's to fill in.
func (s *Server) PutBlob(ctx context.Context, repository string, content []byte) (ocispec.Descriptor, error) {
	descriptor := ocispec.Descriptor{Digest: digest.FromBytes(content), Size: int64(len(content))}
	path := "/v2/" + repository + "/blobs/uploads/?digest=" + descriptor.Digest.String()
	return descriptor, s.put(ctx, http.MethodPost, path, "application/octet-stream", content)
}

// PutManifest stores an index or a manifest under a tag or a digest, with a media type of the caller's choice:
// also one that its content belies.
func (s *Server) PutManifest(ctx context.Context, repository, identifier, mediaType string, content []byte) error {
	return s.put(ctx, http.MethodPut, "/v2/"+repository+"/manifests/"+identifier, mediaType, content)
}

// put goes to the store directly: pushing is not what tests count, delay or break.
func (s *Server) put(ctx context.Context, method, path, mediaType string, content []byte) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.host+path, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("pushing %s: %w", path, err)
	}
	request.Header.Set("Content-Type", mediaType)
	answer := capture(request, s.store)
	if answer.status != http.StatusCreated {
		return fmt.Errorf("pushing %s: the registry answered %d: %s", path, answer.status, answer.body)
	}
	return nil
}
