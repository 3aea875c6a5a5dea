package image_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

func readRegistries(t *testing.T, content string) *image.Registries {
	t.Helper()
	registries, err := image.ReadRegistries([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return registries
}

func TestTheDocumentedRegistriesAreRead(t *testing.T) {
	page, err := os.ReadFile("../../docs/registries.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("the page has no example")
	}
	server := start(t, registry.Options{TLS: true})
	const documented = "/etc/larder/harbor-ca.pem"
	if !strings.Contains(example, documented) {
		t.Fatalf("the example does not have %s", documented)
	}
	readRegistries(t, strings.ReplaceAll(example, documented, certificate(t, server)))
}

func TestNoRegistriesAreFine(t *testing.T) {
	for _, content := range []string{"", "{}", "registries: {}", "registries:\n  ghcr.io: {}\n"} {
		if _, err := image.ReadRegistries([]byte(content)); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestUnusableRegistries(t *testing.T) {
	const leak = "s3cr3t"
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.pem", start(t, registry.Options{TLS: true}).Certificate())
	cases := map[string]struct{ content, says string }{
		"not YAML":            {"registries: [", "reading the registries"},
		"a list":              {"registries: [docker.io]", "reading the registries"},
		"unknown field":       {"registries: {a.example: {insecureSkipVerify: true}}", `unknown field "insecureSkipVerify"`},
		"a level missing":     {"docker.io: {plainHTTP: true}", `unknown field "docker.io"`},
		"twice":               {"registries:\n  a.example: {}\n  a.example: {}\n", "already"},
		"twice, by two names": {"registries: {docker.io: {}, index.docker.io: {}}", "twice, under another of its names"},
		"address for a host":  {"registries: {'https://a.example': {}}", "is not a registry's host"},
		"path behind a host":  {"registries: {a.example/team: {}}", "is not a registry's host"},
		"mirror without TLS":  {"registries: {a.example: {mirrors: ['http://m.example']}}", "mirrors of a.example: number 1 is not written https://HOST"},
		"mirror's host alone": {"registries: {a.example: {mirrors: ['https://m.example', m.example]}}", "number 2 is not written"},
		"password in mirror":  {"registries: {a.example: {mirrors: ['https://u:" + leak + "@m.example']}}", "number 1 is not written"},
		"token in mirror":     {"registries: {a.example: {mirrors: ['https://m.example?token=" + leak + "']}}", "number 1 is not written"},
		"broken mirror":       {"registries: {a.example: {mirrors: ['https://u:" + leak + "@m.example:port']}}", "number 1 is not written"},
		"prefix":              {"registries: {a.example: {mirrors: ['https://m.example/Team']}}", "prefix of number 1"},
		"nine mirrors":        {"registries: {a.example: {mirrors: [" + strings.Repeat("'https://m.example',", 9) + "]}}", "there are 9, and 8 are allowed"},
		"mirror in plain":     {"registries: {a.example: {mirrors: ['https://m.example']}, m.example: {plainHTTP: true}}", "mirrors need TLS"},
		"no file":             {"registries: {a.example: {caFile: " + folder + "/none.pem}}", "caFile of a.example: stat"},
		"relative file":       {"registries: {a.example: {caFile: good.pem}}", "does not begin with a slash"},
		"no certificate":      {"registries: {a.example: {caFile: " + write("key.pem", []byte(leak)) + "}}", "no certificate in PEM"},
		"large file":          {"registries: {a.example: {caFile: " + write("large.pem", make([]byte, 2<<20)) + "}}", "1048576 are allowed"},
		"TLS and none":        {"registries: {a.example: {plainHTTP: true, caFile: " + good + "}}", "remove one of them"},
		"large":               {strings.Repeat("#", 2<<20), "1048576 are allowed"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			_, err := image.ReadRegistries([]byte(test.content))
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, want an error saying %q", err, test.says)
			}
			if strings.Contains(err.Error(), leak) {
				t.Errorf("the secret is in %v", err)
			}
		})
	}
}

func TestCertificateAuthorityIsForItsHost(t *testing.T) {
	private, other := start(t, registry.Options{TLS: true}), start(t, registry.Options{TLS: true})
	cases := map[string]struct {
		reason     string
		registries string
		trusted    bool
	}{
		"its own":    {"the registry is trusted", `{"registries": {"` + private.Host() + `": {"caFile": "` + certificate(t, private) + `"}}}`, true},
		"none":       {"the system does not know it", `{}`, false},
		"another's":  {"a certificate of another authority", `{"registries": {"` + private.Host() + `": {"caFile": "` + certificate(t, other) + `"}}}`, false},
		"other host": {"an authority is for one host", `{"registries": {"` + other.Host() + `": {"caFile": "` + certificate(t, private) + `"}}}`, false},
	}
	reference := push(t, private, "app:1", forPlatform("linux/amd64"))
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			client := image.NewClient(image.Options{Registries: readRegistries(t, test.registries)})
			_, err := client.Digest(t.Context(), reference)
			if (err == nil) != test.trusted {
				t.Errorf("%s: got %v, want it trusted: %v", test.reason, err, test.trusted)
			}
		})
	}
}

// Hosts on private addresses are otherwise asked in plain HTTP when TLS fails, with credentials in the open.
func TestTLSIsKeptWhereItIsConfigured(t *testing.T) {
	plain, tls := start(t, registry.Options{}), start(t, registry.Options{TLS: true})
	reference := push(t, plain, "app:1", forPlatform("linux/amd64"))
	t.Run("certificate authority", func(t *testing.T) {
		client := image.NewClient(image.Options{Registries: readRegistries(t,
			`{"registries": {"`+plain.Host()+`": {"caFile": "`+certificate(t, tls)+`"}}}`)})
		_, err := client.Digest(t.Context(), reference)
		checkError(t, err, image.Unreachable, reference, "HTTP response to HTTPS client")
	})
	t.Run("mirror", func(t *testing.T) {
		client := image.NewClient(image.Options{
			Registries: readRegistries(t, `{"registries": {"registry.example": {"mirrors": ["https://`+plain.Host()+`"]}}}`),
			Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
				if request.URL.Host == "registry.example" {
					return nil, os.ErrNotExist
				}
				return http.DefaultTransport.RoundTrip(request)
			}),
		})
		_, err := client.Digest(t.Context(), "registry.example/app:1")
		checkError(t, err, image.Unreachable, "registry.example/app:1", "file does not exist")
	})
	if got := asked(plain); len(got) > 0 {
		t.Errorf("it was asked in plain HTTP: %v", got)
	}
}

func TestPlainHTTPEverywhere(t *testing.T) {
	server := start(t, registry.Options{})
	push(t, server, "app:1", forPlatform("linux/amd64"))
	for title, registries := range map[string]*image.Registries{"everywhere": image.PlainHTTP(), "nowhere": nil} {
		client := image.NewClient(image.Options{Registries: registries, Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.URL.Scheme != "http" {
				return nil, os.ErrNotExist
			}
			request.URL.Host = server.Host()
			return http.DefaultTransport.RoundTrip(request)
		})})
		if _, err := client.Digest(t.Context(), "registry.example/app:1"); (err == nil) != (title == "everywhere") {
			t.Errorf("%s: %v", title, err)
		}
	}
}
