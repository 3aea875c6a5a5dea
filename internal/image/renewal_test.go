package image_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

var epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// vault is a keychain whose content changes.
type vault struct {
	mutex              sync.Mutex
	username, password string
	asked              int
	err                error
}

func (v *vault) Resolve(authn.Resource) (authn.Authenticator, error) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.asked++
	if v.username == "" {
		return authn.Anonymous, v.err
	}
	return &authn.Basic{Username: v.username, Password: v.password}, v.err
}

func (v *vault) set(username, password string) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.username, v.password = username, password
}

// keeper is a client that lives for long, and what it reads.
type keeper struct {
	server    *registry.Server
	reference string
	vault     *vault
	clock     *clocktesting.FakePassiveClock
	client    *image.Client
}

// newKeeper has asked once.
func newKeeper(t *testing.T, options registry.Options) *keeper {
	t.Helper()
	k := &keeper{
		server: start(t, options),
		vault:  &vault{username: options.Username, password: options.Password},
		clock:  clocktesting.NewFakePassiveClock(epoch),
	}
	k.reference = push(t, k.server, "team/app:1", forPlatform("linux/amd64"))
	k.client = image.NewClient(image.Options{Keychain: k.vault, Clock: k.clock})
	k.digest(t)
	return k
}

// digest asks, and returns the requests that this took.
func (k *keeper) digest(t *testing.T) []string {
	t.Helper()
	k.server.ForgetRequests()
	if _, err := k.client.Digest(t.Context(), k.reference); err != nil {
		t.Fatal(err)
	}
	return asked(k.server)
}

const (
	head  = "HEAD /v2/team/app/manifests/1"
	hello = "GET /v2/"
	token = "GET /token"
)

