package image

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"k8s.io/utils/clock"
)

// maxCredentialsAge is how long credentials are used without asking the keychain again: well below the hour for which
// the shortest-lived ones of the clouds last (ECR's last twelve), and long enough for a build of many layers to start
// a credential helper's process once.
const maxCredentialsAge = 10 * time.Minute

// renewed are one repository's credentials, asked for again when they are old. go-containerregistry asks for them
// before each request with basic authentication, and before each new token.
type renewed struct {
	keychain authn.Keychain
	resource authn.Resource
	clock    clock.PassiveClock

	mutex sync.Mutex
	known *authn.AuthConfig
	asked time.Time
}

// credentialsError tells a keychain's failure from a registry's.
type credentialsError struct{ why string }

func (e *credentialsError) Error() string { return "reading credentials: " + e.why }

// Authorization implements authn.Authenticator.
func (r *renewed) Authorization() (*authn.AuthConfig, error) {
	return r.AuthorizationContext(context.Background())
}

// AuthorizationContext implements authn.ContextAuthenticator.
func (r *renewed) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	now := r.clock.Now()
	if r.known != nil && now.Sub(r.asked) < maxCredentialsAge {
		return r.known, nil
	}
	known, err := lookUp(ctx, r.keychain, r.resource)
	if err != nil {
		return nil, &credentialsError{withoutSecrets(err.Error())}
	}
	r.known, r.asked = known, now
	return known, nil
}

func lookUp(ctx context.Context, keychain authn.Keychain, resource authn.Resource) (*authn.AuthConfig, error) {
	authenticator, err := authn.Resolve(ctx, keychain, resource)
	if err != nil {
		return nil, err
	}
	known, err := authn.Authorization(ctx, authenticator)
	if err != nil {
		return nil, fmt.Errorf("using the keychain's answer: %w", err)
	}
	return known, nil
}
