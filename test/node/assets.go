//go:build linux

package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// containerdVariable names the directories of containerd's versions, from the oldest to the newest, one a line.
	containerdVariable = "CONTAINERD_ASSETS"
	// kubeletVariable names the directory with the kubelet.
	kubeletVariable = "KUBELET_ASSETS"
)

// assetScripts are asked for what the environment does not name.
var assetScripts = map[string]string{
	containerdVariable: "../../hack/containerd-assets.sh",
	kubeletVariable:    "../../hack/kubelet-assets.sh",
}

// Containerd is one version of containerd, built from its module.
type Containerd struct {
	// Version is that of its module, without the "v": "1.7.35".
	Version string

	directory string
}

// Containerds returns every version that nodes in the field run, from the oldest to the newest.
func Containerds(t testing.TB) []Containerd {
	t.Helper()
	var versions []Containerd
	for _, directory := range strings.Fields(os.Getenv(containerdVariable)) {
		version, found := strings.CutPrefix(filepath.Base(directory), "containerd-")
		if !found {
			t.Fatalf("%s names %s: its last element is not containerd-VERSION", containerdVariable, directory)
		}
		versions = append(versions, Containerd{Version: version, directory: directory})
	}
	if len(versions) == 0 {
		t.Fatalf("%s names no containerd", containerdVariable)
	}
	return versions
}

// NewestContainerd returns the last of Containerds.
func NewestContainerd(t testing.TB) Containerd {
	t.Helper()
	versions := Containerds(t)
	return versions[len(versions)-1]
}

func (c Containerd) binary(name string) string { return filepath.Join(c.directory, name) }

// isVersion1 tells whether its configuration has the form that version 2 moved CRI's part out of.
func (c Containerd) isVersion1() bool { return strings.HasPrefix(c.Version, "1.") }

// findAssets returns the environment's lines that name what the tests start; it may take minutes the first time.
func findAssets() ([]string, error) {
	var found []string
	for variable, script := range assetScripts {
		value := os.Getenv(variable)
		if value == "" {
			command := exec.CommandContext(context.Background(), script)
			command.Stderr = os.Stderr
			output, err := command.Output()
			if err != nil {
				return nil, fmt.Errorf("getting the assets of the node tests by %s: %w", script, err)
			}
			value = strings.TrimSpace(string(output))
		}
		found = append(found, variable+"="+value)
	}
	return found, nil
}
