package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
)

const tokenPath = "/token"

// admit does a private registry's part of the token handshake (distribution.github.io/distribution/spec/auth/token);
// it returns false when the request was answered here.
func (s *Server) admit(response http.ResponseWriter, request *http.Request) bool {
	switch {
	case s.options.Username == "":
		return true
	case request.URL.Path == tokenPath:
		s.giveToken(response, request)
		return false
	case request.Header.Get("Authorization") == "Bearer "+s.token():
		return true
	}
	response.Header().Set("WWW-Authenticate",
		fmt.Sprintf("Bearer realm=%q,service=%q", "http://"+s.host+tokenPath, s.host))
	refuse(response, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	return false
}

func (s *Server) giveToken(response http.ResponseWriter, request *http.Request) {
	username, password, _ := request.BasicAuth()
	if username != s.options.Username || password != s.options.Password {
		refuse(response, http.StatusUnauthorized, "UNAUTHORIZED", "wrong username or password")
		return
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(http.StatusOK)
	// A client that does not read the token asks again.
	_ = json.NewEncoder(response).Encode(map[string]string{"token": s.token()})
}

// token is one per registry, and not guessed from its name alone.
func (s *Server) token() string {
	sum := sha256.Sum256([]byte(s.host + "\x00" + s.options.Username + "\x00" + s.options.Password))
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
