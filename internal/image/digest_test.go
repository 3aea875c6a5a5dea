package image_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

// asked is the access log as "METHOD path".
func asked(server *registry.Server) []string {
	var lines []string
	for _, request := range server.Requests() {
		lines = append(lines, request.Method+" "+request.Path)
	}
	return lines
}

func TestDigestIsOneRequestInASteadyState(t *testing.T) {
	cases := map[string]registry.Options{
		"public": {},
		"tokens": {Username: "cook", Password: "thyme"},
		"basic":  {Username: "cook", Password: "thyme", Basic: true},
	}
	for title, options := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, options)
			reference := push(t, server, "team/app:1", registry.Index{Entries: []registry.Artifact{forPlatform("linux/amd64"), forPlatform("linux/arm64")}})
			client := image.NewClient(image.Options{Keychain: keychain{"cook", "thyme"}})
			resolved, err := client.Resolve(t.Context(), reference, []string{"linux/amd64"})
			if err != nil {
				t.Fatal(err)
			}
			server.ForgetRequests()
			for range 3 {
				got, err := client.Digest(t.Context(), reference)
				if err != nil || got != resolved.Target.Digest {
					t.Fatalf("got %q, %v, want %s", got, err, resolved.Target.Digest)
				}
			}
			head := "HEAD /v2/team/app/manifests/1"
			if diff := cmp.Diff([]string{head, head, head}, asked(server)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			push(t, server, "team/app:1", forPlatform("linux/amd64"))
			if got, err := client.Digest(t.Context(), reference); err != nil || got == resolved.Target.Digest {
				t.Errorf("after a push: %q, %v, want another digest", got, err)
			}
		})
	}
}

func TestDigestOfADigestAsksNobody(t *testing.T) {
	client := image.NewClient(image.Options{})
	got, err := client.Digest(t.Context(), "127.0.0.1:1/app@"+someDigest)
	if err != nil || got != someDigest {
		t.Errorf("got %q, %v", got, err)
	}
	const sha512 = "127.0.0.1:1/app@sha512:" +
		"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
	_, err = client.Digest(t.Context(), sha512)
	checkError(t, err, image.Unsupported, sha512, "not SHA-256")
}

// onHead answers HEAD alone, and leaves the rest to the registry.
func onHead(answer func(http.ResponseWriter, *httptest.ResponseRecorder)) registry.Effect {
	return func(response http.ResponseWriter, request *http.Request, store http.Handler) {
		if request.Method != http.MethodHead {
			store.ServeHTTP(response, request)
			return
		}
		right := httptest.NewRecorder()
		store.ServeHTTP(right, request)
		answer(response, right)
	}
}

func announcing(digest string) registry.Effect {
	return onHead(func(response http.ResponseWriter, right *httptest.ResponseRecorder) {
		if digest != "" {
			response.Header().Set("Docker-Content-Digest", digest)
		}
		response.WriteHeader(right.Code)
	})
}

func answering(status int) registry.Effect {
	return onHead(func(response http.ResponseWriter, _ *httptest.ResponseRecorder) { response.WriteHeader(status) })
}

func TestDigestAsksByGetWhereHeadDoesNotTell(t *testing.T) {
	cases := map[string]struct {
		reason   string
		effect   registry.Effect
		requests []string
	}{
		"no digest":      {"the header is not required", announcing(""), []string{http.MethodHead, http.MethodGet}},
		"another digest": {"nothing else here is by SHA-512", announcing("sha512:00"), []string{http.MethodHead, http.MethodGet}},
		"no digest's":    {"a header is text from outside", announcing("latest"), []string{http.MethodHead, http.MethodGet}},
		"not found":      {"some proxies know GET alone", answering(http.StatusNotFound), []string{http.MethodHead, http.MethodGet}},
		"not allowed":    {"some say so", answering(http.StatusMethodNotAllowed), []string{http.MethodHead, http.MethodGet}},
		"forbidden":      {"GET may be allowed", answering(http.StatusForbidden), []string{http.MethodHead, http.MethodGet, http.MethodHead, http.MethodGet, http.MethodGet}},
		"out of order":   {"GET would fare no better", answering(http.StatusBadRequest), []string{http.MethodHead}},
		"nothing special": {"HEAD tells", registry.Effect(func(response http.ResponseWriter, request *http.Request, store http.Handler) {
			store.ServeHTTP(response, request)
		}), []string{http.MethodHead}},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			reference := push(t, server, "app:1", forPlatform("linux/amd64"))
			client := image.NewClient(image.Options{})
			want, err := client.Digest(t.Context(), reference)
			if err != nil {
				t.Fatal(err)
			}
			server.Inject(registry.Fault{Path: "/manifests/", Effect: test.effect})
			server.ForgetRequests()
			got, err := client.Digest(t.Context(), reference)
			if title == "out of order" {
				checkError(t, err, image.RegistryError, reference, "HTTP status 400")
			} else if err != nil || got != want {
				t.Errorf("%s: got %q, %v, want %s", test.reason, got, err, want)
			}
			var methods []string
			for _, request := range server.Requests() {
				methods = append(methods, request.Method)
			}
			if diff := cmp.Diff(test.requests, methods); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.reason, diff)
			}
		})
	}
}

func TestDigestFailsAsResolveDoes(t *testing.T) {
	cases := map[string]struct {
		effect registry.Effect
		want   image.Reason
		says   string
	}{
		"unknown":    {registry.Refuse(http.StatusNotFound), image.NotFound, "NAME_UNKNOWN"},
		"no access":  {registry.Refuse(http.StatusUnauthorized), image.Unauthorized, "check the credentials"},
		"forbidden":  {registry.Refuse(http.StatusForbidden), image.Forbidden, "ecr:BatchGetImage"},
		"rate limit": {registry.Refuse(http.StatusTooManyRequests), image.TooManyRequests, "HTTP status 429"},
		"outage":     {registry.Refuse(http.StatusServiceUnavailable), image.RegistryError, "HTTP status 503"},
		"altered": {func(response http.ResponseWriter, request *http.Request, store http.Handler) {
			if request.Method == http.MethodHead {
				announcing("")(response, request, store)
				return
			}
			registry.Corrupt(response, request, store)
		}, image.DigestMismatch, "has the digest"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			server := start(t, registry.Options{})
			reference := push(t, server, "app:1", forPlatform("linux/amd64"))
			server.Inject(registry.Fault{Path: "/manifests/", Effect: test.effect})
			var waited waits
			_, err := waited.client().Digest(t.Context(), reference)
			checkError(t, err, test.want, reference, test.says)
		})
	}
	_, err := image.NewClient(image.Options{}).Digest(t.Context(), "No Reference")
	if image.ReasonOf(err) != image.InvalidReference {
		t.Errorf("got %v", err)
	}
}
