//go:build node

package node_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// rootfsKind is the kind of object that snapshots' directories are made of.
const rootfsKind = "entry"

// TestNodeOtherPlatform builds a volume for two platforms: the half that this machine cannot run is unpacked in the
// eyes of containerd's client, and its files are those of a pull for that platform. Nothing of it is run.
func TestNodeOtherPlatform(t *testing.T) {
	const other = "linux/arm64"
	server := startRegistry(t, registry.Options{})
	both := push(t, server, "team/both:v1", registry.Index{Entries: []registry.Artifact{
		registry.Image{Platform: "linux/amd64", Layers: []registry.Layer{everyKind(), aboveIt()}},
		registry.Image{Platform: other, Layers: []registry.Layer{linked(), everyKind(), turned(), aboveIt(), opaque()}},
	}})
	user := newUser(t)
	client := filepath.Join(t.TempDir(), "isunpacked")
	compile(t, client, "../../hack/containerd/v2.4/isunpacked")
	one := push(t, server, "team/one:v1", registry.Image{Platform: "linux/amd64", Layers: []registry.Layer{everyKind()}})
	onEachContainerd(t, func(t *testing.T, containerd node.Containerd) {
		disk := node.AttachDisk(t, user.build(t, []string{both, one}, "linux/amd64,"+other))
		options := node.Options{Containerd: containerd, Root: disk.ContainerdRoot(), SandboxImage: both}
		running := node.Start(t, options)
		for _, c := range []struct {
			reference, platform string
			want                bool
		}{{both, other, true}, {both, "linux/amd64", true}, {one, "linux/amd64", true}} {
			if got := isUnpacked(t, client, running, c.reference, c.platform); got != c.want {
				t.Errorf("%s is unpacked for %s: %t, want %t", c.reference, c.platform, got, c.want)
			}
		}
		running.Stop(t)
		built := node.ReadStore(t, disk.ContainerdRoot())

		started := time.Now()
		options.Root = filepath.Join(node.NewEmptyDisk(t, pulledDiskSize), "containerd")
		puller := node.Start(t, options)
		for _, reference := range []string{both, one} {
			puller.Ctr(t, "images", "pull", "--plain-http", "--platform", "linux/amd64", reference)
		}
		puller.Ctr(t, "images", "pull", "--plain-http", "--platform", other, both)
		puller.Stop(t)
		pulled := node.ReadStore(t, options.Root)
		node.CheckDifferences(t, node.Compare(ofRootfs(pulled), ofRootfs(built)),
			slices.DeleteFunc(permissions(containerd, started), func(p node.Permission) bool { return p.Kind != rootfsKind }))
	})
}

// isUnpacked has a client of containerd look for an image's snapshots, for exactly the given platform.
func isUnpacked(t *testing.T, client string, n *node.Node, reference, platform string) bool {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), client, n.Address(), node.Namespace, reference, platform).Output()
	if err != nil {
		t.Fatalf("asking containerd whether %s is unpacked for %s: %v", reference, platform, err)
	}
	return strings.TrimSpace(string(output)) == "true"
}

// ofRootfs keeps what makes up containers' root filesystems: ctr writes other records of images and snapshots than CRI.
func ofRootfs(store node.Store) node.Store {
	kept := node.Store{}
	for object, facts := range store {
		if object.Kind == rootfsKind {
			kept[object] = facts
		}
	}
	return kept
}
