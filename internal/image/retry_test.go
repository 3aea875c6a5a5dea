package image_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

// waits records how long a client would have waited.
type waits []time.Duration

func (w *waits) client() *image.Client { return w.with(image.Options{}) }

func (w *waits) with(options image.Options) *image.Client {
	options.Wait = func(_ context.Context, duration time.Duration) error {
		*w = append(*w, duration)
		return nil
	}
	return image.NewClient(options)
}

// refuseFor asks to come back later.
func refuseFor(status int, retryAfter string) registry.Effect {
	return func(response http.ResponseWriter, request *http.Request, store http.Handler) {
		response.Header().Set("Date", "Fri, 02 Jan 2026 03:04:05 GMT")
		response.Header().Set("Retry-After", retryAfter)
		registry.Refuse(status)(response, request, store)
	}
}

func TestRetryAfter(t *testing.T) {
	const byItself = time.Second // more than the first wait that nobody asked for
	cases := map[string]struct {
		reason string
		effect registry.Effect
		// most bounds the first wait, which is not shorter than least.
		least, most time.Duration
	}{
		"seconds":            {"a rate limit says when it ends", refuseFor(http.StatusTooManyRequests, "7"), 7 * time.Second, 7 * time.Second},
		"date":               {"by the registry's clock, whatever ours says", refuseFor(http.StatusServiceUnavailable, "Fri, 02 Jan 2026 03:04:25 GMT"), 20 * time.Second, 20 * time.Second},
		"as long as we wait": {"a minute is little for a build", refuseFor(http.StatusTooManyRequests, "60"), time.Minute, time.Minute},
		"at once":            {"then our own wait counts", refuseFor(http.StatusTooManyRequests, "0"), time.Millisecond, byItself},
		"in the past":        {"clocks differ", refuseFor(http.StatusServiceUnavailable, "Fri, 02 Jan 2026 03:00:00 GMT"), time.Millisecond, byItself},
		"negative":           {"no time is negative", refuseFor(http.StatusTooManyRequests, "-7"), time.Millisecond, byItself},
		"nonsense":           {"a header is text from outside", refuseFor(http.StatusTooManyRequests, "soon"), time.Millisecond, byItself},
		"not said":           {"few registries do", registry.Refuse(http.StatusTooManyRequests), time.Millisecond, byItself},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			reference := push(t, server, "app:1", forPlatform("linux/amd64"))
			server.Inject(registry.Fault{Path: "/manifests/", Times: 1, Effect: test.effect})
			var waited waits
			if _, err := waited.client().Resolve(t.Context(), reference, []string{"linux/amd64"}); err != nil {
				t.Fatal(err)
			}
			if len(waited) != 1 || waited[0] < test.least || waited[0] > test.most {
				t.Errorf("%s: waited %v, want once %v to %v", test.reason, waited, test.least, test.most)
			}
		})
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	cases := map[string]struct {
		reason string
		effect registry.Effect
		waits  int
		says   string
	}{
		"too long":     {"who schedules builds can come back in an hour", refuseFor(http.StatusTooManyRequests, "3600"), 0, "it asks to wait 1h0m0s"},
		"far too long": {"such a number is a date to some", refuseFor(http.StatusTooManyRequests, "1767323045"), 0, "it asks to wait"},
		"too often":    {"three waits are enough", refuseFor(http.StatusTooManyRequests, "30"), 3, "it asks to wait 30s"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			reference := push(t, server, "app:1", forPlatform("linux/amd64"))
			server.Inject(registry.Fault{Path: "/manifests/", Effect: test.effect})
			var waited waits
			_, err := waited.client().Resolve(t.Context(), reference, []string{"linux/amd64"})
			checkError(t, err, image.TooManyRequests, reference, test.says)
			if got := manifestRequests(server); len(waited) != test.waits || got != test.waits+1 {
				t.Errorf("%s: waited %v for %d requests, want %d waits", test.reason, waited, got, test.waits)
			}
		})
	}
}

