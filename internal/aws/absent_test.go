package aws_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

func TestWhatSaysThatARegionLacksAService(t *testing.T) {
	absent := net.DNSError{Err: "no such host", Name: "batch.mx-central-1.amazonaws.com", IsNotFound: true}
	cases := map[string]struct {
		reason string
		change func(*net.DNSError)
		want   bool
	}{
		"its endpoint":           {"AWS gives each service that a Region has a name", func(*net.DNSError) {}, true},
		"a resolver that failed": {"that the name exists is then as likely", func(e *net.DNSError) { e.IsNotFound = false }, false},
		"a proxy":                {"it stands between us and every service", func(e *net.DNSError) { e.Name = "proxy.example.com" }, false},
		"a configured endpoint":  {"it may be misspelt", func(e *net.DNSError) { e.Name = "vpce-1.batch.mx-central-1.vpce.amazonaws.com" }, false},
		"another service":        {"credentials come from one, too", func(e *net.DNSError) { e.Name = "sts.mx-central-1.amazonaws.com" }, false},
		"another Region":         {"it is that Region which lacks it", func(e *net.DNSError) { e.Name = "batch.mx-central-10.amazonaws.com" }, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			lookup := absent
			c.change(&lookup)
			err := fmt.Errorf("describing: %w", &url.Error{Op: "Post", Err: &net.OpError{Op: "dial", Err: &lookup}})
			if got := larderaws.IsServiceAbsent(err, "batch", "mx-central-1"); got != c.want {
				t.Errorf("%t: %s", got, c.reason)
			}
		})
	}
	if larderaws.IsServiceAbsent(nil, "batch", "mx-central-1") {
		t.Error("what succeeds is absent")
	}
}
