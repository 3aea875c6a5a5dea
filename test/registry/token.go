package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
)

const tokenPath = "/token"

// access is what a private registry lets in; it changes while the registry runs.
type access struct {
	username, password string
	// former was the password before, if there was one.
	former string
	// expired counts how often all tokens ended.
	expired int
}

// SetCredentials changes what is needed from now on; tokens that were given for others end.
func (s *Server) SetCredentials(username, password string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.access = access{username: username, password: password, former: s.access.password, expired: s.access.expired}
}

// ExpireTokens ends all tokens, as time does.
func (s *Server) ExpireTokens() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.access.expired++
}

func (s *Server) currentAccess() access {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.access
}

// admit does a private registry's part of the handshake: that for tokens
// (distribution.github.io/distribution/spec/auth/token), or basic authentication. It returns false when the request
// was answered here.
func (s *Server) admit(response http.ResponseWriter, request *http.Request) bool {
	wanted := s.currentAccess()
	switch {
	case wanted.username == "":
		return true
	case s.options.Basic:
		return s.admitBasic(response, request, wanted)
	case request.URL.Path == tokenPath:
		s.giveToken(response, request, wanted)
		return false
	case request.Header.Get("Authorization") == "Bearer "+s.token(wanted):
		return true
	}
	response.Header().Set("WWW-Authenticate",
		fmt.Sprintf("Bearer realm=%q,service=%q", s.scheme()+"://"+s.host+tokenPath, s.host))
	refuse(response, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	return false
}

// admitBasic answers a password that was right once as ECR answers an expired one.
func (s *Server) admitBasic(response http.ResponseWriter, request *http.Request, wanted access) bool {
	username, password, _ := request.BasicAuth()
	switch {
	case username == wanted.username && password == wanted.password:
		return true
	case password != "" && password == wanted.former:
		refuse(response, http.StatusForbidden, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
	default:
		response.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q,service=%q", s.scheme()+"://"+s.host+"/", s.host))
		refuse(response, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	}
	return false
}

func (s *Server) giveToken(response http.ResponseWriter, request *http.Request, wanted access) {
	username, password, _ := request.BasicAuth()
	if username != wanted.username || password != wanted.password {
		refuse(response, http.StatusUnauthorized, "UNAUTHORIZED", "wrong username or password")
		return
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(http.StatusOK)
	// A client that does not read the token asks again.
	_ = json.NewEncoder(response).Encode(map[string]string{"token": s.token(wanted)})
}

// Token is what the registry gives to who has its credentials now.
func (s *Server) Token() string { return s.token(s.currentAccess()) }

// token is one per registry and access, and not guessed from the names alone.
func (s *Server) token(of access) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", s.host, of.username, of.password, of.expired))
	return hex.EncodeToString(sum[:])
}

// refuse answers as the distribution specification words errors.
func refuse(response http.ResponseWriter, status int, code, message string) {
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	// A client that is gone needs no message.
	_ = json.NewEncoder(response).Encode(map[string]any{
		"errors": []map[string]string{{"code": code, "message": message}},
	})
}