func TestCredentialsHealByThemselves(t *testing.T) {
	tokens := registry.Options{Username: "cook", Password: "first"}
	basic := registry.Options{Username: "AWS", Password: "first", Basic: true}
	cases := map[string]struct {
		reason  string
		options registry.Options
		happens func(*keeper)
		want    []string
	}{
		"token ended": {"a new one is asked for", tokens, func(k *keeper) { k.server.ExpireTokens() },
			[]string{head, token, head}},
		"password changed, tokens": {"the token's end shows it, and credentials are asked for anew", tokens, func(k *keeper) {
			k.server.SetCredentials("cook", "second")
			k.vault.set("cook", "second")
		}, []string{head, token, hello, token, head}},
		"password changed long ago, tokens": {"old credentials are not even tried", tokens, func(k *keeper) {
			k.server.SetCredentials("cook", "second")
			k.vault.set("cook", "second")
			k.clock.SetTime(epoch.Add(time.Hour))
		}, []string{head, token, head}},
		"password ended, basic": {"ECR's answer is 403", basic, func(k *keeper) {
			k.server.SetCredentials("AWS", "second")
			k.vault.set("AWS", "second")
		}, []string{head, hello, head}},
		"password renewed in time, basic": {"by age, without being refused first", basic, func(k *keeper) {
			k.server.SetCredentials("AWS", "second")
			k.vault.set("AWS", "second")
			k.clock.SetTime(epoch.Add(12 * time.Hour))
		}, []string{head}},
		"another user, basic": {"the answer is 401", basic, func(k *keeper) {
			k.server.SetCredentials("cook", "other")
			k.vault.set("cook", "other")
		}, []string{head, hello, head}},
		"no longer private": {"nothing is refused", basic, func(k *keeper) { k.server.SetCredentials("", "") }, []string{head}},
		"private now": {"what was open wants credentials", registry.Options{Basic: true}, func(k *keeper) {
			k.server.SetCredentials("cook", "first")
			k.vault.set("cook", "first")
		}, []string{head, hello, head}},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			k := newKeeper(t, test.options)
			if diff := cmp.Diff([]string{head}, k.digest(t)); diff != "" {
				t.Errorf("before (-want +got):\n%s", diff)
			}
			test.happens(k)
			if diff := cmp.Diff(test.want, k.digest(t)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
			if diff := cmp.Diff([]string{head}, k.digest(t)); diff != "" {
				t.Errorf("afterwards (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusedCredentialsAreTriedOnceMoreAndNoMore(t *testing.T) {
	k := newKeeper(t, registry.Options{Username: "AWS", Password: "first", Basic: true})
	k.server.SetCredentials("AWS", "second") // and nobody tells the keychain
	get := "GET /v2/team/app/manifests/1"
	// After HEAD was refused for good, GET tells why.
	for round, want := range [][]string{{head, hello, head, hello, get}, {hello, head, hello, get}} {
		k.server.ForgetRequests()
		_, err := k.client.Digest(t.Context(), k.reference)
		checkError(t, err, image.Forbidden, k.reference, "token has expired")
		if diff := cmp.Diff(want, asked(k.server)); diff != "" {
			t.Errorf("round %d (-want +got):\n%s", round, diff)
		}
	}
	k.vault.set("AWS", "second")
	k.digest(t)
}

func TestOneRepositoryForbiddenDoesNotDisturbAnother(t *testing.T) {
	k := newKeeper(t, registry.Options{Username: "cook", Password: "first"})
	push(t, k.server, "secret/app:1", forPlatform("linux/amd64"))
	k.server.Inject(registry.Fault{Path: "/secret/", Effect: registry.Refuse(http.StatusForbidden)})
	for range 2 {
		_, err := k.client.Digest(t.Context(), k.server.Host()+"/secret/app:1")
		checkError(t, err, image.Forbidden, k.server.Host()+"/secret/app:1", "DENIED")
	}
	if diff := cmp.Diff([]string{head}, k.digest(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeychainIsAskedNowAndThen(t *testing.T) {
	k := newKeeper(t, registry.Options{Username: "AWS", Password: "first", Basic: true})
	for range 100 {
		k.digest(t)
	}
	if k.vault.asked != 1 {
		t.Errorf("the keychain was asked %d times within a moment", k.vault.asked)
	}
	for hour := range 24 {
		k.clock.SetTime(epoch.Add(time.Duration(hour+1) * time.Hour))
		k.digest(t)
	}
	if k.vault.asked != 25 {
		t.Errorf("the keychain was asked %d times by one request an hour", k.vault.asked)
	}
}

func TestKeychainThatFails(t *testing.T) {
	k := newKeeper(t, registry.Options{Username: "AWS", Password: "first", Basic: true})
	k.vault.err = errors.New("no answer from https://cook:s3cr3t@vault.example/x?token=s3cr3t")
	k.clock.SetTime(epoch.Add(time.Hour))
	_, err := k.client.Digest(t.Context(), k.reference)
	checkError(t, err, image.Unauthorized, k.reference, "reading credentials: no answer from https://vault.example/x")
	k.vault.err = nil
	k.digest(t)
}

func TestSessionsDoNotPileUp(t *testing.T) {
	k := newKeeper(t, registry.Options{Username: "AWS", Password: "first", Basic: true})
	push(t, k.server, "other/app:1", forPlatform("linux/amd64"))
	other := func() {
		t.Helper()
		if _, err := k.client.Digest(t.Context(), k.server.Host()+"/other/app:1"); err != nil {
			t.Fatal(err)
		}
	}
	k.clock.SetTime(epoch.Add(24 * time.Hour))
	other()
	if diff := cmp.Diff([]string{head}, k.digest(t)); diff != "" {
		t.Errorf("after a day (-want +got):\n%s", diff)
	}
	k.clock.SetTime(epoch.Add(24*time.Hour + 49*time.Hour))
	push(t, k.server, "third/app:1", forPlatform("linux/amd64"))
	if _, err := k.client.Digest(t.Context(), k.server.Host()+"/third/app:1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{hello, head}, k.digest(t)); diff != "" {
		t.Errorf("after days unasked the session is still there (-want +got):\n%s", diff)
	}
}

func TestManyRequestsAtOnceHealOnce(t *testing.T) {
	k := newKeeper(t, registry.Options{Username: "AWS", Password: "first", Basic: true})
	k.server.SetCredentials("AWS", "second")
	k.vault.set("AWS", "second")
	k.server.ForgetRequests()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := k.client.Digest(t.Context(), k.reference); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	hellos := 0
	for _, request := range asked(k.server) {
		if request == hello {
			hellos++
		}
	}
	if hellos != 1 {
		t.Errorf("%d handshakes, want one for all", hellos)
	}
}
