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
	"k8s.io/utils/clock"
)

// Options says how a Client reaches registries; its zero value suits the public ones.
type Options struct {
	// Transport carries the requests, but for those to hosts with a certificate authority of their own; nil means
	// go-containerregistry's, with the proxy of the environment.
	Transport http.RoundTripper
	// Keychain finds credentials; nil means authn.DefaultKeychain, which reads Docker's and Podman's files. It is
	// asked again every few minutes, and whenever a registry refuses what it gave before.
	Keychain authn.Keychain
	// Registries are mirrors, certificate authorities and hosts without TLS; nil means none.
	Registries *Registries
	// Wait passes the time between two attempts at one request, at most a minute, and returns the context's error
	// if that ends first; nil means to sleep.
	Wait func(ctx context.Context, duration time.Duration) error
	// Clock tells when credentials are to be asked for again and what is no longer in use; nil means the system's.
	Clock clock.PassiveClock
	// UserAgent is put before go-containerregistry's own; it may be empty.
	UserAgent string
}

// Client asks registries. It remembers credentials and tokens per repository, renews them, and forgets those of
// repositories that nobody asks for any more, so that one Client serves for as long as its process lives. It is
// safe for concurrent use.
type Client struct {
	options Options
	// patient sends requests to registries, and again those that may succeed then; brisk sends each once to
	// mirrors, after which there is always the registry.
	patient, brisk http.RoundTripper

	mutex    sync.Mutex
	sessions map[sessionKey]*session
	// resting tells until when a mirror's host is not asked.
	resting map[string]time.Time
}

// NewClient returns a Client; it sends nothing yet.
func NewClient(options Options) *Client {
	if options.Transport == nil {
		options.Transport = remote.DefaultTransport
	}
	if options.Keychain == nil {
		options.Keychain = authn.DefaultKeychain
	}
	if options.Registries == nil {
		options.Registries = &Registries{}
	}
	if options.Wait == nil {
		options.Wait = sleep
	}
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	routed := &listening{options.Registries.route(options.Transport)}
	patient := &retrying{inner: routed, wait: options.Wait}
	return &Client{
		options:  options,
		patient:  transport.NewUserAgent(patient, options.UserAgent),
		brisk:    transport.NewUserAgent(routed, options.UserAgent),
		sessions: map[sessionKey]*session{},
		resting:  map[string]time.Time{},
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
	source, err := c.source(parsed.Repository)
	if err != nil {
		return nil, err
	}
	resolver := &resolver{
		source:    source,
		reference: reference,
		blobs:     map[digest.Digest]*Blob{},
		needed:    map[digest.Digest]bool{},
	}
	return resolver.resolve(ctx, parsed, platforms)
}
