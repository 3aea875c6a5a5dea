package image

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"sigs.k8s.io/yaml"
)

const (
	// maxRegistriesBytes is a Kubernetes ConfigMap's limit, from which the file usually comes:
	// https://kubernetes.io/docs/concepts/configuration/configmap/
	maxRegistriesBytes = 1 << 20
	// maxMirrors bounds how many answers a request may wait for before the registry itself is asked.
	maxMirrors = 8
	// maxCABytes is several times all authorities of a Linux distribution.
	maxCABytes = 1 << 20
)

// Registries say how registries are reached that cannot be reached as the public ones are; docs/registries.md
// describes the file.
type Registries struct {
	// hosts are by the name that requests go to.
	hosts map[string]*hostConfig
	// plainHTTP is for all hosts.
	plainHTTP bool
}

type hostConfig struct {
	mirrors   []mirror
	plainHTTP bool
	// authorities are the system's and the configured ones, nil for the system's alone.
	authorities *x509.CertPool
}

// mirror is where a registry's repositories are found too, behind a prefix of their names.
type mirror struct {
	host string
	// prefix is empty or ends in a slash.
	prefix string
}

// registriesFile is the file as it is written.
type registriesFile struct {
	Registries map[string]struct {
		Mirrors   []string `json:"mirrors"`
		PlainHTTP bool     `json:"plainHTTP"`
		CAFile    string   `json:"caFile"`
	} `json:"registries"`
}

// PlainHTTP lets every registry be spoken to without TLS.
func PlainHTTP() *Registries { return &Registries{plainHTTP: true} }

// ReadRegistries reads the file that docs/registries.md describes, and the certificates of the files that it names.
// Its errors name the host, and the mirror by its number.
func ReadRegistries(content []byte) (*Registries, error) {
	if len(content) > maxRegistriesBytes {
		return nil, fmt.Errorf("reading the registries: the file has %d bytes, and %d are allowed", len(content), maxRegistriesBytes)
	}
	var file registriesFile
	if err := yaml.UnmarshalStrict(content, &file); err != nil {
		return nil, fmt.Errorf("reading the registries: %w", err)
	}
	read := &Registries{hosts: map[string]*hostConfig{}}
	for written, entry := range file.Registries {
		host, err := apiHost(written)
		if err != nil {
			return nil, fmt.Errorf("reading the registries: %q is not a registry's host: write it as in image references, such as registry.lan:5000", written)
		}
		if read.hosts[host] != nil {
			return nil, fmt.Errorf("reading the registries: %s is there twice, under another of its names", written)
		}
		config := &hostConfig{plainHTTP: entry.PlainHTTP}
		if config.authorities, err = readAuthorities(entry.CAFile); err != nil {
			return nil, fmt.Errorf("reading the registries: caFile of %s: %w", written, err)
		}
		if config.plainHTTP && config.authorities != nil {
			return nil, fmt.Errorf("reading the registries: %s has both plainHTTP and caFile: certificates need TLS, remove one of them", written)
		}
		if config.mirrors, err = readMirrors(entry.Mirrors); err != nil {
			return nil, fmt.Errorf("reading the registries: mirrors of %s: %w", written, err)
		}
		read.hosts[host] = config
	}
	for host, config := range read.hosts {
		for number, mirror := range config.mirrors {
			if own := read.hosts[mirror.host]; own != nil && own.plainHTTP {
				return nil, fmt.Errorf("reading the registries: mirror number %d of %s is at a host with plainHTTP: mirrors need TLS", number+1, host)
			}
		}
	}
	return read, nil
}

// apiHost is where a registry's API is: Docker Hub's is not at the host of its references.
func apiHost(host string) (string, error) {
	registry, err := name.NewRegistry(host, name.StrictValidation)
	if err != nil {
		return "", err
	}
	return registry.RegistryStr(), nil
}

func readMirrors(written []string) ([]mirror, error) {
	if len(written) > maxMirrors {
		return nil, fmt.Errorf("there are %d, and %d are allowed", len(written), maxMirrors)
	}
	var mirrors []mirror
	for number, text := range written {
		// The text may hold a password by mistake, so that no error repeats it.
		address, err := url.Parse(text)
		if err != nil || address.Scheme != "https" || address.Host == "" || address.User != nil ||
			address.RawQuery != "" || address.Fragment != "" {
			return nil, fmt.Errorf("number %d is not written https://HOST[:PORT][/PREFIX]", number+1)
		}
		host, err := apiHost(address.Host)
		if err != nil {
			return nil, fmt.Errorf("number %d has no registry's host", number+1)
		}
		prefix := strings.Trim(address.Path, "/")
		if prefix != "" {
			if _, err := name.NewRepository(host + "/" + prefix + "/any"); err != nil {
				return nil, fmt.Errorf("the prefix of number %d cannot begin a repository's name", number+1)
			}
			prefix += "/"
		}
		mirrors = append(mirrors, mirror{host: host, prefix: prefix})
	}
	return mirrors, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%q does not begin with a slash", path)
	}
	information, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if information.Size() > maxCABytes {
		return nil, fmt.Errorf("%s has %d bytes, and %d are allowed", path, information.Size(), maxCABytes)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	authorities, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificates: %w", err)
	}
	if !authorities.AppendCertsFromPEM(content) {
		return nil, errors.New(path + " has no certificate in PEM")
	}
	return authorities, nil
}

// mirrors are those of a registry, by the host of its API.
func (r *Registries) mirrors(host string) []mirror {
	if config := r.hosts[host]; config != nil {
		return config.mirrors
	}
	return nil
}

// allowPlainHTTP takes a host as references have it.
func (r *Registries) allowPlainHTTP(written string) bool {
	if r.plainHTTP {
		return true
	}
	host, err := apiHost(written)
	return err == nil && r.hosts[host] != nil && r.hosts[host].plainHTTP
}
