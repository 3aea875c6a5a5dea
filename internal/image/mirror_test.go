package image_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

// mirrored is a registry with two mirrors, which speak TLS with certificates that nobody else trusts. The second
// keeps everything below a prefix.
type mirrored struct {
	origin, first, second *registry.Server
	registries            *image.Registries
	clock                 *clocktesting.FakePassiveClock
	client                *image.Client
	vault                 *vaults
	artifact              registry.Image
	layer                 []byte
	reference             string
}

// vaults is a keychain with a user for each host, and notes for which it was asked.
type vaults struct {
	mutex sync.Mutex
	users map[string]string
	asked map[string]bool
}

func (v *vaults) Resolve(target authn.Resource) (authn.Authenticator, error) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.asked[target.String()] = true
	if user := v.users[target.RegistryStr()]; user != "" {
		return &authn.Basic{Username: user, Password: user + "'s password"}, nil
	}
	return authn.Anonymous, nil
}

func newMirrored(t *testing.T) *mirrored {
	t.Helper()
	private := func(user string, tls bool) *registry.Server {
		return start(t, registry.Options{Username: user, Password: user + "'s password", Basic: true, TLS: tls})
	}
	m := &mirrored{
		origin: private("origin", false),
		first:  private("first", true),
		second: private("second", true),
		clock:  clocktesting.NewFakePassiveClock(epoch),
	}
	m.artifact, m.layer = largeLayer(t)
	m.reference = push(t, m.origin, "team/app:1", m.artifact)
	push(t, m.first, "team/app:1", m.artifact)
	push(t, m.second, "hub/cache/team/app:1", m.artifact)
	m.registries = readRegistries(t, fmt.Sprintf(`
registries:
  %q:
    mirrors: ["https://%s", "https://%s/hub/cache"]
  %[2]q: {caFile: %[4]q}
  %[3]q: {caFile: %[5]q}
`, m.origin.Host(), m.first.Host(), m.second.Host(), certificate(t, m.first), certificate(t, m.second)))
	m.vault = &vaults{asked: map[string]bool{}, users: map[string]string{
		m.origin.Host(): "origin", m.first.Host(): "first", m.second.Host(): "second",
	}}
	m.client = image.NewClient(image.Options{Keychain: m.vault, Registries: m.registries, Clock: m.clock})
	return m
}

