package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Options says how a Server behaves; its zero value answers everyone at once.
type Options struct {
	// Address is where to listen; empty means a free port on 127.0.0.1.
	Address string
	// MaxDelay bounds the time that each request waits before it is answered. How long each one waits
	// depends on Seed, on what it asks for and on how often that was asked, but not on timing.
	MaxDelay time.Duration
	Seed     uint64
	// Username and Password are needed to get a token, as at a private registry; empty means open to all.
	Username, Password string
	// Basic makes them go with every request, as at ECR, in place of tokens.
	Basic bool
	// TLS makes the registry speak nothing else, with a certificate of its own.
	TLS bool
	// TagsPerPage is how many tags the registry lists at once; 0 means all.
	TagsPerPage int
}

// Request is one line of the access log.
type Request struct {
	Method string
	Path   string
	// Range is the Range header, empty for a whole blob.
	Range string
	// Status is what was answered, 0 if the connection was broken first.
	Status int
}

// Server is a running registry.
type Server struct {
	options Options
	host    string
	// store is go-containerregistry's handler, reached without log, delays and faults when images are pushed.
	store   http.Handler
	http    *http.Server
	stopped chan struct{}

	mutex    sync.Mutex
	requests []*Request
	seen     map[string]int
	faults   []*Fault
	access   access
}

// Start listens and serves until Stop.
func Start(options Options) (*Server, error) {
	if options.Address == "" {
		options.Address = "127.0.0.1:0"
	}
	var security *tls.Config
	if options.TLS {
		certificate, err := certify()
		if err != nil {
			return nil, err
		}
		security = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	listener, err := net.Listen("tcp", options.Address)
	if err != nil {
		return nil, fmt.Errorf("listening for the registry on %s: %w", options.Address, err)
	}
	server := &Server{
		options: options,
		host:    listener.Addr().String(),
		store:   registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		stopped: make(chan struct{}),
		seen:    map[string]int{},
		access:  access{username: options.Username, password: options.Password},
	}
	server.http = &http.Server{
		Handler:           http.HandlerFunc(server.serve),
		ReadHeaderTimeout: time.Minute,
		// Broken connections are what faults are for.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if security != nil {
		server.http.TLSConfig = security
		listener = tls.NewListener(listener, security)
	}
	go func() {
		defer close(server.stopped)
		// The only other return is a listener that fails, which every client then sees.
		_ = server.http.Serve(listener)
	}()
	return server, nil
}

// Host is what images' references begin with: "127.0.0.1:45678".
func (s *Server) Host() string { return s.host }

// Stop closes the port and every connection, and returns when nothing is being served any more. It may be
// called again.
func (s *Server) Stop() error {
	err := s.http.Close()
	<-s.stopped
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stopping the registry on %s: %w", s.host, err)
	}
	return nil
}

// Requests returns the access log so far, in the order of arrival; pushes are not in it.
func (s *Server) Requests() []Request {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	requests := make([]Request, len(s.requests))
	for i, request := range s.requests {
		requests[i] = *request
	}
	return requests
}

// ForgetRequests empties the access log.
func (s *Server) ForgetRequests() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.requests = nil
}

func (s *Server) serve(response http.ResponseWriter, request *http.Request) {
	logged := &loggedResponse{ResponseWriter: response, server: s, line: s.record(request)}
	if !s.wait(request) || !s.admit(logged, request) {
		return
	}
	if fault := s.takeFault(request); fault != nil {
		fault.Effect(logged, request, s.store)
		return
	}
	if s.pageTags(logged, request) {
		return
	}
	s.store.ServeHTTP(logged, request)
}

// record writes a line before the answer, so that a test never misses a request that is being served.
func (s *Server) record(request *http.Request) *Request {
	line := &Request{
		Method: request.Method,
		Path:   request.URL.Path,
		Range:  request.Header.Get("Range"),
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.requests = append(s.requests, line)
	return line
}

// loggedResponse completes its line of the access log.
type loggedResponse struct {
	http.ResponseWriter
	server *Server
	line   *Request
}

// WriteHeader notes the status before the client can see it.
func (l *loggedResponse) WriteHeader(status int) {
	l.server.mutex.Lock()
	l.line.Status = status
	l.server.mutex.Unlock()
	l.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (l *loggedResponse) Unwrap() http.ResponseWriter { return l.ResponseWriter }
