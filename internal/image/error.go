package image

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Reason says in one word why an image cannot be had; it fits a Kubernetes condition's reason.
type Reason string

// The reasons. Unreachable, TooManyRequests, RegistryError and Incomplete may pass by themselves; the others
// stay until someone changes the reference, the credentials, the image, its tags or the policy.
const (
	// InvalidReference: the text is no image reference.
	InvalidReference Reason = "InvalidReference"
	// NotFound: the registry knows no such repository, tag, digest or layer.
	NotFound Reason = "NotFound"
	// Unauthorized: the registry wants other credentials. Some registries say so of unknown repositories too.
	Unauthorized Reason = "Unauthorized"
	// Forbidden: the registry knows the credentials and does not let them read. Some registries say so of unknown
	// repositories too.
	Forbidden Reason = "Forbidden"
	// Unreachable: no registry answered at all.
	Unreachable Reason = "Unreachable"
	// PlatformMissing: the image has none of the wanted platforms.
	PlatformMissing Reason = "PlatformMissing"
	// DigestMismatch: the bytes are not those that the digest or the size names.
	DigestMismatch Reason = "DigestMismatch"
	// Unsupported: the image is of a kind that Larder or containerd does not unpack.
	Unsupported Reason = "Unsupported"
	// TooManyRequests: the registry limits the rate of requests, and went on doing so during all retries.
	TooManyRequests Reason = "TooManyRequests"
	// RegistryError: the registry answered something else than it should, during all retries.
	RegistryError Reason = "RegistryError"
	// Incomplete: the connection broke before the last byte, and resuming did not help.
	Incomplete Reason = "Incomplete"
	// NoTagMatches: the tags that a repository has now give a TagPolicy nothing to choose.
	NoTagMatches Reason = "NoTagMatches"
	// InvalidTagPolicy: a TagPolicy says nothing that could choose a tag of any repository.
	InvalidTagPolicy Reason = "InvalidTagPolicy"
)

// Error tells why an image cannot be had, in a sentence that its user can act on. Its text holds no
// credentials, and no address from a redirect is shown with its query, where signatures travel.
type Error struct {
	// Reference is the image as it was asked for, repository@digest of a layer, the repository of a list of tags,
	// or empty for a TagPolicy, which does not know whose tags it chooses from.
	Reference string
	// Registry is the host of the registry or the mirror, empty where none was asked.
	Registry string
	Reason   Reason
	// RetryAfter is how long the registry asks to wait before the next request, 0 if it asks for nothing. It is
	// what the registry says, and may be years.
	RetryAfter time.Duration
	// Err is the detail, already free of secrets; it may be nil.
	Err error
	// status is the HTTP status behind it, 0 if there is none.
	status int
}

// sentences says what happened and what to do; %[1]s is the reference, %[2]s the registry.
var sentences = map[Reason]string{
	InvalidReference: "%[1]q is not an image reference: write [registry/]repository[:tag][@sha256:digest], the repository in lower case",
	NotFound:         "image %[1]s not found in registry %[2]s: check the repository and the tag or digest",
	Unauthorized: "registry %[2]s refused access to image %[1]s: check the credentials, and the name, " +
		"since some registries answer this way for repositories that do not exist",
	Forbidden: "registry %[2]s knows the credentials, but they may not read image %[1]s: check the repository's permissions " +
		"(on ECR: ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, and ecr:ListImages for a tag policy), and the name, " +
		"since some registries answer this way for repositories that do not exist",
	Unreachable:     "registry %[2]s cannot be reached for image %[1]s: check its name, the network, and whether it speaks HTTPS",
	PlatformMissing: "image %[1]s in registry %[2]s has none of the wanted platforms: ask for one that it has",
	DigestMismatch: "registry %[2]s sent other bytes for image %[1]s than its digest names: " +
		"try again, and check the registry and any proxy before it",
	Unsupported:      "image %[1]s in registry %[2]s cannot be cached: build or choose it in another form",
	TooManyRequests:  "registry %[2]s limits requests for image %[1]s: try again later, or use credentials with a higher limit",
	RegistryError:    "registry %[2]s failed to serve image %[1]s: try again later, or ask who runs it",
	Incomplete:       "registry %[2]s broke off while sending image %[1]s: try again, and check the network and any proxy",
	NoTagMatches:     "no tag matches the tag policy: push one that does, or change the policy",
	InvalidTagPolicy: "the tag policy is not valid: change it",
}

// Error is the sentence, with the detail in brackets.
func (e *Error) Error() string {
	sentence := sentences[e.Reason]
	if strings.Contains(sentence, "%") {
		sentence = fmt.Sprintf(sentence, e.Reference, e.Registry)
	}
	if e.Err != nil {
		sentence += " (" + e.Err.Error() + ")"
	}
	return sentence
}

// Unwrap gives the detail.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason of the *Error within err, or "" if there is none: a cancelled context, say.
func ReasonOf(err error) Reason {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Reason
	}
	return ""
}

// secretsInAddress finds the parts of an address that may carry secrets: the user before the host, and
// everything from the question mark on, where redirects carry signatures and tokens.
var secretsInAddress = regexp.MustCompile(`(https?://)(?:[^/\s"'@]*@)?([^\s"'?#]*)(?:[?#][^\s"']*)?`)

func withoutSecrets(text string) string {
	return secretsInAddress.ReplaceAllString(text, "$1$2")
}