// certificate writes what a server's clients have to trust.
func certificate(t *testing.T, server *registry.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, server.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// served tells, after an image was read whole, which of the three served its manifest and its layer.
func (m *mirrored) served(t *testing.T) (manifest, layer string) {
	t.Helper()
	resolved, err := m.client.Resolve(t.Context(), m.reference, []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	content, err := readLayer(t.Context(), m.client, resolved.Repository, resolved.Manifests[0].Layers[0])
	if err != nil || !bytes.Equal(content, m.layer) {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	if resolved.Repository != m.origin.Host()+"/team/app" {
		t.Errorf("the repository is %s: a mirror's name must not show", resolved.Repository)
	}
	layerDigest := resolved.Manifests[0].Layers[0].Descriptor.Digest.String()
	// Each is asked only after those before it failed, so that the last one has served.
	for i, server := range []*registry.Server{m.first, m.second, m.origin} {
		name := []string{"first", "second", "origin"}[i]
		for _, request := range server.Requests() {
			switch {
			case request.Status != http.StatusOK && request.Status != http.StatusPartialContent:
			case strings.Contains(request.Path, "/manifests/"):
				manifest = name
			case strings.HasSuffix(request.Path, layerDigest):
				layer = name
			}
		}
	}
	return manifest, layer
}

func TestMirrorsAreAskedInTheirOrder(t *testing.T) {
	gone := registry.Refuse(http.StatusNotFound)
	cases := map[string]struct {
		reason        string
		first, second *registry.Fault
		want          string
	}{
		"first":                 {"all is well", nil, nil, "first"},
		"second":                {"the first does not have it", &registry.Fault{Effect: gone}, nil, "second"},
		"origin":                {"neither has", &registry.Fault{Effect: gone}, &registry.Fault{Effect: gone}, "origin"},
		"out of order":          {"mirrors are not waited for", &registry.Fault{Effect: registry.Refuse(http.StatusServiceUnavailable)}, nil, "second"},
		"limiting":              {"not even when they ask to", &registry.Fault{Effect: refuseFor(http.StatusTooManyRequests, "30")}, nil, "second"},
		"forbidden":             {"its credentials are its own matter", &registry.Fault{Effect: registry.Refuse(http.StatusForbidden)}, nil, "second"},
		"altered":               {"what it sends is verified", &registry.Fault{Path: "/manifests/", Effect: registry.Corrupt}, &registry.Fault{Effect: gone}, "origin"},
		"altered config":        {"each blob is", &registry.Fault{Path: "/blobs/", Effect: registry.Truncate}, &registry.Fault{Effect: gone}, "first"},
		"broken off":            {"the connection ends", &registry.Fault{Path: "/manifests/", Effect: registry.BreakOff}, nil, "second"},
		"a page instead":        {"a proxy's login, say", &registry.Fault{Path: "/manifests/", Effect: list("<html>", "")}, nil, "second"},
		"redirected to nowhere": {"it points inwards", &registry.Fault{Path: "/manifests/", Effect: registry.RedirectTo("https://169.254.169.254/")}, nil, "second"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			m := newMirrored(t)
			for server, fault := range map[*registry.Server]*registry.Fault{m.first: test.first, m.second: test.second} {
				if fault != nil {
					server.Inject(*fault)
				}
			}
			if manifest, _ := m.served(t); manifest != test.want {
				t.Errorf("%s: %s served the manifest, want %s", test.reason, manifest, test.want)
			}
			if test.want != "origin" && test.first == nil && len(m.origin.Requests()) > 0 {
				t.Errorf("the registry was asked: %v", asked(m.origin))
			}
		})
	}
}

func TestLayerIsReadOnElsewhereWhenAMirrorFails(t *testing.T) {
	for title, effect := range map[string]registry.Effect{
		"broken off": registry.BreakOff,
		"gone":       registry.Refuse(http.StatusNotFound),
		"truncated":  registry.Truncate,
	} {
		t.Run(title, func(t *testing.T) {
			m := newMirrored(t)
			resolved, err := m.client.Resolve(t.Context(), m.reference, []string{"linux/amd64"})
			if err != nil {
				t.Fatal(err)
			}
			layer := resolved.Manifests[0].Layers[0]
			for _, server := range []*registry.Server{m.first, m.second, m.origin} {
				server.ForgetRequests()
				server.Inject(registry.Fault{Path: layer.Descriptor.Digest.String(), Times: 1, Effect: effect})
			}
			m.origin.Heal()
			content, err := readLayer(t.Context(), m.client, resolved.Repository, layer)
			if err != nil || !bytes.Equal(content, m.layer) {
				t.Fatalf("%d bytes, %v", len(content), err)
			}
			if got := asked(m.first); len(got) != 1 {
				t.Errorf("a mirror that failed was asked again: %v", got)
			}
			if got := m.origin.Requests(); len(got) != 2 || got[1].Range == "" != (title != "broken off") {
				t.Errorf("the registry was asked %+v", got)
			}
		})
	}
}

func TestMirrorThatSendsAWrongLayerIsLeftAlone(t *testing.T) {
	m := newMirrored(t)
	resolved, err := m.client.Resolve(t.Context(), m.reference, []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	layer := resolved.Manifests[0].Layers[0]
	m.first.Inject(registry.Fault{Path: layer.Descriptor.Digest.String(), Effect: registry.Corrupt})
	_, err = readLayer(t.Context(), m.client, resolved.Repository, layer)
	if image.ReasonOf(err) != image.DigestMismatch || !strings.Contains(err.Error(), m.first.Host()) {
		t.Fatalf("got %v, want a mismatch that names the mirror", err)
	}
	for _, moment := range []struct {
		after time.Duration
		want  string
	}{{0, "second"}, {time.Hour - time.Second, "second"}, {time.Hour, "first"}} {
		m.clock.SetTime(epoch.Add(moment.after))
		m.first.Heal()
		for _, server := range []*registry.Server{m.first, m.second} {
			server.ForgetRequests() // what was altered looked well in the log
		}
		if _, got := m.served(t); got != moment.want {
			t.Errorf("after %v the layer came from %s, want %s", moment.after, got, moment.want)
		}
	}
}

func TestMirrorThatIsDownIsNotAskedForEveryImage(t *testing.T) {
	m := newMirrored(t)
	var attempts []string
	client := image.NewClient(image.Options{Keychain: m.vault, Clock: m.clock, Registries: readRegistries(t, fmt.Sprintf(
		`{"registries": {%q: {"mirrors": ["https://down.example"]}}}`, m.origin.Host())),
		Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.URL.Host == "down.example" {
				attempts = append(attempts, request.URL.Path)
				return nil, &os.PathError{Op: "dial", Path: "tcp", Err: os.ErrDeadlineExceeded}
			}
			return http.DefaultTransport.RoundTrip(request)
		}),
	})
	for _, moment := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {0, 1}, {59 * time.Second, 1}, {time.Minute, 2}} {
		m.clock.SetTime(epoch.Add(moment.after))
		if _, err := client.Digest(t.Context(), m.reference); err != nil {
			t.Fatal(err)
		}
		if len(attempts) != moment.want {
			t.Errorf("after %v the mirror was asked %d times, want %d: %v", moment.after, len(attempts), moment.want, attempts)
		}
	}
}

