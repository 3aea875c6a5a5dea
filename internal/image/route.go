package image

import (
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// routes send the requests to some hosts on transports of their own.
type routes struct {
	others http.RoundTripper
	own    map[string]http.RoundTripper
	// tlsOnly are the hosts that are configured to speak TLS. Without this, one on a private address would be asked
	// in plain HTTP as soon as its certificate does not fit.
	tlsOnly map[string]bool
}

// route returns the transport for all hosts. Certificate authorities need one whose TLS can be configured: others
// itself, or go-containerregistry's.
func (r *Registries) route(others http.RoundTripper) http.RoundTripper {
	made := &routes{others: others, own: map[string]http.RoundTripper{}, tlsOnly: map[string]bool{}}
	base, configurable := others.(*http.Transport)
	if !configurable {
		base = remote.DefaultTransport.(*http.Transport)
	}
	for host, config := range r.hosts {
		if config.authorities != nil {
			own := base.Clone()
			if own.TLSClientConfig == nil {
				own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			own.TLSClientConfig.RootCAs = config.authorities
			made.own[host], made.tlsOnly[host] = own, true
		}
		for _, mirror := range config.mirrors {
			made.tlsOnly[mirror.host] = true
		}
	}
	return made
}

// RoundTrip implements http.RoundTripper.
func (r *routes) RoundTrip(request *http.Request) (*http.Response, error) {
	host := request.URL.Host
	if request.URL.Scheme == "http" && r.tlsOnly[host] {
		return nil, fmt.Errorf("%s is configured for TLS, and plain HTTP is refused", host)
	}
	if own := r.own[host]; own != nil {
		return own.RoundTrip(request)
	}
	return r.others.RoundTrip(request)
}
