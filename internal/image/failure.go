package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
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
	failed := &Error{Reference: reference, Registry: registry, Reason: reason}
	var answer *transport.Error
	if errors.As(err, &answer) {
		failed.status = answer.StatusCode
	}
	if reason == TooManyRequests || reason == RegistryError {
		failed.RetryAfter = heard(ctx)
	}
	if failed.RetryAfter > 0 {
		detail += fmt.Sprintf(", and it asks to wait %v", failed.RetryAfter)
	}
	failed.Err = errors.New(detail)
	return failed
}

func classify(err error) (Reason, string) {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return reasonOfStatus(answer.StatusCode), describeAnswer(answer)
	}
	var unread *credentialsError
	if errors.As(err, &unread) {
		return Unauthorized, unread.Error()
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
	// go-containerregistry quotes, after a line's end, a token server's whole answer.
	text, _, _ := strings.Cut(err.Error(), "\n")
	return Unreachable, withoutSecrets(text)
}

func reasonOfStatus(status int) Reason {
	switch status {
	case http.StatusUnauthorized:
		return Unauthorized
	case http.StatusForbidden:
		return Forbidden
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
	var words string
	for _, diagnostic := range answer.Errors {
		words += fmt.Sprintf(", %s: %s", diagnostic.Code, diagnostic.Message)
	}
	text := fmt.Sprintf("HTTP status %d", answer.StatusCode) + withoutCredentials(words, answer.Request)
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

// withoutCredentials takes out what a request authenticated itself with: some registries repeat its header.
func withoutCredentials(text string, request *http.Request) string {
	if request == nil {
		return text
	}
	_, sent, _ := strings.Cut(request.Header.Get("Authorization"), " ")
	_, password, _ := request.BasicAuth()
	for _, secret := range []string{sent, password} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return text
}
