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
		announced, err := from.headDigest(ctx, reference, parsed)
		if announced != "" || err != nil && !getTells(err) {
			return announced, err
		}
		target, _, err := from.readManifest(ctx, reference, parsed)
		return target.Digest, err
	})
}

// headDigest returns an empty digest if the registry gives none, or one that is none.
func (s *session) headDigest(ctx context.Context, reference string, parsed Reference) (digest.Digest, error) {
	response, err := s.send(ctx, http.MethodHead, reference, s.address("manifests/"+parsed.identifier()), http.Header{"Accept": {acceptable}})
	if err != nil {
		return "", err
	}
	response.Body.Close()
	announced := digest.Digest(response.Header.Get(digestHeader))
	if checkDigest(announced) == nil {
		return announced, nil
	}
	return "", nil
}

// getTells tells whether GET may say more than HEAD did: some registries know no HEAD of manifests, and why one
// refuses is in an answer's body, which HEAD lacks.
func getTells(err error) bool {
	var refused *Error
	return errors.As(err, &refused) && slices.Contains(
		[]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed}, refused.status)
}
