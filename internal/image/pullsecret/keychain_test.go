package pullsecret_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/internal/image/pullsecret"
)

// secret makes a dockerconfigjson whose usernames are its registries: what is found shows which entry it was.
func secret(t *testing.T, label string, registries ...string) corev1.Secret {
	t.Helper()
	auths := map[string]any{}
	for _, registry := range registries {
		auths[registry] = map[string]string{"username": label + registry, "password": "p"}
	}
	content, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	return raw(corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, string(content))
}

func raw(secretType corev1.SecretType, key, content string) corev1.Secret {
	return corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "larder-system", Name: "pull"},
		Type:       secretType,
		Data:       map[string][]byte{key: []byte(content)},
	}
}

// find returns what a repository's credentials are, and false if there are none.
func find(t *testing.T, keychain authn.Keychain, repository string) (authn.AuthConfig, bool) {
	t.Helper()
	parsed, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	authenticator, err := authn.Resolve(t.Context(), keychain, parsed)
	if err != nil {
		t.Fatal(err)
	}
	if authenticator == authn.Anonymous {
		return authn.AuthConfig{}, false
	}
	found, err := authn.Authorization(t.Context(), authenticator)
	if err != nil {
		t.Fatal(err)
	}
	return *found, true
}

func TestEntriesMatchAsInTheKubelet(t *testing.T) {
	cases := map[string]struct {
		reason     string
		secrets    []corev1.Secret
		repository string
		want       string // empty means anonymous
	}{
		"host": {"a host covers all that it has", []corev1.Secret{secret(t, "", "registry.lan")},
			"registry.lan/team/app", "registry.lan"},
		"another host": {"credentials stay with their host", []corev1.Secret{secret(t, "", "registry.lan")},
			"registry.lan.example/app", ""},
		"port": {"another port is another registry", []corev1.Secret{secret(t, "", "registry.lan:5000")},
			"registry.lan/app", ""},
		"same port": {"a port is a part of the host", []corev1.Secret{secret(t, "", "registry.lan:5000")},
			"registry.lan:5000/app", "registry.lan:5000"},
		"path": {"a path narrows the host", []corev1.Secret{secret(t, "", "registry.lan/team")},
			"registry.lan/team/app", "registry.lan/team"},
		"another path": {"what is not below it is not covered", []corev1.Secret{secret(t, "", "registry.lan/team")},
			"registry.lan/other/app", ""},
		"longest path": {"the entry that says more goes first", []corev1.Secret{secret(t, "", "registry.lan", "registry.lan/team/a", "registry.lan/team")},
			"registry.lan/team/app", "registry.lan/team/a"},
		"longest path, later secret": {"in whichever secret it is", []corev1.Secret{secret(t, "", "registry.lan"), secret(t, "", "registry.lan/team")},
			"registry.lan/team/app", "registry.lan/team"},
		"equal entries": {"the first secret counts", []corev1.Secret{secret(t, "first ", "registry.lan"), secret(t, "second ", "registry.lan")},
			"registry.lan/app", "first registry.lan"},
		"wildcard": {"one label", []corev1.Secret{secret(t, "", "*.example.com")},
			"eu.example.com/app", "*.example.com"},
		"wildcard for two": {"not two labels", []corev1.Secret{secret(t, "", "*.example.com")},
			"a.eu.example.com/app", ""},
		"wildcard inside": {"any label may have one", []corev1.Secret{secret(t, "", "123.dkr.ecr.*.amazonaws.com")},
			"123.dkr.ecr.eu-west-1.amazonaws.com/app", "123.dkr.ecr.*.amazonaws.com"},
		"name before wildcard": {"a name says more", []corev1.Secret{secret(t, "", "*.example.com", "eu.example.com")},
			"eu.example.com/app", "eu.example.com"},
		"address": {"docker login writes addresses", []corev1.Secret{secret(t, "", "https://registry.lan/v2/")},
			"registry.lan/app", "https://registry.lan/v2/"},
		"address with a path": {"the version is not a part of it", []corev1.Secret{secret(t, "", "https://registry.lan/v1/team")},
			"registry.lan/team/app", "https://registry.lan/v1/team"},
		"Docker Hub as docker writes it": {"the index has been its name for long", []corev1.Secret{secret(t, "", "https://index.docker.io/v1/")},
			"nginx", "https://index.docker.io/v1/"},
		"Docker Hub as people write it": {"images have this host", []corev1.Secret{secret(t, "", "docker.io")},
			"docker.io/library/nginx", "docker.io"},
		"Docker Hub with a path": {"an organisation's own credentials", []corev1.Secret{secret(t, "", "docker.io", "docker.io/acme")},
			"acme/app", "docker.io/acme"},
		"dockercfg": {"the older type has no auths around it",
			[]corev1.Secret{raw(corev1.SecretTypeDockercfg, corev1.DockerConfigKey, `{"registry.lan": {"username": "old", "password": "p"}}`)},
			"registry.lan/app", "old"},
		"auth": {"base64 of both", []corev1.Secret{raw(corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey,
			`{"auths": {"registry.lan": {"auth": "`+base64.StdEncoding.EncodeToString([]byte("cook:a:b"))+`"}}}`)},
			"registry.lan/app", "cook"},
		"nothing in it": {"where a helper keeps them, the entry is empty", []corev1.Secret{raw(corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey,
			`{"auths": {"registry.lan": {}}, "credsStore": "desktop"}`)},
			"registry.lan/app", ""},
		"no secrets": {"then there are none", nil, "registry.lan/app", ""},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			keychain, err := pullsecret.Keychain(test.secrets)
			if err != nil {
				t.Fatal(err)
			}
			got, found := find(t, keychain, test.repository)
			if got.Username != test.want || found != (test.want != "") {
				t.Errorf("%s: got %q, want %q", test.reason, got.Username, test.want)
			}
		})
	}
}

