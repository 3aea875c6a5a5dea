// Package ecr lets registries of Amazon ECR know us by the AWS identity that Larder runs with, so that no pull secret
// is needed: private registries of any account and Region that the identity may read, whose pull-through-cache
// repositories are ordinary ones, and ECR public, which limits anonymous pulls.
package ecr

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

const (
	// goodFor is how long a token that is handed out can be used at least. A build logs in once and may read
	// layers for hours; ECR's tokens live for twelve, so that half of it costs two calls more a day.
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
	goodFor = 6 * time.Hour

	// askAgain is how long ECR public stays anonymous for an identity that may not have a token. Then a grant that
	// was made since is found without a refused call for every image.
	askAgain = time.Hour

	// callTimeout bounds getting a token, its retries included, for all who wait for it together.
	callTimeout = 2 * time.Minute
)

// Keychain is an authn.Keychain for ECR's hosts; for every other host it says Anonymous. It is safe for concurrent
// use.
type Keychain struct {
	cfg   aws.Config
	clock clock.PassiveClock
	// asking has one call at a time for each source.
	asking singleflight.Group

	mu     sync.Mutex
	tokens map[source]token
}

var (
	_ authn.Keychain        = (*Keychain)(nil)
	_ authn.ContextKeychain = (*Keychain)(nil)
)

// token is what a source gave.
type token struct {
	Authenticator    authn.Authenticator
	renewAt, expires time.Time
}

// New returns a keychain of the configuration's identity. It calls AWS when a token is first needed.
func New(cfg aws.Config, clock clock.PassiveClock) *Keychain {
	return &Keychain{cfg: larderaws.ForControl(cfg), clock: clock, tokens: map[source]token{}}
}

// Resolve is ResolveContext without a limit in time.
func (k *Keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext returns a registry's credentials. They are good for hours, yet not for ever: ask again for each
// build. The error of a private registry that gives none says which permissions the identity needs.
func (k *Keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	host := target.RegistryStr()
	if slices.Contains(publicHosts, host) {
		return k.public(ctx)
	}
	region, private := regionOf(host)
	if !private {
		return authn.Anonymous, nil
	}
	found, err := k.token(ctx, source{region: region})
	if larderaws.IsAccessDenied(err) {
		return nil, fmt.Errorf("getting credentials for registry %s (allow the AWS identity ecr:GetAuthorizationToken, and on its repositories ecr:BatchGetImage and ecr:GetDownloadUrlForLayer): %w", host, err)
	}
	if err != nil {
		return nil, fmt.Errorf("getting credentials for registry %s: %w", host, err)
	}
	return found, nil
}

// public returns ECR public's credentials, or Anonymous where there are none to be had: its images need none.
func (k *Keychain) public(ctx context.Context) (authn.Authenticator, error) {
	found, err := k.token(ctx, source{public: true})
	if err == nil {
		return found, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("getting credentials for ECR public: %w", err)
	}
	if larderaws.IsAccessDenied(err) {
		now := k.clock.Now()
		k.keep(source{public: true}, token{Authenticator: authn.Anonymous, renewAt: now.Add(askAgain), expires: now.Add(askAgain)})
	}
	return authn.Anonymous, nil
}

// token returns a source's token, a new one if the one at hand does not live long enough. Those who ask at the same
// time share a call, which therefore outlives whoever came first.
func (k *Keychain) token(ctx context.Context, of source) (authn.Authenticator, error) {
	held, found := k.held(of)
	if found && k.clock.Now().Before(held.renewAt) {
		return held.Authenticator, nil
	}
	answer := k.asking.DoChan(of.String(), func() (any, error) {
		if held, found := k.held(of); found && k.clock.Now().Before(held.renewAt) {
			// It came between the look above and this one.
			return held.Authenticator, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		fresh, err := of.ask(ctx, k.cfg, k.clock.Now())
		if err != nil {
			return nil, err
		}
		k.keep(of, fresh)
		return fresh.Authenticator, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-answer:
		if result.Err == nil {
			return result.Val.(authn.Authenticator), nil
		}
		if found && k.clock.Now().Before(held.expires) {
			// It was to be renewed early; what is left of it bridges an outage.
			return held.Authenticator, nil
		}
		return nil, result.Err
	}
}

func (k *Keychain) held(of source) (token, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	held, found := k.tokens[of]
	return held, found
}

func (k *Keychain) keep(of source, fresh token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tokens[of] = fresh
}
