package ecr_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	clocktesting "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ecr"
	"github.com/larder-dev/larder/test/fakeaws"
)

const (
	ours          = "111122223333.dkr.ecr.us-west-2.amazonaws.com/llm:1"
	others        = "444455556666.dkr.ecr.us-west-2.amazonaws.com/team/base@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	pullThrough   = "111122223333.dkr.ecr.us-west-2.amazonaws.com/docker-hub/library/redis:7"
	elsewhere     = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/llm:1"
	public        = "public.ecr.aws/eks/pause:3.10"
	private       = "GetAuthorizationToken"
	publicTokens  = "ecr-public:GetAuthorizationToken"
	notAnECRImage = "docker.io/library/redis:7"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// stand is a fake AWS and a keychain that share a clock. Retries come at once.
type stand struct {
	*testing.T
	*fakeaws.Server
	clock    *clocktesting.FakePassiveClock
	keychain *ecr.Keychain
}

func newStand(t *testing.T, options fakeaws.Options) *stand {
	t.Helper()
	s := &stand{T: t, clock: clocktesting.NewFakePassiveClock(epoch)}
	options.Clock = s.clock
	s.Server = fakeaws.NewForTest(t, options)
	cfg := s.Config()
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
	}
	s.keychain = ecr.New(cfg, s.clock)
	return s
}

func (s *stand) resolve(ctx context.Context, image string) (authn.Authenticator, error) {
	s.Helper()
	reference, err := name.ParseReference(image)
	if err != nil {
		s.Fatal(err)
	}
	return authn.Resolve(ctx, s.keychain, reference.Context())
}

// password resolves an image and returns the password of its registry.
func (s *stand) password(image string) string {
	s.Helper()
	found, err := s.resolve(s.Context(), image)
	if err != nil {
		s.Fatalf("%s: %v", image, err)
	}
	login, err := found.Authorization()
	if err != nil {
		s.Fatal(err)
	}
	if found != authn.Anonymous && login.Username != fakeaws.RegistryUser {
		s.Errorf("%s: user %q", image, login.Username)
	}
	return login.Password
}

func (s *stand) wantCalls(action string, want int) {
	s.Helper()
	if got := s.Calls(action); got != want {
		s.Errorf("%d calls of %s, want %d", got, action, want)
	}
}

func TestTokensOfADay(t *testing.T) {
	s := newStand(t, fakeaws.Options{})
	for ; s.clock.Since(epoch) < 24*time.Hour; s.clock.SetTime(s.clock.Now().Add(10 * time.Minute)) {
		given := s.password(ours)
		if s.password(others) != given || s.password(pullThrough) != given {
			t.Fatal("one token is good for all registries of a Region")
		}
		if s.password(elsewhere) == given || s.password(public) == given {
			t.Fatal("another Region's token, or that of ECR public, is the same")
		}
		s.password(notAnECRImage)
		for _, password := range []string{given, s.password(elsewhere), s.password(public)} {
			if left := s.lifeOf(password); left <= 6*time.Hour {
				t.Fatalf("at %s a token with %s left was handed out", s.clock.Now(), left)
			}
		}
	}
	s.wantCalls(private, 2*4)
	s.wantCalls(publicTokens, 4)
}

// lifeOf returns how long the token with this password can still be used.
func (s *stand) lifeOf(password string) time.Duration {
	for _, token := range s.RegistryTokens() {
		if token.Password == password {
			return token.Expires.Sub(s.clock.Now())
		}
	}
	return 0
}

func TestHosts(t *testing.T) {
	cases := map[string]struct {
		host string
		// region is where the token must come from, "public" for ECR public, and empty for none.
		region string
	}{
		"commercial":               {"111122223333.dkr.ecr.ap-northeast-1.amazonaws.com", "ap-northeast-1"},
		"FIPS":                     {"111122223333.dkr.ecr-fips.us-east-2.amazonaws.com", "us-east-2"},
		"dual-stack":               {"111122223333.dkr-ecr.eu-central-1.on.aws", "eu-central-1"},
		"dual-stack FIPS":          {"111122223333.dkr-ecr-fips.us-west-1.on.aws", "us-west-1"},
		"China":                    {"111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"},
		"China dual-stack":         {"111122223333.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1"},
		"GovCloud":                 {"111122223333.dkr.ecr.us-gov-west-1.amazonaws.com", "us-gov-west-1"},
		"public":                   {"public.ecr.aws", "public"},
		"public dual-stack":        {"ecr-public.aws.com", "public"},
		"another registry":         {"ghcr.io", ""},
		"a registry on a port":     {"127.0.0.1:5000", ""},
		"a look-alike":             {"111122223333.dkr.ecr.us-west-2.amazonaws.com.example.org", ""},
		"a look-alike of the host": {"evil-111122223333.dkr.ecr.us-west-2.amazonaws.com", ""},
		"a short account":          {"11112222333.dkr.ecr.us-west-2.amazonaws.com", ""},
		"a dot that is a letter":   {"111122223333xdkr.ecr.us-west-2.amazonaws.com", ""},
		"a look-alike of public":   {"public.ecr.aws.example.org", ""},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{Regions: []string{"cn-north-1", "us-gov-west-1"}})
			password := s.password(c.host + "/llm:1")
			given := s.RegistryTokens()
			if c.region == "" {
				if password != "" || len(given) != 0 {
					t.Errorf("credentials of AWS go to %s", c.host)
				}
				return
			}
			if len(given) != 1 || given[0].Password != password || strings.Replace(c.region, "public", "", 1) != given[0].Region {
				t.Errorf("tokens %+v, want one of %s", given, c.region)
			}
		})
	}
}

