package registry

import (
	"net/http"
	"strconv"
	"strings"
)

// Effect answers a request in place of the registry, which store can still be asked for the right answer.
type Effect func(response http.ResponseWriter, request *http.Request, store http.Handler)

// Fault makes some requests go wrong.
type Fault struct {
	// Path selects the requests whose path contains it: "/library/nginx/", "/manifests/", a digest; empty
	// selects all, the handshake at /v2/ included.
	Path string
	// Times is how many requests go wrong; 0 means all of them until Heal.
	Times  int
	Effect Effect
}

// Inject adds a fault. Where several select a request, the one injected first applies.
func (s *Server) Inject(fault Fault) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.faults = append(s.faults, &fault)
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.faults = nil
}

func (s *Server) takeFault(request *http.Request) *Fault {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for i, fault := range s.faults {
		if !strings.Contains(request.URL.Path, fault.Path) {
			continue
		}
		if fault.Times == 1 {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return fault
	}
	return nil
}

// Refuse answers with a status and the distribution specification's error code for it: 401, 403, 404, 429 or
// 503, say.
func Refuse(status int) Effect {
	codes := map[int]string{
		http.StatusUnauthorized:       "UNAUTHORIZED",
		http.StatusForbidden:          "DENIED",
		http.StatusNotFound:           "NAME_UNKNOWN",
		http.StatusTooManyRequests:    "TOOMANYREQUESTS",
		http.StatusServiceUnavailable: "UNAVAILABLE",
	}
	return func(response http.ResponseWriter, _ *http.Request, _ http.Handler) {
		code := codes[status]
		if code == "" {
			code = "UNKNOWN"
		}
		refuse(response, status, code, strings.ToLower(http.StatusText(status)))
	}
}

// RedirectTo sends the client elsewhere, as registries do to their storage.
func RedirectTo(address string) Effect {
	return func(response http.ResponseWriter, _ *http.Request, _ http.Handler) {
		response.Header().Set("Location", address)
		response.WriteHeader(http.StatusTemporaryRedirect)
	}
}

// BreakOff announces the whole answer, sends half of it, and breaks the connection.
func BreakOff(response http.ResponseWriter, request *http.Request, store http.Handler) {
	whole := capture(request, store)
	whole.sendHeader(response, len(whole.body))
	send(response, whole.body[:len(whole.body)/2])
	panic(http.ErrAbortHandler)
}

// Truncate sends the first half of the answer as if that were all.
func Truncate(response http.ResponseWriter, request *http.Request, store http.Handler) {
	whole := capture(request, store)
	whole.sendHeader(response, len(whole.body)/2)
	send(response, whole.body[:len(whole.body)/2])
}

// Extend sends the whole answer and more, without announcing a length: the client has to count.
func Extend(response http.ResponseWriter, request *http.Request, store http.Handler) {
	whole := capture(request, store)
	whole.sendHeader(response, -1)
	send(response, whole.body)
	send(response, []byte("more than the digest covers"))
}

// Corrupt turns over one bit in the middle of the answer.
func Corrupt(response http.ResponseWriter, request *http.Request, store http.Handler) {
	whole := capture(request, store)
	whole.body[len(whole.body)/2] ^= 1
	whole.sendHeader(response, len(whole.body))
	send(response, whole.body)
}

// captured is an answer kept in memory; it is the http.ResponseWriter that the answer is written to.
type captured struct {
	header http.Header
	status int
	body   []byte
}

func capture(request *http.Request, store http.Handler) *captured {
	answer := &captured{header: http.Header{}, status: http.StatusOK}
	store.ServeHTTP(answer, request)
	return answer
}

// Header, WriteHeader and Write are http.ResponseWriter's.
func (c *captured) Header() http.Header    { return c.header }
func (c *captured) WriteHeader(status int) { c.status = status }
func (c *captured) Write(content []byte) (int, error) {
	c.body = append(c.body, content...)
	return len(content), nil
}

// sendHeader announces length bytes, or none if that is negative.
func (c *captured) sendHeader(response http.ResponseWriter, length int) {
	for key, values := range c.header {
		response.Header()[key] = values
	}
	response.Header().Del("Content-Length")
	if length >= 0 {
		response.Header().Set("Content-Length", strconv.Itoa(length))
	}
	response.WriteHeader(c.status)
}

// send flushes, so that half an answer leaves before its connection breaks. A client that is gone cannot be
// told anything.
func send(response http.ResponseWriter, body []byte) {
	_, _ = response.Write(body)
	_ = http.NewResponseController(response).Flush()
}
