package pullsecret

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
)

func read(secret *corev1.Secret) ([]entry, error) {
	key := corev1.DockerConfigJsonKey
	switch secret.Type {
	case corev1.SecretTypeDockerConfigJson:
	case corev1.SecretTypeDockercfg:
		key = corev1.DockerConfigKey
	default:
		return nil, fmt.Errorf("reading pull secret %s/%s: its type is %q: make it by kubectl create secret docker-registry, which gives %s",
			secret.Namespace, secret.Name, secret.Type, corev1.SecretTypeDockerConfigJson)
	}
	content := secret.Data[key]
	if len(content) == 0 {
		return nil, fmt.Errorf("reading pull secret %s/%s: it has no key %q, or nothing under it", secret.Namespace, secret.Name, key)
	}
	entries, err := parse(secret.Type, content)
	if err != nil {
		return nil, fmt.Errorf("reading key %q of pull secret %s/%s: %w", key, secret.Namespace, secret.Name, err)
	}
	return entries, nil
}

// parse wraps no error of a decoder: those quote what they could not read.
func parse(secretType corev1.SecretType, content []byte) ([]entry, error) {
	if !json.Valid(content) {
		return nil, errors.New("it is not JSON")
	}
	var auths map[string]json.RawMessage
	if secretType == corev1.SecretTypeDockercfg {
		if json.Unmarshal(content, &auths) != nil {
			return nil, errors.New(`it is not of the form {"REGISTRY": {"username": …, "password": …}}`)
		}
	} else {
		var config struct {
			Auths map[string]json.RawMessage `json:"auths"`
		}
		if json.Unmarshal(content, &config) != nil || config.Auths == nil {
			return nil, errors.New(`it is not of the form {"auths": {"REGISTRY": {"username": …, "password": …}}}`)
		}
		auths = config.Auths
	}
	var entries []entry
	// Two spellings of one registry are equal in the end, and the same one has to win every time.
	for _, registry := range slices.Sorted(maps.Keys(auths)) {
		read, err := parseEntry(registry, auths[registry])
		if err != nil {
			return nil, err
		}
		// An entry without credentials is what docker leaves behind where a helper keeps them.
		if read.credentials != (authn.AuthConfig{}) {
			entries = append(entries, read)
		}
	}
	return entries, nil
}

func parseEntry(registry string, content json.RawMessage) (entry, error) {
	var read entry
	if !strings.HasPrefix(registry, "https://") && !strings.HasPrefix(registry, "http://") {
		registry = "https://" + registry
	}
	address, err := url.Parse(registry)
	if err != nil || address.Host == "" {
		return read, errors.New("one of its registries is not written HOST[:PORT][/PATH]")
	}
	if err := json.Unmarshal(content, &read.credentials); err != nil {
		return read, errors.New(`for one of its registries it has no texts for username and password, or "auth" is not the base64 of username:password`)
	}
	read.host, read.path = address.Host, address.Path
	// The addresses of the API's versions mean the registry as a whole.
	if strings.HasPrefix(read.path, "/v1/") || strings.HasPrefix(read.path, "/v2/") {
		read.path = read.path[len("/v1"):]
	}
	if read.path == "/" {
		read.path = ""
	}
	if slices.Contains(dockerHub, read.host) {
		read.host = name.DefaultRegistry
	}
	return read, nil
}
