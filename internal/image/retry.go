package image

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const (
	// maxAttempts, with waits of 0.3, 0.9 and 2.7 seconds between them, outlast a registry's restart or a burst
	// limit; anything longer is the caller's to schedule.
	maxAttempts = 4
	firstWait   = 300 * time.Millisecond
	waitFactor  = 3
	// maxRetryAfter bounds how long a registry may make us wait before one attempt. Docker Hub's limits last for
	// hours; a build that slept through them would hold its place for nothing.
	maxRetryAfter = time.Minute
)

// retryable are the answers after which a request is sent again: those that go-containerregistry's remote package
// retries and that are defined for HTTP.
var retryable = []int{
	http.StatusRequestTimeout,
	http.StatusTooManyRequests,
	http.StatusInternalServerError,
	http.StatusBadGateway,
	http.StatusServiceUnavailable,
	http.StatusGatewayTimeout,
}

// retrying sends requests again that may succeed then. go-containerregistry's own transport for that knows no
// Retry-After, and sleeps on when the context has ended.
type retrying struct {
	inner http.RoundTripper
	wait  func(ctx context.Context, duration time.Duration) error
}

// RoundTrip returns the last attempt's answer.
func (r *retrying) RoundTrip(request *http.Request) (*http.Response, error) {
	backoff := firstWait
	for attempt := 1; ; attempt++ {
		response, err := r.inner.RoundTrip(request)
		if attempt == maxAttempts || !mayRetry(request, response, err) {
			return response, err
		}
		// Up to a tenth more keeps builds apart that failed together.
		pause := backoff + rand.N(backoff/10)
		backoff *= waitFactor
		if response != nil {
			asked := retryAfter(response.Header)
			if pause = max(pause, asked); asked > maxRetryAfter || endsWithin(request.Context(), pause) {
				return response, nil // what the registry says is worth more than that there was no time
			}
			discard(response.Body)
		}
		if err := r.wait(request.Context(), pause); err != nil {
			return nil, err
		}
		if request, err = again(request); err != nil {
			return nil, err
		}
	}
}

// endsWithin tells whether a context has no time left for such a pause.
func endsWithin(ctx context.Context, pause time.Duration) bool {
	end, bounded := ctx.Deadline()
	return bounded && time.Until(end) <= pause
}

func mayRetry(request *http.Request, response *http.Response, err error) bool {
	if request.Body != nil && request.GetBody == nil {
		return false
	}
	if err != nil {
		return transient(err)
	}
	return slices.Contains(retryable, response.StatusCode)
}

// again copies a request, since its body was read.
func again(request *http.Request) (*http.Request, error) {
	if request.GetBody == nil {
		return request, nil
	}
	body, err := request.GetBody()
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Body = body
	return request, nil
}

// discard gives the connection back for the next attempt, unless the body is too long for that to be worth it.
func discard(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10) // the answer is not used, whatever happens to it
	body.Close()
}

// retryAfter is how long a registry asks to wait, in seconds or as a date by its own clock; 0 if it does not.
// https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(value)
	now, noDate := http.ParseTime(header.Get("Date"))
	if err != nil || noDate != nil {
		return 0
	}
	return max(0, until.Sub(now))
}

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

// sleep is what Options.Wait is by default.
func sleep(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
