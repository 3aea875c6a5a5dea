package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session is one repository's authenticated connection. Its handshake runs at the first request, and again
// after one that failed; its token serves every later request.
type session struct {
	client     *Client
	host       string
	repository name.Repository
	// handshake is held while the connection is being made; a channel, so that waiting ends with the context.
	handshake chan struct{}
	// connection is nil until a handshake succeeded.
	connection *http.Client
}

func newSession(client *Client, repository string) (*session, error) {
	host, path := splitRepository(repository)
	var options []name.Option
	if client.options.PlainHTTP != nil && client.options.PlainHTTP(host) {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(host, options...)
	if err != nil {
		return nil, &Error{Reference: repository, Reason: InvalidReference, Err: err}
	}
	return &session{
		client:     client,
		host:       host,
		repository: registry.Repo(path),
		handshake:  make(chan struct{}, 1),
	}, nil
}

// splitRepository parts the registry's host from the path: a full spelling always has both.
func splitRepository(repository string) (host, path string) {
	host, path, _ = strings.Cut(repository, "/")
	return host, path
}

// get asks for "manifests/<tag or digest>" or "blobs/<digest>". Answers other than 200 and 206 are errors,
// all errors are *Error or the context's, and reference is what they name.
func (s *session) get(ctx context.Context, reference, resource string, header http.Header) (*http.Response, error) {
	connection, err := s.connect(ctx, reference)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("%s://%s/v2/%s/%s",
		s.repository.Scheme(), s.repository.RegistryStr(), s.repository.RepositoryStr(), resource)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &Error{Reference: reference, Registry: s.host, Reason: InvalidReference, Err: err}
	}
	for key, values := range header {
		request.Header[key] = values
	}
	response, err := connection.Do(request)
	if err != nil {
		return nil, failure(ctx, reference, s.host, err)
	}
	if err := transport.CheckError(response, http.StatusOK, http.StatusPartialContent); err != nil {
		response.Body.Close()
		return nil, saying(failure(ctx, reference, s.host, err), retryAfter(response.Header))
	}
	return response, nil
}

func (s *session) connect(ctx context.Context, reference string) (*http.Client, error) {
	select {
	case s.handshake <- struct{}{}:
		defer func() { <-s.handshake }()
	case <-ctx.Done():
		return nil, failure(ctx, reference, s.host, ctx.Err())
	}
	if s.connection != nil {
		return s.connection, nil
	}
	credentials, err := authn.Resolve(ctx, s.client.options.Keychain, s.repository)
	if err != nil {
		return nil, &Error{Reference: reference, Registry: s.host, Reason: Unauthorized,
			Err: fmt.Errorf("reading credentials: %s", withoutSecrets(err.Error()))}
	}
	authenticated, err := transport.NewWithContext(ctx, s.repository.Registry, credentials, s.client.transport,
		[]string{s.repository.Scope(transport.PullScope)})
	if err != nil {
		return nil, s.handshakeFailure(ctx, reference, err)
	}
	s.connection = &http.Client{Transport: authenticated, CheckRedirect: checkRedirect}
	return s.connection, nil
}

// handshakeFailure differs from failure in one answer: before any image was asked for, 404 means that there is
// no registry at this address.
func (s *session) handshakeFailure(ctx context.Context, reference string, err error) error {
	var known *Error
	err = failure(ctx, reference, s.host, err)
	if errors.As(err, &known) && known.Reason == NotFound {
		known.Reason = RegistryError
	}
	return err
}

// refusedRedirect is the registry's mistake, not the network's.
type refusedRedirect struct{ why string }

func (r *refusedRedirect) Error() string { return "refusing a redirect " + r.why }

// maxRedirects is net/http's own limit, which setting CheckRedirect replaces.
const maxRedirects = 10

// checkRedirect keeps a registry from turning us against our own network: no step down from HTTPS, and no
// other host that is given as an address of this machine, its links (cloud metadata) or a private network.
func checkRedirect(request *http.Request, earlier []*http.Request) error {
	first := earlier[0].URL
	switch {
	case len(earlier) >= maxRedirects:
		return &refusedRedirect{fmt.Sprintf("after %d others", maxRedirects)}
	case first.Scheme == "https" && request.URL.Scheme != "https":
		return &refusedRedirect{"from HTTPS to plain HTTP at " + request.URL.Host}
	case request.URL.Hostname() == first.Hostname():
		return nil
	}
	address := net.ParseIP(request.URL.Hostname())
	if address != nil && (address.IsLoopback() || address.IsPrivate() || address.IsUnspecified() ||
		address.IsLinkLocalUnicast() || address.IsLinkLocalMulticast()) {
		return &refusedRedirect{"to the internal address " + request.URL.Host}
	}
	return nil
}
