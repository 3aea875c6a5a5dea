// Package message bounds what conditions and events say, and has the reasons of what AWS answers.
package message

import (
	"errors"
	"strings"
	"unicode/utf8"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Longest is how much a condition or an event says, in bytes: an event's note takes no more
// (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/).
const Longest = 1024

// Clip shortens a text to so many bytes, at a character's end.
func Clip(text string, longest int) string {
	const ellipsis = "…"
	if len(text) <= longest {
		return text
	}
	end := longest - len(ellipsis)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimSpace(text[:end]) + ellipsis
}

// OfAWS returns the reason for an error of a call to AWS, and whether trying again alone does not help.
func OfAWS(err error) (reason string, needsPerson bool) {
	var credentials *larderaws.CredentialsError
	switch {
	case errors.As(err, &credentials):
		reason = larderv1alpha1.ReasonCredentialsMissing
	case larderaws.IsAccessDenied(err):
		reason = larderv1alpha1.ReasonAccessDenied
	case larderaws.IsInUse(err):
		reason = larderv1alpha1.ReasonInUse
	case larderaws.IsKeyUnusable(err):
		reason = larderv1alpha1.ReasonKMSKeyUnusable
	default:
		reason = larderv1alpha1.ReasonAWSError
	}
	return reason, larderaws.Classify(err) == larderaws.Stalled
}
