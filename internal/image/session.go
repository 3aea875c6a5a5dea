package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// session is one repository's authenticated connection. Its handshake runs at the first request, and again
// after one that failed or was refused; its token serves every later request.
type session struct {
	client     *Client
	host       string
	repository name.Repository
	transport  http.RoundTripper
	// used is when the session was last asked for; the Client's mutex guards it.
	used time.Time
	// handshake is held while the connection is being made; a channel, so that waiting ends with the context.
	handshake chan struct{}
	// connection is nil until a handshake succeeded.
	connection *http.Client
}

func newSession(client *Client, key sessionKey) (*session, error) {
	var options []name.Option
	if client.options.Registries.allowPlainHTTP(key.host) {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(key.host, options...)
	if err != nil {
		return nil, &Error{Reference: key.host + "/" + key.path, Reason: InvalidReference, Err: err}
	}
	made := &session{
		client:     client,
		host:       key.host,
		repository: registry.Repo(key.path),
		transport:  client.patient,
		handshake:  make(chan struct{}, 1),
	}
	if key.mirror {
		made.transport = client.brisk
	}
	return made, nil
}

// splitRepository parts the registry's host from the path: a full spelling always has both.
func splitRepository(repository string) (host, path string) {
	host, path, _ = strings.Cut(repository, "/")
	return host, path
}

// address is that of "manifests/<tag or digest>", "blobs/<digest>" or "tags/list".
func (s *session) address(resource string) string {
	return fmt.Sprintf("%s://%s/v2/%s/%s",
		s.repository.Scheme(), s.repository.RegistryStr(), s.repository.RepositoryStr(), resource)
}

// send asks for an address of this registry. Answers other than 200 and 206 are errors, all errors are *Error or
// the context's, and reference is what they name. A connection that served before and is refused now is made anew
// and tried once more: in a process that lives for weeks, tokens expire and passwords are changed.
func (s *session) send(ctx context.Context, method, reference, address string, header http.Header) (*http.Response, error) {
	ctx = listen(ctx)
	request, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, &Error{Reference: reference, Registry: s.host, Reason: InvalidReference, Err: errors.New("it gives no address")}
	}
	request.Header = header
	for again := true; ; again = false {
		connection, reused, err := s.connect(ctx, reference)
		if err != nil {
			return nil, err
		}
		response, err := s.do(connection, request, reference)
		if reason := ReasonOf(err); reason != Unauthorized && reason != Forbidden {
			return response, err
		}
		s.forget(ctx, connection)
		if !reused || !again {
			return nil, err
		}
	}
}

func (s *session) do(connection *http.Client, request *http.Request, reference string) (*http.Response, error) {
	ctx := request.Context()
	// The transports write into the headers of what they are given.
	response, err := connection.Do(request.Clone(ctx))
	if err != nil {
		return nil, failure(ctx, reference, s.host, err)
	}
	if err := transport.CheckError(response, http.StatusOK, http.StatusPartialContent); err != nil {
		response.Body.Close()
		return nil, failure(ctx, reference, s.host, err)
	}
	return response, nil
}

// connect returns the connection, and whether it served an earlier request.
func (s *session) connect(ctx context.Context, reference string) (connection *http.Client, reused bool, err error) {
	if err := s.hold(ctx); err != nil {
		return nil, false, failure(ctx, reference, s.host, err)
	}
	defer s.release()
	if s.connection != nil {
		return s.connection, true, nil
	}
	credentials := &renewed{keychain: s.client.options.Keychain, resource: s.repository, clock: s.client.options.Clock}
	if _, err := credentials.AuthorizationContext(ctx); err != nil {
		return nil, false, failure(ctx, reference, s.host, err)
	}
	authenticated, err := transport.NewWithContext(ctx, s.repository.Registry, credentials, s.transport,
		[]string{s.repository.Scope(transport.PullScope)})
	if err != nil {
		return nil, false, s.handshakeFailure(ctx, reference, err)
	}
	s.connection = &http.Client{Transport: authenticated, CheckRedirect: checkRedirect}
	return s.connection, false, nil
}

// forget drops a connection, unless another request has replaced it already.
func (s *session) forget(ctx context.Context, connection *http.Client) {
	if s.hold(ctx) != nil {
		return // whoever asks next finds it refused again
	}
	defer s.release()
	if s.connection == connection {
		s.connection = nil
	}
}

func (s *session) hold(ctx context.Context) error {
	select {
	case s.handshake <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *session) release() { <-s.handshake }

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

// answer is a small document, read whole.
type answer struct {
	content []byte
	header  http.Header
	// address is where it was found, behind all redirects.
	address *url.URL
}

// read returns no more than one byte beyond maxBytes, by which its caller sees the excess.
func (s *session) read(ctx context.Context, reference, address string, maxBytes int64) (answer, error) {
	response, err := s.send(ctx, http.MethodGet, reference, address, http.Header{"Accept": {acceptable}})
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxBytes+1))
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, io.ErrUnexpectedEOF) {
			return answer{}, s.fail(reference, Incomplete, fmt.Errorf("reading %s", withoutSecrets(address)))
		}
		return answer{}, failure(ctx, reference, s.host, err)
	}
	return answer{content: content, header: response.Header, address: response.Request.URL}, nil
}

func (s *session) fail(reference string, reason Reason, err error) error {
	return &Error{Reference: reference, Registry: s.host, Reason: reason, Err: err}
}
