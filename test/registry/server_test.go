package registry_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/zstd"

	"github.com/larder-dev/larder/test/registry"
)

func start(t *testing.T, options registry.Options) *registry.Server {
	t.Helper()
	server, err := registry.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func push(t *testing.T, server *registry.Server, name string, artifact registry.Artifact) string {
	t.Helper()
	reference, err := server.Push(t.Context(), name, artifact)
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

var small = registry.Image{Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "hello", Content: []byte("hello")}}}}}

func TestAnotherClientPullsAndUnpacksTheSamples(t *testing.T) {
	server := start(t, registry.Options{})
	for _, sample := range append(registry.Samples(), registry.Sample{Name: "runnable:1", Artifact: registry.Runnable([]byte("\x7fELF"))}) {
		t.Run(sample.Name, func(t *testing.T) {
			parsed, err := name.ParseReference(push(t, server, sample.Name, sample.Artifact))
			if err != nil {
				t.Fatal(err)
			}
			descriptor, err := remote.Get(parsed)
			if err != nil {
				t.Fatal(err)
			}
			for _, image := range images(t, descriptor) {
				if err := validate.Image(image, validate.Fast); err != nil {
					t.Error(err)
				}
				checkLayers(t, image)
			}
		})
	}
}

func images(t *testing.T, descriptor *remote.Descriptor) []v1.Image {
	t.Helper()
	if !descriptor.MediaType.IsIndex() {
		image, err := descriptor.Image()
		if err != nil {
			t.Fatal(err)
		}
		return []v1.Image{image}
	}
	index, err := descriptor.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	images, err := partial.FindImages(index, func(v1.Descriptor) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return images
}

// checkLayers unpacks as the media type says, and compares with the config's diff ids.
func checkLayers(t *testing.T, image v1.Image) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for number, layer := range layers {
		mediaType, err := layer.MediaType()
		if err != nil {
			t.Fatal(err)
		}
		packed, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		var unpacked io.Reader = packed
		switch {
		case strings.HasSuffix(string(mediaType), "gzip"):
			unpacked, err = gzip.NewReader(packed)
		case strings.HasSuffix(string(mediaType), "zstd"):
			unpacked, err = zstd.NewReader(packed)
		}
		if err != nil {
			t.Fatal(err)
		}
		diffID, _, err := v1.SHA256(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		if diffID != config.RootFS.DiffIDs[number] {
			t.Errorf("layer %d (%s) unpacks to %s, but its config says %s", number, mediaType, diffID, config.RootFS.DiffIDs[number])
		}
	}
}

func TestBuildsAreTheSameEveryTime(t *testing.T) {
	for _, sample := range registry.Samples() {
		first, err := registry.Build(sample.Artifact)
		if err != nil {
			t.Fatal(err)
		}
		second, err := registry.Build(sample.Artifact)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first.Descriptor, second.Descriptor); diff != "" {
			t.Errorf("%s changed:\n%s", sample.Name, diff)
		}
	}
}

func TestEveryRequestIsInTheAccessLogButPushesAreNot(t *testing.T) {
	server := start(t, registry.Options{})
	push(t, server, "app:1", small)
	for _, path := range []string{"/v2/app/manifests/1", "/v2/app/manifests/2"} {
		get(t, server, path)
	}
	want := []registry.Request{
		{Method: http.MethodGet, Path: "/v2/app/manifests/1", Status: http.StatusOK},
		{Method: http.MethodGet, Path: "/v2/app/manifests/2", Status: http.StatusNotFound},
	}
	if diff := cmp.Diff(want, server.Requests()); diff != "" {
		t.Error(diff)
	}
	server.ForgetRequests()
	if got := server.Requests(); len(got) != 0 {
		t.Errorf("after forgetting, %v is left", got)
	}
}

func TestFaults(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  registry.Fault
		// statuses are those of three requests in a row; 0 is a broken connection.
		statuses []int
		// same tells whether the last body that came is the right one.
		same bool
	}{
		"none":             {"the registry works", registry.Fault{Path: "/other/", Effect: registry.Refuse(http.StatusNotFound)}, []int{200, 200, 200}, true},
		"refused for good": {"a fault without a count stays", registry.Fault{Effect: registry.Refuse(http.StatusUnauthorized)}, []int{401, 401, 401}, false},
		"refused twice":    {"a counted fault ends", registry.Fault{Times: 2, Effect: registry.Refuse(http.StatusServiceUnavailable)}, []int{503, 503, 200}, true},
		"broken off":       {"the connection ends before the body", registry.Fault{Effect: registry.BreakOff}, []int{0, 0, 0}, false},
		"truncated":        {"a short body looks whole", registry.Fault{Effect: registry.Truncate}, []int{200, 200, 200}, false},
		"extended":         {"a long body looks whole", registry.Fault{Effect: registry.Extend}, []int{200, 200, 200}, false},
		"corrupted":        {"another body of the same length", registry.Fault{Effect: registry.Corrupt}, []int{200, 200, 200}, false},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			push(t, server, "app:1", small)
			_, right := get(t, server, "/v2/app/manifests/1")
			server.Inject(test.fault)
			var statuses []int
			var body string
			for range test.statuses {
				var status int
				status, body = get(t, server, "/v2/app/manifests/1")
				statuses = append(statuses, status)
			}
			if !slices.Equal(statuses, test.statuses) || (body == right) != test.same {
				t.Errorf("%s: got %v (right body: %v), want %v (%v)", test.reason, statuses, body == right, test.statuses, test.same)
			}
			server.Heal()
			if status, body := get(t, server, "/v2/app/manifests/1"); status != 200 || body != right {
				t.Errorf("after healing: %d, %q", status, body)
			}
		})
	}
}

// get returns status 0 when the body could not be read whole.
func get(t *testing.T, server *registry.Server, path string) (int, string) {
	t.Helper()
	response, err := http.Get("http://" + server.Host() + path)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(body)
}

func TestPrivateRegistryWantsItsCredentials(t *testing.T) {
	server := start(t, registry.Options{Username: "cook", Password: "thyme"})
	parsed, err := name.ParseReference(push(t, server, "app:1", small))
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		authenticator authn.Authenticator
		want          int
	}{
		"right":     {&authn.Basic{Username: "cook", Password: "thyme"}, http.StatusOK},
		"wrong":     {&authn.Basic{Username: "cook", Password: "salt"}, http.StatusUnauthorized},
		"anonymous": {authn.Anonymous, http.StatusUnauthorized},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			got := http.StatusOK
			_, err := remote.Get(parsed, remote.WithAuth(test.authenticator))
			var refused *transport.Error
			if errors.As(err, &refused) {
				got = refused.StatusCode
			} else if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
		})
	}
}

func TestDelaysEndWithTheirRequest(t *testing.T) {
	server := start(t, registry.Options{MaxDelay: 1000 * time.Hour, Seed: 1})
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.Host()+"/v2/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() {
		_, err := http.DefaultClient.Do(request)
		answered <- err
	}()
	for len(server.Requests()) == 0 {
		select {
		case err := <-answered:
			t.Fatalf("answered before the delay: %v", err)
		default:
		}
	}
	cancel()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
}

func TestStoppedServerIsGone(t *testing.T) {
	server := start(t, registry.Options{})
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get("http://" + server.Host() + "/v2/"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want a refused connection", err)
	}
}