// TestRetryAfterBeyondTheDeadline has a caller with less time than the registry asks for.
func TestRetryAfterBeyondTheDeadline(t *testing.T) {
	server := start(t, registry.Options{})
	reference := push(t, server, "app:1", forPlatform("linux/amd64"))
	server.Inject(registry.Fault{Path: "/manifests/", Effect: refuseFor(http.StatusTooManyRequests, "50")})
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	var waited waits
	_, err := waited.client().Resolve(ctx, reference, []string{"linux/amd64"})
	checkError(t, err, image.TooManyRequests, reference, "it asks to wait 50s")
	if len(waited) > 0 {
		t.Errorf("waited %v for nothing", waited)
	}
}

func TestErrorsSayWhenToComeBack(t *testing.T) {
	cases := map[string]struct {
		reason string
		path   string
		effect registry.Effect
		want   time.Duration
	}{
		"manifest":     {"an hour is for the caller to wait", "/manifests/", refuseFor(http.StatusTooManyRequests, "3600"), time.Hour},
		"short":        {"after all retries it is still so", "/manifests/", refuseFor(http.StatusTooManyRequests, "30"), 30 * time.Second},
		"date":         {"by the registry's clock", "/manifests/", refuseFor(http.StatusServiceUnavailable, "Fri, 02 Jan 2026 05:04:05 GMT"), 2 * time.Hour},
		"handshake":    {"a limit may apply before anything is asked for", "/v2/", refuseFor(http.StatusTooManyRequests, "7200"), 2 * time.Hour},
		"not said":     {"then the caller decides", "/manifests/", registry.Refuse(http.StatusTooManyRequests), 0},
		"nonsense":     {"a header is text from outside", "/manifests/", refuseFor(http.StatusTooManyRequests, "soon"), 0},
		"other answer": {"who may not read need not come back", "/manifests/", refuseFor(http.StatusForbidden, "60"), 0},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			reference := push(t, server, "app:1", forPlatform("linux/amd64"))
			server.Inject(registry.Fault{Path: test.path, Effect: test.effect})
			var waited waits
			client := waited.client()
			_, resolving := client.Resolve(t.Context(), reference, []string{"linux/amd64"})
			_, asking := client.Digest(t.Context(), reference)
			for _, err := range []error{resolving, asking} {
				var failure *image.Error
				if !errors.As(err, &failure) || failure.RetryAfter != test.want {
					t.Errorf("%s: got %v after %v, want %v", test.reason, err, failure.RetryAfter, test.want)
				}
			}
		})
	}
}

func TestRetryAfterWhileResuming(t *testing.T) {
	server, _, resolved, want := broken(t)
	server.Inject(registry.Fault{Path: "/blobs/", Times: 2, Effect: refuseFor(http.StatusServiceUnavailable, "9")})
	var waited waits
	got, err := readLayer(t.Context(), waited.client(), resolved.Repository, resolved.Manifests[0].Layers[0])
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %d bytes and %v, want %d bytes", len(got), err, len(want))
	}
	if len(waited) != 2 || waited[0] != 9*time.Second || waited[1] != 9*time.Second {
		t.Errorf("waited %v, want 9 s twice", waited)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	server := start(t, registry.Options{})
	reference := push(t, server, "app:1", forPlatform("linux/amd64"))
	server.Inject(registry.Fault{Path: "/manifests/", Effect: refuseFor(http.StatusTooManyRequests, "60")})
	ctx, cancel := context.WithCancel(t.Context())
	// The wait is the real one, of a minute.
	client := image.NewClient(image.Options{Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := http.DefaultTransport.RoundTrip(request)
		if response != nil && response.StatusCode == http.StatusTooManyRequests {
			cancel()
		}
		return response, err
	})})
	_, err := client.Resolve(ctx, reference, []string{"linux/amd64"})
	if !errors.Is(err, context.Canceled) || image.ReasonOf(err) != "" {
		t.Errorf("got %v, want the cancellation", err)
	}
	if got := manifestRequests(server); got != 1 {
		t.Errorf("%d requests, want none after the cancellation", got)
	}
}
