package image

import (
	"net/http"
	"testing"
)

func TestCheckRedirect(t *testing.T) {
	cases := map[string]struct {
		reason   string
		from, to string
		allowed  bool
	}{
		"storage":           {"registries keep layers in object storage", "https://registry.example/v2/", "https://bucket.s3.amazonaws.com/x?sig=1", true},
		"own host":          {"a registry may know itself by a private address", "http://10.0.0.5:5000/v2/", "http://10.0.0.5:9000/x", true},
		"step down":         {"what was asked with TLS is not read without", "https://registry.example/v2/", "http://storage.example/x", false},
		"cloud metadata":    {"it would give out credentials", "https://registry.example/v2/", "https://169.254.169.254/x", false},
		"metadata, IPv6":    {"it has a second address", "https://registry.example/v2/", "https://[fe80::1]/x", false},
		"this machine":      {"its ports are not the registry's business", "https://registry.example/v2/", "https://127.0.0.1:6443/x", false},
		"this machine, too": {"nor is this one", "https://registry.example/v2/", "https://0.0.0.0/x", false},
		"private network":   {"nor are the neighbours", "https://registry.example/v2/", "https://192.168.1.1/x", false},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			from, to := request(t, test.from), request(t, test.to)
			if err := checkRedirect(to, []*http.Request{from}); (err == nil) != test.allowed {
				t.Errorf("%s: got %v, want it allowed: %v", test.reason, err, test.allowed)
			}
		})
	}
	loop := make([]*http.Request, maxRedirects)
	for i := range loop {
		loop[i] = request(t, "https://registry.example/v2/")
	}
	if err := checkRedirect(loop[0], loop); err == nil {
		t.Error("a loop of redirects goes on for ever")
	}
}

func request(t *testing.T, address string) *http.Request {
	t.Helper()
	made, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
