package image_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

// broken is a layer whose download breaks off once, in the middle.
func broken(t *testing.T) (*registry.Server, *image.Client, *image.Image, []byte) {
	t.Helper()
	server := start(t, registry.Options{})
	artifact, want := largeLayer(t)
	client := image.NewClient(image.Options{})
	resolved, err := client.Resolve(t.Context(), push(t, server, "team/app:1", artifact), []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	server.ForgetRequests()
	server.Inject(registry.Fault{Path: "/blobs/", Times: 1, Effect: registry.BreakOff})
	return server, client, resolved, want
}

func TestResumeAsksForTheRest(t *testing.T) {
	server, client, resolved, want := broken(t)
	server.Inject(registry.Fault{Path: "/blobs/", Times: 1, Effect: registry.BreakOff})
	got, err := readLayer(t.Context(), client, resolved.Repository, resolved.Manifests[0].Layers[0])
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes and %v, want %d bytes", len(got), err, len(want))
	}
	var ranges []string
	for _, request := range server.Requests() {
		ranges = append(ranges, request.Range)
	}
	half, last := len(want)/2, len(want)-1
	threeQuarters := half + (len(want)-half)/2
	if diff := cmp.Diff([]string{"", fmt.Sprintf("bytes=%d-%d", half, last), fmt.Sprintf("bytes=%d-%d", threeQuarters, last)}, ranges); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
}

func TestResumeTrustsNoAnswer(t *testing.T) {
	answer := func(status int, contentRange string, body func(rest []byte) []byte) registry.Effect {
		return func(response http.ResponseWriter, request *http.Request, store http.Handler) {
			recorder := httptest.NewRecorder()
			store.ServeHTTP(recorder, request)
			if contentRange != "" {
				response.Header().Set("Content-Range", contentRange)
			}
			content := body(recorder.Body.Bytes())
			response.Header().Set("Content-Length", fmt.Sprint(len(content)))
			response.WriteHeader(status)
			// A client that has seen enough closes the connection.
			_, _ = response.Write(content)
		}
	}
	asIs := func(rest []byte) []byte { return rest }
	_, whole := largeLayer(t)
	half, last := len(whole)/2, len(whole)-1
	rest := fmt.Sprintf("bytes %d-%d/%d", half, last, len(whole))
	cases := map[string]struct {
		reason string
		effect registry.Effect
		want   image.Reason
		says   string
	}{
		"another range": {"bytes from elsewhere are not the rest",
			answer(http.StatusPartialContent, fmt.Sprintf("bytes 0-%d/%d", last-half, len(whole)), asIs), image.Incomplete, "the registry cannot resume"},
		"no range": {"nothing tells where the bytes belong",
			answer(http.StatusPartialContent, "", asIs), image.Incomplete, "the registry cannot resume"},
		"nonsense": {"a header is text from outside",
			answer(http.StatusPartialContent, "bytes */x", asIs), image.Incomplete, "the registry cannot resume"},
		"the whole again": {"not all registries know ranges",
			answer(http.StatusOK, "", func([]byte) []byte { return whole }), image.Incomplete, "the registry cannot resume"},
		"less than promised": {"the rest has a known length",
			answer(http.StatusPartialContent, rest, func(rest []byte) []byte { return rest[1:] }), image.DigestMismatch, "announced instead of"},
		"other bytes": {"what changed between two requests is neither the old nor the new",
			answer(http.StatusPartialContent, rest, func(rest []byte) []byte { return slices.Repeat([]byte{7}, len(rest)) }), image.DigestMismatch, "another digest"},
		"gone": {"registries collect layers too", registry.Refuse(http.StatusNotFound), image.NotFound, "HTTP status 404"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server, client, resolved, _ := broken(t)
			server.Inject(registry.Fault{Path: "/blobs/", Effect: test.effect})
			layer := resolved.Manifests[0].Layers[0]
			_, err := readLayer(t.Context(), client, resolved.Repository, layer)
			checkError(t, err, test.want, resolved.Repository+"@"+layer.Descriptor.Digest.String(), test.says)
			if got := len(server.Requests()); got != 2 {
				t.Errorf("%s: the layer was asked for %d times, want 2", test.reason, got)
			}
		})
	}
}

// Redirects to storage are signed for a time that a large layer outlives.
func TestResumeAsksTheRegistryForANewRedirect(t *testing.T) {
	server, client, resolved, want := broken(t)
	server.Heal()
	var mutex sync.Mutex
	var asked []string
	storage := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		mutex.Lock()
		asked = append(asked, request.URL.RawQuery+" "+request.Header.Get("Range"))
		first := len(asked) == 1
		mutex.Unlock()
		if first {
			response.Header().Set("Content-Length", fmt.Sprint(len(want)))
			_, _ = response.Write(want[:1000])
			_ = http.NewResponseController(response).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(response, request, "layer", time.Time{}, bytes.NewReader(want))
	}))
	t.Cleanup(storage.Close)
	for _, signature := range []string{"signature=1", "signature=2"} {
		server.Inject(registry.Fault{Path: "/blobs/", Times: 1, Effect: registry.RedirectTo(storage.URL + "/layer?" + signature)})
	}
	got, err := readLayer(t.Context(), client, resolved.Repository, resolved.Manifests[0].Layers[0])
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes and %v, want %d bytes", len(got), err, len(want))
	}
	mutex.Lock()
	defer mutex.Unlock()
	if len(asked) != 2 || asked[0] != "signature=1 " || !strings.HasPrefix(asked[1], "signature=2 bytes=") {
		t.Errorf("storage was asked %q, want the second time with the new signature, for the rest", asked)
	}
}
