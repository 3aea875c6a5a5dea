package image_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

// repeating answers with all that the request told of its sender.
func repeating(status int, form string) registry.Effect {
	return func(response http.ResponseWriter, request *http.Request, _ http.Handler) {
		response.WriteHeader(status)
		fmt.Fprintf(response, form, request.Header.Get("Authorization"))
	}
}

// failingKeychain tells in its error what it should not.
type failingKeychain struct{ secret string }

func (k failingKeychain) Resolve(authn.Resource) (authn.Authenticator, error) {
	return nil, fmt.Errorf("asking https://cook:%[1]s@vault.example/v1?X-Vault-Token=%[1]s: no answer", k.secret)
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	inBody := func(status int, body string) registry.Effect {
		return func(response http.ResponseWriter, _ *http.Request, _ http.Handler) {
			response.WriteHeader(status)
			fmt.Fprint(response, body)
		}
	}
	const address = "https://u:" + secret + "@storage/x?token=" + secret
	const right = "the-right-password"
	never := registry.Fault{Path: "/never/"}
	cases := map[string]struct {
		keychain authn.Keychain
		fault    registry.Fault
	}{
		"wrong password":   {keychain{"cook", secret}, never},
		"failing keychain": {failingKeychain{secret}, never},
		"signed redirect that fails": {nil, registry.Fault{Path: "team/app",
			Effect: registry.RedirectTo("http://127.0.0.1:1/bucket?X-Amz-Signature=" + secret)}},
		"user in a redirect":       {nil, registry.Fault{Path: "team/app", Effect: registry.RedirectTo("http://cook:" + secret + "@127.0.0.1:1/bucket")}},
		"redirect that is refused": {nil, registry.Fault{Path: "team/app", Effect: registry.RedirectTo("http://cook:" + secret + "@169.254.169.254/?" + secret)}},
		"storage that repeats":     {nil, registry.Fault{Path: "team/app", Effect: inBody(http.StatusForbidden, "<Error><StringToSign>"+secret+"</StringToSign></Error>")}},
		"password as an error": {nil, registry.Fault{Path: "team/app", Effect: func(response http.ResponseWriter, request *http.Request, _ http.Handler) {
			_, password, _ := request.BasicAuth()
			response.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(response, `{"errors":[{"code":"UNSUPPORTED","message":"bad password %s"}]}`, password)
		}}},
		"registry with an address": {nil, registry.Fault{Path: "team/app", Effect: inBody(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"no access to `+address+`"}]}`)}},
		"header repeated":          {nil, registry.Fault{Path: "team/app", Effect: repeating(http.StatusForbidden, "your header was %s")}},
		"header repeated as an error": {nil, registry.Fault{Path: "team/app",
			Effect: repeating(http.StatusBadRequest, `{"errors":[{"code":"UNSUPPORTED","message":"bad header Authorization: %s"}]}`)}},
		"header in tags":   {nil, registry.Fault{Path: "/tags/", Effect: repeating(http.StatusOK, `{"tags": %s}`)}},
		"header as tags":   {nil, registry.Fault{Path: "/tags/", Effect: repeating(http.StatusOK, `{"tags": ["%s", 1]}`)}},
		"next page":        {nil, registry.Fault{Path: "/tags/", Effect: list(`{"tags": []}`, "<"+address+`>; rel="next"`)}},
		"broken next page": {nil, registry.Fault{Path: "/tags/", Effect: list(`{"tags": []}`, "<"+address+"%zz>")}},
		"page breaks off":  {nil, registry.Fault{Path: "/tags/", Effect: pageThatBreaksOff(secret)}},
		"announced digest": {nil, registry.Fault{Path: "/manifests/", Effect: announcing(secret)}},
		"content type":     {nil, registry.Fault{Path: "/manifests/", Effect: repeating(http.StatusOK, "%s")}},
	}
	for _, basic := range []bool{false, true} {
		server := start(t, registry.Options{Username: "cook", Password: right, Basic: basic})
		reference := push(t, server, "team/app:1", forPlatform("linux/amd64"))
		for title, test := range cases {
			t.Run(fmt.Sprintf("%s, basic %v", title, basic), func(t *testing.T) {
				if test.keychain == nil {
					test.keychain = keychain{"cook", right}
				}
				server.Heal()
				server.Inject(test.fault)
				var waited waits
				client := waited.with(image.Options{Keychain: test.keychain})
				failures := 0
				for _, err := range attempts(t, client, reference) {
					if err == nil {
						continue
					}
					failures++
					if image.ReasonOf(err) == "" {
						t.Fatalf("got %v, want an image.Error", err)
					}
					checkNoSecret(t, err, secret, right, base64.StdEncoding.EncodeToString([]byte("cook:"+right)), server.Token())
				}
				if failures == 0 && title != "announced digest" {
					t.Error("nothing failed")
				}
			})
		}
	}
}

// attempts are all that a client does.
func attempts(t *testing.T, client *image.Client, reference string) []error {
	t.Helper()
	_, resolving := client.Resolve(t.Context(), reference, []string{"linux/amd64"})
	_, asking := client.Digest(t.Context(), reference)
	_, listing := client.Tags(t.Context(), reference)
	return []error{resolving, asking, listing}
}

func checkNoSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		text := fmt.Sprintf("%v %+v %#v", err, err, err)
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %s", secret, text)
			}
		}
	}
}

// pageThatBreaksOff leads to a second page, whose address has a secret and whose body ends too early.
func pageThatBreaksOff(secret string) registry.Effect {
	return func(response http.ResponseWriter, request *http.Request, store http.Handler) {
		if request.URL.Query().Get("token") == "" {
			list(`{"tags": []}`, "</v2/team/app/tags/list?token="+secret+`>; rel="next"`)(response, request, store)
			return
		}
		registry.BreakOff(response, request, store)
	}
}

// A token server's answer holds tokens even when it is not understood.
func TestTokenServersAnswersAreNotQuoted(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t"
	for title, answer := range map[string]string{
		"no token":    `{"refresh_token": "` + secret + `"}`,
		"not JSON":    secret,
		"other types": `{"token": ["` + secret + `"]}`,
		"broken off":  `{"token": "` + secret,
	} {
		t.Run(title, func(t *testing.T) {
			client := image.NewClient(image.Options{Transport: roundTripper(func(request *http.Request) (*http.Response, error) {
				response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: request, Body: http.NoBody}
				if request.URL.Host == "registry.example" {
					response.StatusCode = http.StatusUnauthorized
					response.Header.Set("WWW-Authenticate", `Bearer realm="https://token.example/",service="x"`)
					return response, nil
				}
				response.Body = io.NopCloser(strings.NewReader(answer))
				return response, nil
			})})
			for _, err := range attempts(t, client, "registry.example/app:1") {
				if image.ReasonOf(err) == "" {
					t.Fatalf("got %v, want an image.Error", err)
				}
				checkNoSecret(t, err, secret)
			}
		})
	}
}
