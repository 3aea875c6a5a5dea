package image

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// listening notes how long a registry asks to wait. go-containerregistry's errors have no headers, and those of a
// handshake's answers are seen nowhere else.
type listening struct{ inner http.RoundTripper }

type askedToWait struct{}

// listen returns a context under which the wait that the last answer asked for is noted.
func listen(ctx context.Context) context.Context {
	return context.WithValue(ctx, askedToWait{}, new(atomic.Int64))
}

// heard is the wait that the last answer under this context asked for, 0 if none did.
func heard(ctx context.Context) time.Duration {
	if noted, listens := ctx.Value(askedToWait{}).(*atomic.Int64); listens {
		return time.Duration(noted.Load())
	}
	return 0
}

// RoundTrip implements http.RoundTripper.
func (l *listening) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.inner.RoundTrip(request)
	noted, listens := request.Context().Value(askedToWait{}).(*atomic.Int64)
	if response != nil && listens {
		noted.Store(int64(retryAfter(response.Header)))
	}
	return response, err
}
