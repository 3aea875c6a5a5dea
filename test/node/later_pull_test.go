//go:build node

package node_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// TestNodeAlwaysPull pulls, on a built volume, each image by its tag again, as `imagePullPolicy: Always` does: the
// registry is asked for manifests alone, and kubelet still sees every image pinned.
func TestNodeAlwaysPull(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	user := newUser(t)
	onEachContainerd(t, func(t *testing.T, containerd node.Containerd) {
		disk := node.AttachDisk(t, user.build(t, pushed.all(), platform))
		built := node.Start(t, node.Options{Containerd: containerd, Root: disk.ContainerdRoot(), SandboxImage: pushed.pause})
		server.ForgetRequests()
		for _, reference := range pushed.all() {
			if err := built.CRI.Pull(t.Context(), reference); err != nil {
				t.Error(err)
			}
		}
		requests := server.Requests()
		if !slices.ContainsFunc(requests, func(r registry.Request) bool { return strings.Contains(r.Path, "/manifests/") }) {
			t.Errorf("the registry was not asked for a manifest, so nothing was pulled: %v", requests)
		}
		for _, request := range requests {
			if strings.Contains(request.Path, "/blobs/") {
				t.Errorf("a blob was asked for that the volume has: %v", request)
			}
		}
		checkPinned(t, built, pushed)
		checkPinnedNames(t, built, pushed)
		built.CollectGarbage(t)
		checkContainers(t, built, pushed)
		built.Stop(t)
	})
}

// checkPinnedNames shows what a pull by tag leaves of the pins: it writes that name's record anew, without one, and
// leaves the two others', which keep the image. The sandbox image's own is pinned by containerd's configuration.
func checkPinnedNames(t *testing.T, n *node.Node, pushed images) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(n.Ctr(t, "images", "list")), "\n")[1:] {
		name := strings.Fields(line)[0]
		rewritten := slices.Contains(pushed.all(), name) && name != pushed.pause
		if pinned := strings.Contains(line, "io.cri-containerd.pinned=pinned"); pinned == rewritten {
			t.Errorf("after a pull by tag, the record %s is pinned: %t, want %t", name, pinned, !rewritten)
		}
	}
}

// TestNodeLaterPullFetchesOnlyTheNewLayer pulls, on a built volume, an image that is not there but has its lower layers
// in common with one that is.
func TestNodeLaterPullFetchesOnlyTheNewLayer(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	user := newUser(t)
	next := oddImage(registry.Layer{Entries: []registry.Entry{{Name: "probe", Mode: 0o755, Content: compileProbe(t)}}})
	next.Layers = append(next.Layers, registry.Layer{Entries: []registry.Entry{{Name: "etc/over", Content: []byte("newer\n")}}})
	set, err := registry.Build(next)
	if err != nil {
		t.Fatal(err)
	}
	reference := push(t, server, "team/odd:v3", next)
	// The set's last two blobs: all the layers below are on the volume.
	var want []string
	for _, blob := range set.Blobs[len(set.Blobs)-2:] {
		want = append(want, blob.Descriptor.Digest.String())
	}
	slices.Sort(want)
	onEachContainerd(t, func(t *testing.T, containerd node.Containerd) {
		disk := node.AttachDisk(t, user.build(t, pushed.all(), platform))
		built := node.Start(t, node.Options{Containerd: containerd, Root: disk.ContainerdRoot(), SandboxImage: pushed.pause})
		server.ForgetRequests()
		if err := built.CRI.Pull(t.Context(), reference); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, fetchedBlobs(server)); diff != "" {
			t.Errorf("the blobs that the pull fetched, beside the new layer and its config (-want +got)\n%s", diff)
		}
		built.CollectGarbage(t)
		got, err := built.CRI.Run(t.Context(), node.Pod{Name: "next", Image: reference})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(node.Result{Log: "newer\n"}, got); diff != "" {
			t.Errorf("the pulled image on top of the built layers (-want +got)\n%s", diff)
		}
		built.Stop(t)
	})
}

// fetchedBlobs lists the digests of the configs and layers that the registry was asked for.
func fetchedBlobs(server *registry.Server) []string {
	var digests []string
	for _, request := range server.Requests() {
		if _, digest, found := strings.Cut(request.Path, "/blobs/"); found {
			digests = append(digests, digest)
		}
	}
	slices.Sort(digests)
	return slices.Compact(digests)
}
