package image_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

// largeLayer takes many reads and does not compress.
func largeLayer(t *testing.T) (registry.Image, []byte) {
	t.Helper()
	content := make([]byte, 300_000)
	state := uint32(1)
	for i := range content {
		state = state*1664525 + 1013904223
		content[i] = byte(state >> 24)
	}
	artifact := registry.Image{Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "large", Content: content}}}}}
	built, err := registry.Build(artifact)
	if err != nil {
		t.Fatal(err)
	}
	return artifact, built.Blobs[0].Content
}

func TestOpenLayer(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  registry.Fault
		// want is empty when the layer comes whole.
		want image.Reason
		says string
		// requests is how often the layer is asked for.
		requests int
	}{
		"whole": {"nothing is wrong", registry.Fault{Path: "/none/"}, "", "", 1},
		"broken off twice": {"a broken download is taken up where it broke",
			registry.Fault{Path: "/blobs/", Times: 2, Effect: registry.BreakOff}, "", "", 3},
		"broken off always": {"resuming is bounded",
			registry.Fault{Path: "/blobs/", Effect: registry.BreakOff}, image.Incomplete, "after 5 attempts to resume", 6},
		"broken off, and no ranges": {"a whole answer is not taken for the rest",
			registry.Fault{Path: "/blobs/", Effect: breakOffWithoutRanges}, image.Incomplete, "the registry cannot resume", 2},
		"altered": {"one bit is seen", registry.Fault{Path: "/blobs/", Effect: registry.Corrupt},
			image.DigestMismatch, "another digest", 1},
		"truncated": {"the announced size is wrong already", registry.Fault{Path: "/blobs/", Effect: registry.Truncate},
			image.DigestMismatch, "announced instead of", 1},
		"overlong": {"bytes beyond the size are seen without an announced size", registry.Fault{Path: "/blobs/", Effect: registry.Extend},
			image.DigestMismatch, "more than its", 1},
		"gone": {"registries collect layers too", registry.Fault{Path: "/blobs/", Effect: registry.Refuse(http.StatusNotFound)},
			image.NotFound, "HTTP status 404", 1},
		"elsewhere": {"a partial answer to a whole request is a mistake", registry.Fault{Path: "/blobs/", Effect: registry.Refuse(http.StatusPartialContent)},
			image.RegistryError, "HTTP status 206", 1},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			artifact, want := largeLayer(t)
			client := image.NewClient(image.Options{})
			resolved, err := client.Resolve(t.Context(), push(t, server, "team/app:1", artifact), []string{"linux/amd64"})
			if err != nil {
				t.Fatal(err)
			}
			layer := resolved.Manifests[0].Layers[0]
			server.Inject(test.fault)
			server.ForgetRequests()
			got, err := readLayer(t.Context(), client, resolved.Repository, layer)
			if got := len(server.Requests()); got != test.requests {
				t.Errorf("%s: the layer was asked for %d times, want %d", test.reason, got, test.requests)
			}
			if test.want != "" {
				checkError(t, err, test.want, resolved.Repository+"@"+layer.Descriptor.Digest.String(), test.says)
				return
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: got %d bytes and %v, want %d bytes", test.reason, len(got), err, len(want))
			}
		})
	}
}

func TestSamplesAreReadWhole(t *testing.T) {
	server := start(t, registry.Options{MaxDelay: 5 * time.Millisecond, Seed: 7})
	client := image.NewClient(image.Options{})
	for _, sample := range registry.Samples() {
		resolved, err := client.Resolve(t.Context(), push(t, server, sample.Name, sample.Artifact), []string{"linux/arm64", "linux/amd64"})
		if err != nil {
			t.Fatal(err)
		}
		checkConsistent(t, resolved)
		checkPlatforms(t, resolved)
		for _, manifest := range resolved.Manifests {
			for number, layer := range manifest.Layers {
				content, err := readLayer(t.Context(), client, resolved.Repository, layer)
				if err != nil || digest.FromBytes(content) != layer.Descriptor.Digest {
					t.Errorf("layer %d of %s for %s: %d bytes, %v", number, sample.Name, manifest.Platform, len(content), err)
				}
			}
		}
	}
}

func breakOffWithoutRanges(response http.ResponseWriter, request *http.Request, store http.Handler) {
	request.Header.Del("Range")
	registry.BreakOff(response, request, store)
}

func readLayer(ctx context.Context, client *image.Client, repository string, layer image.Layer) ([]byte, error) {
	reader, err := client.OpenLayer(ctx, repository, layer)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(reader)
	return content, errors.Join(err, reader.Close())
}

func TestLayerReaderIsAWellBehavedReader(t *testing.T) {
	server := start(t, registry.Options{})
	artifact, want := largeLayer(t)
	client := image.NewClient(image.Options{})
	resolved, err := client.Resolve(t.Context(), push(t, server, "app:1", artifact), []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := client.OpenLayer(t.Context(), resolved.Repository, resolved.Manifests[0].Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := iotest.TestReader(reader, want); err != nil {
		t.Error(err)
	}
}

func TestLayerEndsWithItsContext(t *testing.T) {
	server := start(t, registry.Options{})
	artifact, _ := largeLayer(t)
	client := image.NewClient(image.Options{})
	resolved, err := client.Resolve(t.Context(), push(t, server, "app:1", artifact), []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server.Inject(registry.Fault{Path: "/blobs/", Effect: func(response http.ResponseWriter, request *http.Request, _ http.Handler) {
		response.WriteHeader(http.StatusOK)
		cancel()
		<-request.Context().Done()
	}})
	server.ForgetRequests()
	_, err = readLayer(ctx, client, resolved.Repository, resolved.Manifests[0].Layers[0])
	if !errors.Is(err, context.Canceled) || image.ReasonOf(err) != "" {
		t.Errorf("got %v, want the cancellation", err)
	}
	if got := len(server.Requests()); got != 1 {
		t.Errorf("the layer was asked for %d times, want no resuming after the cancellation", got)
	}
}

func TestPlainHTTPIsForNamedHostsOnly(t *testing.T) {
	server := start(t, registry.Options{})
	push(t, server, "app:1", forPlatform("linux/amd64"))
	// A name that nobody takes for this machine: the transport leads it to the registry all the same.
	var plain []string
	reroute := roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.URL.Scheme != "http" {
			return nil, errors.New("the registry does not speak TLS")
		}
		plain = append(plain, request.URL.Host)
		request.URL.Host = server.Host()
		return http.DefaultTransport.RoundTrip(request)
	})
	for host, allowed := range map[string]bool{"plain.example": true, "tls.example": false} {
		client := image.NewClient(image.Options{
			Transport:  reroute,
			Registries: readRegistries(t, `{"registries": {"plain.example": {"plainHTTP": true}}}`),
		})
		_, err := client.Resolve(t.Context(), host+"/app:1", []string{"linux/amd64"})
		if (err == nil) != allowed {
			t.Errorf("%s: got %v, want success: %v", host, err, allowed)
		}
	}
	if slices.Contains(plain, "tls.example") {
		t.Error("a host that was not named was asked without TLS")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
