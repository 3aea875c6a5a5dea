//go:build node

package node_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// pulledDiskSize in bytes holds the test images, their blobs and a journal.
const pulledDiskSize = 1 << 30

// pull starts a node on an empty disk, pulls all images to it, and returns it with its root directory.
func pull(t *testing.T, containerd node.Containerd, pushed images) (*node.Node, string) {
	t.Helper()
	return pullTo(t, containerd, node.NewEmptyDisk(t, pulledDiskSize), pushed.pause, pushed.all())
}

// pullTo is pull for a disk that is mounted in a directory.
func pullTo(t *testing.T, containerd node.Containerd, disk, sandbox string, references []string) (*node.Node, string) {
	t.Helper()
	root := filepath.Join(disk, "containerd")
	pulled := node.Start(t, node.Options{Containerd: containerd, Root: root, SandboxImage: sandbox})
	for _, reference := range references {
		if err := pulled.CRI.Pull(t.Context(), reference); err != nil {
			t.Fatal(err)
		}
	}
	return pulled, root
}

// TestNodePull shows that the harness is a node: what fails here fails without Larder.
func TestNodePull(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	onEachContainerd(t, func(t *testing.T, containerd node.Containerd) {
		server.ForgetRequests()
		pulled, _ := pull(t, containerd, pushed)
		checkUnpacked(t, pulled, pushed)
		checkContainers(t, pulled, pushed)
		if len(server.Requests()) == 0 {
			t.Error("the registry's log shows no request after the pulls: it cannot show that a node needs none")
		}
	})
}

// onEachContainerd runs a test on every version that nodes in the field run.
func onEachContainerd(t *testing.T, test func(*testing.T, node.Containerd)) {
	t.Helper()
	for _, containerd := range node.Containerds(t) {
		t.Run("containerd "+containerd.Version, func(t *testing.T) { test(t, containerd) })
	}
}

// checkContainers runs containers whose output depends on every layer being in place.
func checkContainers(t *testing.T, n *node.Node, pushed images) {
	t.Helper()
	cases := map[string]struct {
		reason string
		pod    node.Pod
		want   node.Result
	}{
		"entrypoint": {
			reason: "the config's entrypoint runs, and sees the topmost of two files",
			pod:    node.Pod{Image: pushed.odd},
			want:   node.Result{Log: "upper\n"},
		},
		"docker": {
			reason: "an image of Docker's schema 2 runs",
			pod:    node.Pod{Image: pushed.docker},
			want:   node.Result{Log: "hello\n"},
		},
		"nested": {
			reason: "an image in an index of an index is found",
			pod:    node.Pod{Image: pushed.nested},
			want:   node.Result{Log: "found\n"},
		},
		"history": {
			reason: "files that turned into directories and back are what the topmost layers say",
			pod:    node.Pod{Image: pushed.history},
			want:   node.Result{Log: "a file again\nin a directory again\nin its place\nno link any more\n"},
		},
		"extreme": {
			reason: "a file at the end of a very long path can be read",
			pod:    node.Pod{Image: pushed.extreme},
			want:   node.Result{Log: "far down\n"},
		},
		"layers": {
			reason: "a file of each layer is there, also below a directory that takes the place of a link",
			pod: node.Pod{Image: pushed.odd, Command: []string{
				"/probe", "print", "/srv/deep/file", "/lib/in-place-of-a-link", "/many/file-with-a-name-of-some-length-0007", "/srv/hidden/seen", "/replaced-by-file", "/twice",
			}},
			want: node.Result{Log: "owned\nlib was a symbolic link below\n7above an opaque directory\nnow a file\nsecond\n"},
		},
		"whiteout": {
			reason: "a file that an upper layer removes is gone",
			pod:    node.Pod{Image: pushed.odd, Command: []string{"/probe", "print", "/etc/gone"}},
			want:   node.Result{ExitCode: 1, Log: "open /etc/gone: no such file or directory\n"},
		},
		"opaque": {
			reason: "what an opaque directory hides is gone",
			pod:    node.Pod{Image: pushed.odd, Command: []string{"/probe", "print", "/srv/hidden/a/b"}},
			want:   node.Result{ExitCode: 1, Log: "open /srv/hidden/a/b: no such file or directory\n"},
		},
	}
	for name, c := range cases {
		c.pod.Name = name
		got, err := n.CRI.Run(t.Context(), c.pod)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.reason, diff)
		}
	}
}

// checkUnpacked asks containerd itself whether each image's snapshots are there, under every name.
func checkUnpacked(t *testing.T, n *node.Node, pushed images) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(n.Ctr(t, "images", "check")), "\n")[1:]
	bare, err := n.CRI.Image(t.Context(), pushed.bare)
	if err != nil {
		t.Fatal(err)
	}
	_, bareTarget, _ := strings.Cut(strings.Join(bare.GetRepoDigests(), ""), "@")
	if want := 3 * len(pushed.all()); len(lines) != want {
		t.Errorf("ctr lists %d names, want %d: by tag, digest and id of each image:\n%s", len(lines), want, strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		// To containerd, no layers are never unpacked; the image's third name does not tell which image it is.
		if unpacked := fields[len(fields)-1]; unpacked != "true" && fields[2] != bareTarget {
			t.Errorf("an image is not unpacked: %s", line)
		}
	}
	for _, reference := range pushed.all() {
		image, err := n.CRI.Image(t.Context(), reference)
		if err != nil {
			t.Fatal(err)
		}
		if image == nil {
			t.Errorf("CRI does not know %s", reference)
			continue
		}
		if !slices.Contains(image.GetRepoTags(), reference) {
			t.Errorf("image %s has the tags %q, want %s among them", image.GetId(), image.GetRepoTags(), reference)
		}
		if len(image.GetRepoDigests()) != 1 {
			t.Errorf("image %s has the digests %q, want one", reference, image.GetRepoDigests())
		}
		for _, name := range append(image.GetRepoDigests(), image.GetId()) {
			same, err := n.CRI.Image(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if same.GetId() != image.GetId() {
				t.Errorf("%s is the image %q, want %s as for %s", name, same.GetId(), image.GetId(), reference)
			}
		}
	}
}
