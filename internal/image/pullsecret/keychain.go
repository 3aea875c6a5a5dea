// Package pullsecret finds credentials for registries in Kubernetes pull secrets, by the rules of the kubelet. It is
// apart from package image so that reading images needs to know nothing of Kubernetes.
package pullsecret

import (
	"net"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
)

// Keychain returns the credentials of pull secrets, of the types kubernetes.io/dockerconfigjson and
// kubernetes.io/dockercfg. As in the kubelet, the entry that names more of a repository goes first, and of equal
// entries the one of the first secret. It reads the secrets once: changed ones need a new Keychain. An error names
// the secret and what is wrong with it, and repeats nothing of its content.
func Keychain(secrets []corev1.Secret) (authn.Keychain, error) {
	var found keychain
	for i := range secrets {
		entries, err := read(&secrets[i])
		if err != nil {
			return nil, err
		}
		found = append(found, entries...)
	}
	// The kubelet's order: descending by text, by which a longer path comes before a shorter one of the same host, and
	// a name before a wildcard.
	slices.SortStableFunc(found, func(a, b entry) int { return strings.Compare(b.pattern(), a.pattern()) })
	return found, nil
}

// entry is one registry of a secret, or a part of one.
type entry struct {
	// host may hold wildcards, one label each: "*.example.com".
	host string
	// path is empty, or begins with a slash.
	path        string
	credentials authn.AuthConfig
}

func (e entry) pattern() string { return e.host + e.path }

type keychain []entry

// Resolve implements authn.Keychain.
func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	host, repository := target.RegistryStr(), strings.TrimPrefix(target.String(), target.RegistryStr())
	for _, entry := range k {
		if matchesHost(entry.host, host) && strings.HasPrefix(repository, entry.path) {
			return authn.FromConfig(entry.credentials), nil
		}
	}
	return authn.Anonymous, nil
}

// matchesHost compares label by label, so that a wildcard stands for one label, as in certificates.
func matchesHost(pattern, host string) bool {
	patternName, patternPort := splitPort(pattern)
	hostName, hostPort := splitPort(host)
	patternLabels, hostLabels := strings.Split(patternName, "."), strings.Split(hostName, ".")
	if patternPort != hostPort || len(patternLabels) != len(hostLabels) {
		return false
	}
	for i, label := range patternLabels {
		if matched, err := path.Match(label, hostLabels[i]); err != nil || !matched {
			return false
		}
	}
	return true
}

func splitPort(host string) (name, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return host, ""
	}
	return name, port
}

// dockerHub are the names under which Docker Hub's credentials are kept; images have the first.
var dockerHub = []string{name.DefaultRegistry, "docker.io", "registry-1.docker.io"}
