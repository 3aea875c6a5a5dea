package image

import (
	"errors"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Reference is an image reference spelled out in full, the way containerd's CRI keys its store: an image under
// any other spelling would be a miss on the node.
type Reference struct {
	// Repository has its registry's host in front: "docker.io/library/nginx".
	Repository string
	// Tag is empty when Digest is set.
	Tag string
	// Digest is empty when the reference names a tag.
	Digest digest.Digest
}

// ParseReference spells a reference out in full: Docker Hub's host and "library/", ":latest" where neither tag
// nor digest is given, and no tag where both are. The error is an *Error with the reason InvalidReference.
func ParseReference(s string) (Reference, error) {
	named, err := reference.ParseDockerRef(s)
	if err != nil {
		return Reference{}, &Error{Reference: s, Reason: InvalidReference, Err: invalidity(err)}
	}
	parsed := Reference{Repository: named.Name()}
	switch named := named.(type) {
	case reference.Digested:
		parsed.Digest = named.Digest()
	case reference.Tagged:
		parsed.Tag = named.Tag()
	}
	return parsed, nil
}

// invalidity keeps the parser's finer sentences and drops the one that says no more than the reason does.
func invalidity(err error) error {
	if errors.Is(err, reference.ErrReferenceInvalidFormat) {
		return nil
	}
	return err
}

// String returns the full spelling, which ParseReference gives back unchanged.
func (r Reference) String() string {
	if r.Digest != "" {
		return r.Repository + "@" + r.Digest.String()
	}
	return r.Repository + ":" + r.Tag
}

// Registry returns the host, with its port where there is one: "docker.io".
func (r Reference) Registry() string {
	host, _ := splitRepository(r.Repository)
	return host
}

// identifier is what the registry's manifest address ends in.
func (r Reference) identifier() string {
	if r.Digest != "" {
		return r.Digest.String()
	}
	return r.Tag
}
