package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// retryable are the answers after which go-containerregistry sends a request again: those that its remote
// package retries and that are defined for HTTP.
var retryable = []int{
	http.StatusRequestTimeout,
	http.StatusTooManyRequests,
	http.StatusInternalServerError,
	http.StatusBadGateway,
	http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// backoff makes four attempts, 0.3, 0.9 and 2.7 seconds apart: enough for a registry's restart or a burst
// limit; anything longer is the caller's to schedule.
var backoff = transport.Backoff{Duration: 300 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 4}

// transient tells whether sending the same request again may help.
func transient(err error) bool {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	var temporary interface{ Temporary() bool }
	if errors.As(err, &temporary) && temporary.Temporary() {
		return true
	}
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET, net.ErrClosed} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}

// failure turns what the transport reports into an *Error. A context's end stays what it is, since it says
// nothing about the image; it is read from the context, because a timeout of the network looks alike.
func failure(ctx context.Context, reference, registry string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("asking registry %s for %s: %w", registry, reference, ctx.Err())
	}
	reason, detail := classify(err)
	return &Error{Reference: reference, Registry: registry, Reason: reason, Err: errors.New(detail)}
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