func TestDeniedSaysWhatIsWanted(t *testing.T) {
	s := newStand(t, fakeaws.Options{Denied: []string{private}})
	_, err := s.resolve(t.Context(), ours)
	if !larderaws.IsAccessDenied(err) {
		t.Fatalf("error %v is no refusal", err)
	}
	for _, want := range []string{"111122223333.dkr.ecr.us-west-2.amazonaws.com", "ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

// Public images need no token; who may not have one is asked about it again from time to time, not for every image.
func TestPublicFallsBackToAnonymous(t *testing.T) {
	s := newStand(t, fakeaws.Options{})
	s.Inject(fakeaws.Fault{Action: publicTokens, Kind: fakeaws.Denied})
	for range 10 {
		if found, err := s.resolve(t.Context(), public); err != nil || found != authn.Anonymous {
			t.Fatalf("%v, %v, want Anonymous", found, err)
		}
	}
	s.wantCalls(publicTokens, 1)
	s.Heal()
	s.clock.SetTime(epoch.Add(time.Hour))
	if s.password(public) == "" {
		t.Error("a permission that was granted is not found")
	}
	s.wantCalls(publicTokens, 2)
}

func TestPublicSurvivesAnOutage(t *testing.T) {
	s := newStand(t, fakeaws.Options{})
	s.Inject(fakeaws.Fault{Action: publicTokens, Kind: fakeaws.ServerError})
	if found, err := s.resolve(t.Context(), public); err != nil || found != authn.Anonymous {
		t.Errorf("%v, %v, want Anonymous", found, err)
	}
	s.Heal()
	if s.password(public) == "" {
		t.Error("an outage is remembered after its end")
	}
}

func TestFaultsAreSurvived(t *testing.T) {
	for _, kind := range []fakeaws.Kind{fakeaws.Throttle, fakeaws.ServerError, fakeaws.LostResponse} {
		t.Run(string(kind), func(t *testing.T) {
			s := newStand(t, fakeaws.Options{RegistryPassword: "fixed"})
			s.Inject(fakeaws.Fault{Action: private, Kind: kind, Times: 1})
			if got := s.password(ours); got != "fixed" {
				t.Errorf("password %q", got)
			}
			s.wantCalls(private, 2)
		})
	}
}

func TestATokenBridgesAnOutage(t *testing.T) {
	s := newStand(t, fakeaws.Options{})
	first := s.password(ours)
	s.Inject(fakeaws.Fault{Action: private, Kind: fakeaws.ServerError})
	s.clock.SetTime(epoch.Add(11 * time.Hour))
	if s.password(ours) != first {
		t.Error("a token that is still good is not used")
	}
	s.clock.SetTime(epoch.Add(12 * time.Hour))
	if _, err := s.resolve(t.Context(), ours); err == nil {
		t.Error("an expired token is handed out")
	}
}

func TestNoErrorQuotesTheToken(t *testing.T) {
	s := newStand(t, fakeaws.Options{RegistryPassword: strings.Repeat("secret", 100)})
	s.Inject(fakeaws.Fault{Action: private, Kind: fakeaws.Corrupt})
	_, err := s.resolve(t.Context(), ours)
	if err == nil {
		t.Fatal("a damaged token is taken")
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("AWS:secretsecret"))
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), encoded[:8]) {
		t.Errorf("the error quotes the token: %v", err)
	}
}

func TestOneCallForAllWhoWait(t *testing.T) {
	arrived, answer := make(chan struct{}, 100), make(chan struct{})
	s := newStand(t, fakeaws.Options{OnCall: func(string) {
		arrived <- struct{}{}
		<-answer
	}})
	impatient, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := s.resolve(impatient, ours)
		left <- err
	}()
	<-arrived
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of its context", err)
	}
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			if _, err := s.resolve(t.Context(), ours); err != nil {
				t.Errorf("after another one's cancellation: %v", err)
			}
		})
	}
	close(answer)
	waiting.Wait()
	s.wantCalls(private, 1)
}
