package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// KarpenterRelease is a release of Karpenter whose custom resource definitions hack/karpenter pins, in a folder of its name.
type KarpenterRelease string

// The releases between which Larder has to get along.
const (
	// OldestKarpenter is the first release with the v1 API.
	OldestKarpenter KarpenterRelease = "v1.0"
	// NewestKarpenter is the one that a user who installs Karpenter today gets.
	NewestKarpenter KarpenterRelease = "v1.15"
)

const (
	karpenterModule = "github.com/aws/karpenter-provider-aws"
	// snapshotModule has the definitions of VolumeSnapshots beside their types.
	snapshotModule = "github.com/kubernetes-csi/external-snapshotter/client/v8"
)

// ModuleRoot is the nearest folder with a go.mod, from the folder of the package under test upwards.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the folder of the test: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the folder of the test: run it inside Larder's source tree")
		}
		dir = parent
	}
}

// karpenterCRDs returns the folder with the definitions as Karpenter releases them.
func karpenterCRDs(root string, release KarpenterRelease) (string, error) {
	module, err := download(filepath.Join(root, "hack", "karpenter", string(release)), karpenterModule)
	return filepath.Join(module, "pkg", "apis", "crds"), err
}

// snapshotCRDs returns the files with the definitions of VolumeSnapshots, their contents and their classes, as they are
// released with the types that Larder is built with.
func snapshotCRDs(root string) ([]string, error) {
	module, err := download(root, snapshotModule)
	var files []string
	for _, kind := range []string{"volumesnapshots", "volumesnapshotcontents", "volumesnapshotclasses"} {
		files = append(files, filepath.Join(module, "config", "crd", "snapshot.storage.k8s.io_"+kind+".yaml"))
	}
	return files, err
}

// download returns the folder of a module that the go.mod of another folder names. The go command refuses a module that
// asks for a newer Go than its own, even to download it, so it may fetch that Go first, whatever GOTOOLCHAIN says elsewhere.
func download(from, name string) (string, error) {
	command := exec.Command("go", "mod", "download", "-json", name)
	command.Dir = from
	command.Env = append(command.Environ(), "GOTOOLCHAIN=auto")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("downloading %s in %s: %w: %s%s: it takes the Go release that go.mod names there, which the go "+
			"command fetches as module golang.org/toolchain: let it reach a module proxy that has it, or install that Go",
			name, from, err, output, stderr.Bytes())
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(output, &module); err != nil {
		return "", fmt.Errorf("reading the answer of go mod download for %s: %w", name, err)
	}
	return module.Dir, nil
}

// readRoles reads the ClusterRoles and Roles of a file with several YAML documents, strictly.
func readRoles(file string) ([]client.Object, error) {
	content, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("opening the generated roles: %w: run make generate", err)
	}
	defer content.Close()
	documents := yaml.NewYAMLOrJSONDecoder(content, 4096)
	var roles []client.Object
	for {
		var document json.RawMessage
		err := documents.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		role, err := decodeRole(document)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		roles = append(roles, role)
	}
	if len(roles) == 0 {
		return nil, fmt.Errorf("no role in %s: run make generate", file)
	}
	return roles, nil
}

func decodeRole(document json.RawMessage) (client.Object, error) {
	var meta metav1.TypeMeta
	if err := json.Unmarshal(document, &meta); err != nil {
		return nil, fmt.Errorf("decoding its kind: %w", err)
	}
	var role client.Object
	switch meta.Kind {
	case "ClusterRole":
		role = &rbacv1.ClusterRole{}
	case "Role":
		role = &rbacv1.Role{}
	default:
		return nil, fmt.Errorf("kind %q is neither ClusterRole nor Role", meta.Kind)
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(role); err != nil {
		return nil, fmt.Errorf("decoding a %s: %w", meta.Kind, err)
	}
	return role, nil
}