func TestDigestComesFromAMirror(t *testing.T) {
	m := newMirrored(t)
	want, err := m.client.Digest(t.Context(), m.reference)
	if err != nil {
		t.Fatal(err)
	}
	m.first.Inject(registry.Fault{Effect: registry.Refuse(http.StatusNotFound)})
	got, err := m.client.Digest(t.Context(), m.reference)
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %s", got, err, want)
	}
	if len(m.origin.Requests()) != 0 {
		t.Errorf("the registry was asked: %v", asked(m.origin))
	}
	if diff := cmp.Diff([]string{"GET /v2/", "HEAD /v2/hub/cache/team/app/manifests/1"}, asked(m.second)); diff != "" {
		t.Errorf("the second mirror (-want +got):\n%s", diff)
	}
}

func TestTagsAreTheRegistrysOwn(t *testing.T) {
	m := newMirrored(t)
	push(t, m.origin, "team/app:2", m.artifact)
	check := func(when string, want ...string) {
		t.Helper()
		got, err := m.client.Tags(t.Context(), m.reference)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", when, got, err, want)
		}
	}
	check("a mirror may know only what was pulled", "1", "2")
	if err := m.origin.Stop(); err != nil {
		t.Fatal(err)
	}
	check("without the registry a mirror's tags are all there are", "1")
	m.first.Inject(registry.Fault{Effect: registry.Refuse(http.StatusServiceUnavailable)})
	check("the next mirror has them too", "1")
	m.second.Inject(registry.Fault{Effect: registry.Refuse(http.StatusNotFound)})
	_, err := m.client.Tags(t.Context(), m.reference)
	checkError(t, err, image.Unreachable, m.origin.Host()+"/team/app", "connection refused")
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	m := newMirrored(t)
	var mutex sync.Mutex
	sent := map[string]map[string]bool{}
	watch := func(server *registry.Server) registry.Effect {
		return func(response http.ResponseWriter, request *http.Request, store http.Handler) {
			user, _, _ := request.BasicAuth()
			mutex.Lock()
			if sent[server.Host()] == nil {
				sent[server.Host()] = map[string]bool{}
			}
			sent[server.Host()][user] = true
			mutex.Unlock()
			if server == m.origin {
				store.ServeHTTP(response, request)
				return
			}
			registry.Refuse(http.StatusNotFound)(response, request, store)
		}
	}
	for _, server := range []*registry.Server{m.first, m.second, m.origin} {
		server.Inject(registry.Fault{Effect: watch(server)})
	}
	m.served(t)
	want := map[string]map[string]bool{
		m.first.Host():  {"first": true},
		m.second.Host(): {"second": true},
		m.origin.Host(): {"origin": true},
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	repositories := map[string]bool{
		m.first.Host() + "/team/app":            true,
		m.second.Host() + "/hub/cache/team/app": true,
		m.origin.Host() + "/team/app":           true,
	}
	if diff := cmp.Diff(repositories, m.vault.asked); diff != "" {
		t.Errorf("the keychain was asked for (-want +got):\n%s", diff)
	}
}
