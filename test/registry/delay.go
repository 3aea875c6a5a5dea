package registry

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"time"
)

// wait delays a request; it returns false if the client gave up meanwhile.
func (s *Server) wait(request *http.Request) bool {
	delay := s.delay(request.Method + " " + request.URL.Path)
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-request.Context().Done():
		return false
	}
}

// delay draws from a source of its own for each request, since one shared by all would make a request's delay
// depend on which other requests came before it.
func (s *Server) delay(asked string) time.Duration {
	if s.options.MaxDelay <= 0 {
		return 0
	}
	s.mutex.Lock()
	times := s.seen[asked]
	s.seen[asked]++
	s.mutex.Unlock()
	hash := fnv.New64a()
	hash.Write(binary.BigEndian.AppendUint64([]byte(asked), uint64(times)))
	source := rand.New(rand.NewPCG(s.options.Seed, hash.Sum64()))
	return time.Duration(source.Int64N(int64(s.options.MaxDelay)))
}
