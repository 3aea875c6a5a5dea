package image_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

func TestResolveFailsWithTheReasonAndWhatToDo(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		fault  registry.Fault
		wanted string
		want   image.Reason
		// says is a part of the sentence.
		says string
		// requests is how often the manifest is asked for; 0 means that the handshake fails before.
		requests int
	}{
		"unknown tag": {"the registry does not have it", registry.Fault{Path: "/manifests/", Effect: registry.Refuse(http.StatusNotFound)},
			"linux/amd64", image.NotFound, "check the repository and the tag", 1},
		"no access": {"some registries hide what does not exist", registry.Fault{Path: "/manifests/", Effect: registry.Refuse(http.StatusUnauthorized)},
			"linux/amd64", image.Unauthorized, "check the credentials, and the name", 1},
		"forbidden": {"who is known lacks a permission", registry.Fault{Path: "/manifests/", Effect: registry.Refuse(http.StatusForbidden)},
			"linux/amd64", image.Forbidden, "check the repository's permissions", 1},
		"rate limit": {"the limit lasts through all retries", registry.Fault{Path: "/manifests/", Effect: registry.Refuse(http.StatusTooManyRequests)},
			"linux/amd64", image.TooManyRequests, "try again later", 4},
		"out of order": {"the fault lasts through all retries", registry.Fault{Path: "/manifests/", Effect: registry.Refuse(http.StatusServiceUnavailable)},
			"linux/amd64", image.RegistryError, "HTTP status 503", 4},
		"no registry here": {"a web server without a registry", registry.Fault{Effect: registry.Refuse(http.StatusNotFound)},
			"linux/amd64", image.RegistryError, "HTTP status 404", 0},
		"platform": {"the message lists what there is", registry.Fault{Path: "/none/", Effect: registry.Refuse(http.StatusNotFound)},
			"linux/s390x", image.PlatformMissing, "wanted: linux/s390x; it has: linux/amd64", 1},
		"manifest altered": {"an altered manifest is not parsed", registry.Fault{Path: "/manifests/", Effect: registry.Corrupt},
			"linux/amd64", image.DigestMismatch, "try again, and check the registry", 1},
		"config altered": {"the manifest's digest for it decides", registry.Fault{Path: "/blobs/", Effect: registry.Corrupt},
			"linux/amd64", image.DigestMismatch, "came as sha256:", 1},
		"config truncated": {"a short answer is seen as such", registry.Fault{Path: "/blobs/", Effect: registry.Truncate},
			"linux/amd64", image.DigestMismatch, "did not come with its", 1},
		"config overlong": {"no more is read than there should be", registry.Fault{Path: "/blobs/", Effect: registry.Extend},
			"linux/amd64", image.DigestMismatch, "did not come with its", 1},
		"broken off": {"the connection ends in the middle", registry.Fault{Path: "/manifests/", Effect: registry.BreakOff},
			"linux/amd64", image.Incomplete, "check the network", 1},
		"inward redirect": {"a registry must not make us ask the cloud's metadata",
			registry.Fault{Path: "/blobs/", Effect: registry.RedirectTo("http://169.254.169.254/latest/meta-data")},
			"linux/amd64", image.RegistryError, "refusing a redirect to the internal address", 1},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			server := start(t, registry.Options{})
			reference := push(t, server, "team/app:1", forPlatform("linux/amd64"))
			server.Inject(test.fault)
			var waited waits
			_, err := waited.client().Resolve(t.Context(), reference, []string{test.wanted})
			checkError(t, err, test.want, reference, test.says)
			if got := manifestRequests(server); got != test.requests {
				t.Errorf("%s: the manifest was asked for %d times, want %d", test.reason, got, test.requests)
			}
		})
	}
}

func checkError(t *testing.T, err error, want image.Reason, reference, says string) {
	t.Helper()
	if got := image.ReasonOf(err); got != want {
		t.Fatalf("the reason is %q, want %q: %v", got, want, err)
	}
	registryHost, _, _ := strings.Cut(reference, "/")
	for _, part := range []string{reference, registryHost, says} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func manifestRequests(server *registry.Server) int {
	return len(slices.DeleteFunc(server.Requests(), func(request registry.Request) bool {
		return !strings.Contains(request.Path, "/manifests/")
	}))
}

func TestResolveOutlivesAShortOutage(t *testing.T) {
	t.Parallel()
	server := start(t, registry.Options{})
	reference := push(t, server, "app:1", forPlatform("linux/amd64"))
	server.Inject(registry.Fault{Path: "/manifests/", Times: 1, Effect: registry.Refuse(http.StatusServiceUnavailable)})
	resolve(t, reference, "linux/amd64")
	if got := manifestRequests(server); got != 2 {
		t.Errorf("the manifest was asked for %d times, want once again after the 503", got)
	}
}

func TestResolveFromAStoppedRegistry(t *testing.T) {
	t.Parallel()
	server := start(t, registry.Options{})
	reference := push(t, server, "app:1", forPlatform("linux/amd64"))
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	_, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, []string{"linux/amd64"})
	checkError(t, err, image.Unreachable, reference, "connection refused")
}

func TestResolveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	server := start(t, registry.Options{})
	reference := push(t, server, "app:1", forPlatform("linux/amd64"))
	ctx, cancel := context.WithCancel(t.Context())
	server.Inject(registry.Fault{Path: "/manifests/", Effect: func(_ http.ResponseWriter, request *http.Request, _ http.Handler) {
		cancel()
		<-request.Context().Done()
	}})
	_, err := image.NewClient(image.Options{}).Resolve(ctx, reference, []string{"linux/amd64"})
	if !errors.Is(err, context.Canceled) || image.ReasonOf(err) != "" {
		t.Errorf("got %v, want the cancellation, with no reason that blames the image", err)
	}
}

func TestResolveRefusesHalfNamedPlatforms(t *testing.T) {
	t.Parallel()
	for title, wanted := range map[string][]string{
		"none at all":           nil,
		"architecture only":     {"amd64"},
		"operating system only": {"linux"},
		"not a platform":        {"linux/amd64", "linux/am d64"},
	} {
		t.Run(title, func(t *testing.T) {
			_, err := image.NewClient(image.Options{}).Resolve(t.Context(), "127.0.0.1:1/app", wanted)
			if err == nil || !strings.Contains(err.Error(), "such as linux/amd64") {
				t.Errorf("got %v, want an error that shows how to write it", err)
			}
		})
	}
}

// keychain has one username and password for every registry.
type keychain struct{ username, password string }

func (k keychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: k.username, Password: k.password}, nil
}

func TestOneTokenServesManyRequests(t *testing.T) {
	t.Parallel()
	server := start(t, registry.Options{Username: "cook", Password: "thyme"})
	reference := push(t, server, "team/app:1", forPlatform("linux/amd64"))
	client := image.NewClient(image.Options{Keychain: keychain{"cook", "thyme"}})
	for range 2 {
		resolved, err := client.Resolve(t.Context(), reference, []string{"linux/amd64"})
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range resolved.Manifests[0].Layers {
			reader, err := client.OpenLayer(t.Context(), resolved.Repository, layer)
			if err != nil {
				t.Fatal(err)
			}
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	tokens := slices.DeleteFunc(server.Requests(), func(request registry.Request) bool { return request.Path != "/token" })
	if len(tokens) != 1 {
		t.Errorf("a token was asked for %d times, want once", len(tokens))
	}
}
