package image

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
)

// Options says how a Client reaches registries; its zero value suits the public ones.
type Options struct {
	// Transport carries the requests; nil means go-containerregistry's, with the proxy of the environment.
	Transport http.RoundTripper
	// Keychain finds credentials; nil means authn.DefaultKeychain, which reads Docker's and Podman's files.
	Keychain authn.Keychain
	// PlainHTTP tells which registry hosts ("registry.lan:5000") may be spoken to without TLS, next to those
	// on this machine and on private addresses, where that is allowed anyway; nil means none.
	PlainHTTP func(host string) bool
	// Wait passes the time between two attempts at one request, at most a minute, and returns the context's error
	// if that ends first; nil means to sleep.
	Wait func(ctx context.Context, duration time.Duration) error
	// UserAgent is put before go-containerregistry's own; it may be empty.
	UserAgent string
}

// Client asks registries. It remembers credentials and tokens per repository for as long as it lives, so a
// long-running process makes one per build. It is safe for concurrent use.
type Client struct {
	options   Options
	transport http.RoundTripper

	mutex    sync.Mutex
	sessions map[string]*session
}

// NewClient returns a Client; it sends nothing yet.
func NewClient(options Options) *Client {
	if options.Transport == nil {
		options.Transport = remote.DefaultTransport
	}
	if options.Keychain == nil {
		options.Keychain = authn.DefaultKeychain
	}
	if options.Wait == nil {
		options.Wait = sleep
	}
	patient := &retrying{inner: options.Transport, wait: options.Wait}
	return &Client{
		options:   options,
		transport: transport.NewUserAgent(patient, options.UserAgent),
		sessions:  map[string]*session{},
	}
}

// Resolve finds what a reference means now: its index or manifest, and for each wanted platform ("linux/amd64")
// the manifest that containerd would choose, with its config. Everything read is verified by its digest. An
// image that lacks some of the wanted platforms is returned with MissingPlatforms; one that lacks all of them
// is an *Error with the reason PlatformMissing.
func (c *Client) Resolve(ctx context.Context, reference string, wanted []string) (*Image, error) {
	parsed, err := ParseReference(reference)
	if err != nil {
		return nil, err
	}
	platforms, err := parsePlatforms(wanted)
	if err != nil {
		return nil, err
	}
	session, err := c.session(parsed.Repository)
	if err != nil {
		return nil, err
	}
	resolver := &resolver{
		session:   session,
		reference: reference,
		blobs:     map[digest.Digest]*Blob{},
		needed:    map[digest.Digest]bool{},
	}
	return resolver.resolve(ctx, parsed, platforms)
}

func (c *Client) session(repository string) (*session, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if known := c.sessions[repository]; known != nil {
		return known, nil
	}
	made, err := newSession(c, repository)
	if err != nil {
		return nil, err
	}
	c.sessions[repository] = made
	return made, nil
}
