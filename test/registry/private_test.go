package registry_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/larder-dev/larder/test/registry"
)

func TestTokensEnd(t *testing.T) {
	server := start(t, registry.Options{Username: "cook", Password: "thyme"})
	parsed, err := name.ParseReference(push(t, server, "app:1", small))
	if err != nil {
		t.Fatal(err)
	}
	puller, err := remote.NewPuller(remote.WithAuth(&authn.Basic{Username: "cook", Password: "thyme"}))
	if err != nil {
		t.Fatal(err)
	}
	for change, end := range map[string]func(){
		"nothing":      func() {},
		"time":         server.ExpireTokens,
		"new password": func() { server.SetCredentials("cook", "basil") },
	} {
		server.SetCredentials("cook", "thyme")
		if _, err := puller.Head(t.Context(), parsed); err != nil {
			t.Fatal(err)
		}
		server.ForgetRequests()
		end()
		_, err := puller.Head(t.Context(), parsed)
		if (err == nil) != (change != "new password") {
			t.Errorf("after %s: %v", change, err)
		}
		if asked := len(server.Requests()); (asked == 1) != (change == "nothing") {
			t.Errorf("after %s: %d requests", change, asked)
		}
	}
}

func TestBasicAuthenticationGoesWithEveryRequest(t *testing.T) {
	server := start(t, registry.Options{Username: "AWS", Password: "first", Basic: true})
	push(t, server, "app:1", small)
	server.SetCredentials("AWS", "second")
	for password, want := range map[string]int{"second": http.StatusOK, "first": http.StatusForbidden, "": http.StatusUnauthorized, "third": http.StatusUnauthorized} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Host()+"/v2/app/manifests/1", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("AWS", password)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("password %q: %d, want %d", password, response.StatusCode, want)
		}
	}
}

func TestTagsComeInPagesByTLS(t *testing.T) {
	server := start(t, registry.Options{TLS: true, TagsPerPage: 2})
	want := []string{"1", "2", "3", "4", "5"}
	for _, tag := range want {
		push(t, server, "app:"+tag, small)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(server.Certificate()) {
		t.Fatal("the certificate is not in PEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	var got []string
	for address := "https://" + server.Host() + "/v2/app/tags/list?n=1000"; address != ""; {
		response, err := (&http.Client{Transport: transport}).Get(address)
		if err != nil {
			t.Fatal(err)
		}
		var page struct{ Tags []string }
		if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		got = append(got, page.Tags...)
		address = ""
		if link := response.Header.Get("Link"); link != "" {
			address = "https://" + server.Host() + strings.TrimPrefix(strings.Split(link, ">")[0], "<")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := len(server.Requests()); got != 3 {
		t.Errorf("%d pages, want 3", got)
	}
}
