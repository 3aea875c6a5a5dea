package fakeaws

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxBody is more than any modelled call sends: a block, or a form of filters.
const maxBody = 1 << 20

// action is one modelled call of one service.
type action struct {
	api
	// name is the operation's, preceded by the service where two have one of the same name.
	name string
	// serve decodes the request strictly and carries it out.
	serve func(s *Server, r *http.Request, body []byte) (answer, error)
}

// api is one service as its clients see it.
type api struct {
	protocol protocol
	// service is the name in a signature's scope and before the colon of a permission.
	service string
	// version is a date that a query names.
	version string
}

// permission is what a caller's policy must allow.
func (a action) permission() string {
	if strings.Contains(a.name, ":") {
		return a.name
	}
	return a.service + ":" + a.name
}

// answer is a successful HTTP response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// unmodelledError is a request that AWS might understand but this server does not.
type unmodelledError struct{ what string }

func (e *unmodelledError) Error() string { return e.what }

func unmodelled(format string, args ...any) error {
	return &unmodelledError{what: fmt.Sprintf(format, args...)}
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		s.refuse(w, protocolOf(r), unmodelled("%s %s: reading the body: %v", r.Method, r.URL.Path, err))
		return
	}
	if err != nil {
		// The client left while it was sending; there is nobody to answer.
		panic(http.ErrAbortHandler)
	}
	call, err := s.identify(r, body)
	if err != nil {
		s.refuse(w, protocolOf(r), err)
		return
	}
	leave := s.arrive(call.name)
	defer leave()
	if s.options.OnCall != nil {
		s.options.OnCall(call.name)
	}
	fault := s.takeFault(call.name)
	if err := s.disturb(r, call, fault); err != nil {
		s.refuse(w, call.protocol, err)
		return
	}
	result, err := s.carryOut(call, r, body)
	if fault != nil && fault.Kind == LostResponse {
		// Aborts the connection without an answer, after the effect.
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		s.refuse(w, call.protocol, err)
		return
	}
	if fault != nil && fault.Kind == Corrupt && len(result.body) > 0 {
		result.body = slices.Clone(result.body)
		result.body[len(result.body)/2] ^= 0xff
	}
	for name, values := range result.header {
		w.Header()[name] = values
	}
	if r.ContentLength > 0 && len(result.body) > firstRead {
		s.takeTime(r)
	}
	w.WriteHeader(result.status)
	// The client may be gone; there is nobody to tell.
	_, _ = w.Write(result.body)
}

const (
	// firstRead is what a Go client reads at once, in bytes.
	firstRead = 4 << 10
	// leastLatency is less than any call to AWS takes.
	leastLatency = 2 * time.Millisecond
)

// takeTime lets the client finish sending. The SDK closes the request's body when the answer begins, and if its
// transport was not done with the body by then, it breaks the connection under the rest of the answer: WriteTo of
// smithy-go's safe body reader returns io.EOF as an error. No network is fast enough for that, but loopback is.
func (s *Server) takeTime(r *http.Request) {
	timer := time.NewTimer(leastLatency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.stopped:
	}
}

func (s *Server) carryOut(call action, r *http.Request, body []byte) (answer, error) {
	if err := s.authenticate(r, body, call); err != nil {
		return answer{}, err
	}
	if slices.Contains(s.options.Denied, call.name) {
		return answer{}, denied.of(call.protocol, "User: %s is not authorized to perform: %s", s.callerARN(), call.permission())
	}
	return call.serve(s, r, body)
}

// identify finds the action that a request asks for.
func (s *Server) identify(r *http.Request, body []byte) (action, error) {
	switch protocolOf(r) {
	case restJSON, restMessage:
		return identifyREST(r)
	case awsJSON:
		return identifyJSON(r)
	default:
		return identifyQuery(r, body)
	}
}

func (s *Server) refuse(w http.ResponseWriter, in protocol, err error) {
	var refusal *apiError
	if !errors.As(err, &refusal) {
		s.mu.Lock()
		s.unmodelled = append(s.unmodelled, err.Error())
		s.mu.Unlock()
		refusal = &apiError{status: http.StatusBadRequest, code: "UnknownOperation", message: "fakeaws does not model this: " + err.Error()}
	}
	in.write(w, refusal)
}

func (s *Server) callerARN() string {
	return "arn:aws:iam::" + s.options.AccountID + ":user/larder"
}

func protocolOf(r *http.Request) protocol {
	if strings.HasPrefix(r.URL.Path, "/snapshots") || strings.HasPrefix(r.URL.Path, "/v1/") {
		return restJSON
	}
	if r.URL.Path == "/clusters" || strings.HasPrefix(r.URL.Path, "/clusters/") {
		return restMessage
	}
	if r.Header.Get(targetHeader) != "" {
		return awsJSON
	}
	if strings.Contains(r.Header.Get("Authorization"), "/ec2/aws4_request") {
		return ec2Query
	}
	return awsQuery
}