func TestTwoSpellingsOfOneRegistryInOneSecret(t *testing.T) {
	spelled := secret(t, "", "docker.io", "https://index.docker.io/v1/", "registry-1.docker.io", "index.docker.io")
	for range 20 {
		keychain, err := pullsecret.Keychain([]corev1.Secret{spelled})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := find(t, keychain, "nginx"); got.Username != "docker.io" {
			t.Fatalf("got %q, want the same entry every time", got.Username)
		}
	}
}

func TestTokensAreKept(t *testing.T) {
	keychain, err := pullsecret.Keychain([]corev1.Secret{raw(corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey,
		`{"auths": {"registry.lan": {"identitytoken": "refresh"}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := find(t, keychain, "registry.lan/app")
	if diff := cmp.Diff(authn.AuthConfig{IdentityToken: "refresh"}, got); diff != "" {
		t.Error(diff)
	}
}

// MultiKeychain goes on to the next keychain only after one that has nothing.
func TestOtherKeychainsFollow(t *testing.T) {
	keychain, err := pullsecret.Keychain([]corev1.Secret{secret(t, "", "registry.lan")})
	if err != nil {
		t.Fatal(err)
	}
	other, err := pullsecret.Keychain([]corev1.Secret{secret(t, "other ", "registry.lan", "elsewhere.lan")})
	if err != nil {
		t.Fatal(err)
	}
	both := authn.NewMultiKeychain(keychain, other)
	for repository, want := range map[string]string{"registry.lan/app": "registry.lan", "elsewhere.lan/app": "other elsewhere.lan"} {
		if got, _ := find(t, both, repository); got.Username != want {
			t.Errorf("%s: got %q, want %q", repository, got.Username, want)
		}
	}
}

func TestUnusableSecretsAreNamedAndNotQuoted(t *testing.T) {
	const leak = "s3cr3t"
	json := corev1.SecretTypeDockerConfigJson
	cases := map[string]struct {
		secret corev1.Secret
		says   string
	}{
		"wrong type":            {raw(corev1.SecretTypeOpaque, corev1.DockerConfigJsonKey, leak), `its type is "Opaque"`},
		"no type":               {raw("", corev1.DockerConfigJsonKey, leak), "kubectl create secret docker-registry"},
		"wrong key":             {raw(json, corev1.DockerConfigKey, leak), `no key ".dockerconfigjson"`},
		"empty":                 {raw(json, corev1.DockerConfigJsonKey, ""), "or nothing under it"},
		"wrong key, older type": {raw(corev1.SecretTypeDockercfg, corev1.DockerConfigJsonKey, leak), `no key ".dockercfg"`},
		"not JSON":              {raw(json, corev1.DockerConfigJsonKey, leak), "not JSON"},
		"half of it":            {raw(json, corev1.DockerConfigJsonKey, `{"auths": {"registry.lan": {"password": "`+leak), "not JSON"},
		"another form":          {raw(json, corev1.DockerConfigJsonKey, `{"registry.lan": {"password": "`+leak+`"}}`), `of the form {"auths"`},
		"a list":                {raw(json, corev1.DockerConfigJsonKey, `{"auths": ["`+leak+`"]}`), `of the form {"auths"`},
		"a list, older type":    {raw(corev1.SecretTypeDockercfg, corev1.DockerConfigKey, `["`+leak+`"]`), `of the form {"REGISTRY"`},
		"text for an entry":     {raw(json, corev1.DockerConfigJsonKey, `{"auths": {"registry.lan": "`+leak+`"}}`), "no texts for username and password"},
		"number for a password": {raw(json, corev1.DockerConfigJsonKey, `{"auths": {"registry.lan": {"username": "`+leak+`", "password": 4711}}}`), "no texts for username and password"},
		"auth not base64":       {raw(json, corev1.DockerConfigJsonKey, `{"auths": {"registry.lan": {"auth": "`+leak+`!"}}}`), "not the base64"},
		"auth without a colon":  {raw(json, corev1.DockerConfigJsonKey, `{"auths": {"registry.lan": {"auth": "`+base64.StdEncoding.EncodeToString([]byte(leak))+`"}}}`), "not the base64"},
		"no host":               {raw(json, corev1.DockerConfigJsonKey, `{"auths": {"https://": {"password": "`+leak+`"}}}`), "not written HOST"},
		"password in a host":    {raw(json, corev1.DockerConfigJsonKey, `{"auths": {"https://u:`+leak+`@registry.lan:port": {}}}`), "not written HOST"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			_, err := pullsecret.Keychain([]corev1.Secret{secret(t, "", "fine.lan"), test.secret})
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, part := range []string{"larder-system/pull", test.says} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			for ; err != nil; err = errors.Unwrap(err) {
				text := fmt.Sprintf("%v %+v %#v", err, err, err)
				for _, secret := range []string{leak, "4711", base64.StdEncoding.EncodeToString([]byte(leak))} {
					if strings.Contains(text, secret) {
						t.Errorf("the content is in %s", text)
					}
				}
			}
		})
	}
}
