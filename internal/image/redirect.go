package image

import (
	"fmt"
	"net"
	"net/http"
)

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
