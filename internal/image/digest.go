package image

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
)

// digestHeader is how registries announce a manifest's digest:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#legacy-docker-support-http-headers
const digestHeader = "Docker-Content-Digest"

// getTells are the answers to HEAD after which GET says more.
var getTells = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed}

// Digest finds what a reference points at now, by one HEAD request once the registry knows us, and by GET where a
// registry does not answer that with a digest. A reference by digest costs no request. A digest that HEAD announces
// is believed: it says whether there is something new, and Resolve verifies what that is. Errors are as Resolve's.
func (c *Client) Digest(ctx context.Context, reference string) (digest.Digest, error) {
	parsed, err := ParseReference(reference)
	if err != nil {
		return "", err
	}
	if parsed.Digest != "" {
		if err := checkDigest(parsed.Digest); err != nil {
			return "", &Error{Reference: reference, Registry: parsed.Registry(), Reason: Unsupported, Err: err}
		}
		return parsed.Digest, nil
	}
	source, err := c.source(parsed.Repository)
	if err != nil {
		return "", err
	}
	return first(ctx, source, func(from *session) (digest.Digest, error) {
		if announced, err := from.headDigest(ctx, reference, parsed); announced != "" || err != nil {
			return announced, err
		}
		target, _, err := from.readManifest(ctx, reference, parsed)
		return target.Digest, err
	})
}

// headDigest returns neither digest nor error if the registry has to be asked by GET: some know no HEAD of
// manifests, some give no digest, or one that is none, and why one refuses is in an answer's body, which HEAD lacks.
func (s *session) headDigest(ctx context.Context, reference string, parsed Reference) (digest.Digest, error) {
	response, err := s.send(ctx, http.MethodHead, reference, s.address("manifests/"+parsed.identifier()), http.Header{"Accept": {acceptable}})
	var refused *Error
	if errors.As(err, &refused) && slices.Contains(getTells, refused.status) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	response.Body.Close()
	announced := digest.Digest(response.Header.Get(digestHeader))
	if checkDigest(announced) != nil {
		return "", nil
	}
	return announced, nil
}
