package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// failure turns what the transport reports into an *Error. A context's end stays what it is, since it says
// nothing about the image; it is read from the context, because a timeout of the network looks alike.
func failure(ctx context.Context, reference, registry string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("asking registry %s for %s: %w", registry, reference, ctx.Err())
	}
	reason, detail := classify(err)
	return &Error{Reference: reference, Registry: registry, Reason: reason, Err: errors.New(detail)}
}

// saying adds how long the registry asks to wait.
func saying(err error, wait time.Duration) error {
	var known *Error
	if wait > 0 && errors.As(err, &known) {
		known.Err = fmt.Errorf("%w, and it asks to wait %v", known.Err, wait)
	}
	return err
}

func classify(err error) (Reason, string) {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return reasonOfStatus(answer.StatusCode), describeAnswer(answer)
	}
	var refused *refusedRedirect
	if errors.As(err, &refused) {
		return RegistryError, refused.Error()
	}
	// The innermost cause is the one to act on; the addresses around it are known already.
	var request *url.Error
	for errors.As(err, &request) {
		err = request.Err
	}
	return Unreachable, withoutSecrets(err.Error())
}

func reasonOfStatus(status int) Reason {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return Unauthorized
	case http.StatusNotFound:
		return NotFound
	case http.StatusTooManyRequests:
		return TooManyRequests
	}
	return RegistryError
}

// describeAnswer keeps the status and the registry's own words, but never a raw body: that of a redirect's
// target can repeat the signature it was asked with.
func describeAnswer(answer *transport.Error) string {
	const longest = 300 // characters of a foreign text in our own message
	text := fmt.Sprintf("HTTP status %d", answer.StatusCode)
	for _, diagnostic := range answer.Errors {
		text += fmt.Sprintf(", %s: %s", diagnostic.Code, diagnostic.Message)
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, withoutSecrets(text))
	if characters := []rune(text); len(characters) > longest {
		text = string(characters[:longest]) + "…"
	}
	return text
}
