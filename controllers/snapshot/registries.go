package snapshot

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/image/pullsecret"
)

// mostClients bounds the clients that are kept. Beyond it all are made anew, which costs a handshake for each
// repository.
const mostClients = 100

// PullSecretError says which Secret of spec.imagePullSecrets cannot be used, and never what is in it.
type PullSecretError struct {
	Err error
}

// Error is what is wrong, and where.
func (e *PullSecretError) Error() string { return "spec.imagePullSecrets: " + e.Err.Error() }

// Unwrap gives what is wrong.
func (e *PullSecretError) Unwrap() error { return e.Err }

// PullSecrets give access to registries with the Secrets of one namespace. Each list of Secrets has a client of its own,
// which keeps its authentication until one of them changes. All fields are required.
type PullSecrets struct {
	// Secrets reads them, live: with get alone there is nothing that a cache could list or watch.
	Secrets   client.Reader
	Namespace string
	// Options are those of all clients. Their Keychain is asked for what the Secrets have no credentials for.
	Options image.Options

	mu      sync.Mutex
	clients map[string]versionedClient
}

type versionedClient struct {
	*image.Client
	// versions are those of the Secrets that it was made of.
	versions string
}

// Resolver implements Registries.
func (p *PullSecrets) Resolver(ctx context.Context, names []string) (Resolver, error) {
	return p.Client(ctx, names)
}

// Client returns the one for these Secrets as they are now. A Secret that is missing or of no use is a *PullSecretError.
func (p *PullSecrets) Client(ctx context.Context, names []string) (*image.Client, error) {
	secrets := make([]corev1.Secret, len(names))
	var versions []string
	for i, name := range names {
		err := p.Secrets.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: name}, &secrets[i])
		if apierrors.IsNotFound(err) {
			return nil, &PullSecretError{fmt.Errorf("there is no Secret %s/%s: create it in the operator's namespace, or leave it out", p.Namespace, name)}
		}
		if err != nil {
			return nil, fmt.Errorf("reading Secret %s in namespace %s: %w", name, p.Namespace, err)
		}
		versions = append(versions, string(secrets[i].UID)+"/"+secrets[i].ResourceVersion)
	}
	return p.clientOf(names, strings.Join(versions, ","), secrets)
}

func (p *PullSecrets) clientOf(names []string, versions string, secrets []corev1.Secret) (*image.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := strings.Join(names, ",")
	if held, known := p.clients[key]; known && held.versions == versions {
		return held.Client, nil
	}
	keychain, err := pullsecret.Keychain(secrets)
	if err != nil {
		return nil, &PullSecretError{err}
	}
	options := p.Options
	options.Keychain = authn.NewMultiKeychain(keychain, p.Options.Keychain)
	if p.clients == nil || len(p.clients) >= mostClients {
		p.clients = map[string]versionedClient{}
	}
	made := versionedClient{Client: image.NewClient(options), versions: versions}
	p.clients[key] = made
	return made.Client, nil
}
