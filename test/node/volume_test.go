//go:build node

package node_test

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// TestNodeRunsFromBuiltVolume starts a node on a volume that `larder build` wrote, with the registry stopped.
func TestNodeRunsFromBuiltVolume(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	user := newUser(t)
	files := map[string]string{} // by version: each leaves its traces on its own
	for _, containerd := range node.Containerds(t) {
		files[containerd.Version] = user.build(t, pushed.all(), platform)
	}
	stopForGood(t, server)
	asked := len(server.Requests())
	onEachContainerd(t, func(t *testing.T, containerd node.Containerd) {
		runFromVolume(t, containerd, files[containerd.Version], pushed)
	})
	if requests := server.Requests(); len(requests) != asked {
		t.Errorf("the registry was asked after it had been stopped: %v", requests[asked:])
	}
}

func runFromVolume(t *testing.T, containerd node.Containerd, file string, pushed images) {
	disk := node.AttachDisk(t, file)
	options := node.Options{Containerd: containerd, Root: disk.ContainerdRoot(), SandboxImage: pushed.pause}
	built := node.Start(t, options)
	checkUnpacked(t, built, pushed)
	checkPinned(t, built, pushed)
	before := inventory(t, built)
	checkContainers(t, built, pushed)
	built.CollectGarbage(t)
	if diff := cmp.Diff(before, inventory(t, built)); diff != "" {
		t.Errorf("garbage collection changed what is on the volume (-before +after)\n%s", diff)
	}
	built.Stop(t)

	restarted := node.Start(t, options)
	restarted.CollectGarbage(t)
	if diff := cmp.Diff(before, inventory(t, restarted)); diff != "" {
		t.Errorf("a restart changed what is on the volume (-before +after)\n%s", diff)
	}
	checkContainers(t, restarted, pushed)
	restarted.Stop(t)
	disk.Detach(t)
}

// stopForGood stops a registry and shows that its port is closed.
func stopForGood(t *testing.T, server *registry.Server) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{Timeout: time.Second}
	connection, err := dialer.DialContext(t.Context(), "tcp", server.Host())
	if err == nil {
		connection.Close()
		t.Fatalf("the stopped registry still listens on %s", server.Host())
	}
}

// checkPinned asks CRI whether kubelet would keep every image.
func checkPinned(t *testing.T, n *node.Node, pushed images) {
	t.Helper()
	listed, err := n.CRI.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) != len(pushed.all()) {
		t.Errorf("CRI lists %d images, want %d: %v", len(listed), len(pushed.all()), listed)
	}
	for _, image := range listed {
		if !image.GetPinned() {
			t.Errorf("image %v is not pinned: kubelet may remove it", image.GetRepoTags())
		}
	}
}

// inventory is all that garbage collection could take: lines of images, blobs, snapshots and leases.
func inventory(t *testing.T, n *node.Node) map[string][]string {
	t.Helper()
	lists := map[string][]string{}
	for kind, arguments := range map[string][]string{
		"images":    {"images", "list", "--quiet"},
		"blobs":     {"content", "list", "--quiet"},
		"snapshots": {"snapshots", "list"},
		"leases":    {"leases", "list", "--quiet"},
	} {
		lists[kind] = strings.Split(strings.TrimSpace(n.Ctr(t, arguments...)), "\n")
		slices.Sort(lists[kind])
	}
	return lists
}

// TestNodeBuiltVolumeIsWhatAPullMakes compares a volume with what containerd pulls of the same images: every
// record, blob and file, with the differences that are meant listed beside their reasons.
func TestNodeBuiltVolumeIsWhatAPullMakes(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	disk := node.AttachDisk(t, newUser(t).build(t, pushed.all(), platform))
	built := node.ReadStore(t, disk.ContainerdRoot())
	onEachContainerd(t, func(t *testing.T, containerd node.Containerd) {
		started := time.Now()
		pulled, root := pull(t, containerd, pushed)
		pulled.Stop(t)
		node.CheckDifferences(t, node.Compare(node.ReadStore(t, root), built), permissions(containerd, started))
	})
}

// stargzLabels are what the pull of an eStargz layer labels its snapshot with.
const stargzLabels = "label containerd.io/snapshot/stargz/*"

// permissions are the differences that a built volume may show against a pull that began at the given time.
func permissions(containerd node.Containerd, pullStarted time.Time) []node.Permission {
	list := permissionsOfAll(pullStarted)
	labelsUnpacked := !slices.ContainsFunc([]string{"1.7.", "2.1.", "2.2."}, func(line string) bool {
		return strings.HasPrefix(containerd.Version, line)
	})
	if labelsUnpacked {
		list = append(list, node.Permission{
			Kind: "snapshot", Field: "label containerd.io/snapshot/diff-id",
			When:   func(d node.Difference) bool { return d.Built == "" },
			Reason: "only the erofs snapshotter reads it, while it unpacks",
		}, node.Permission{
			Kind: "snapshot", Field: "label containerd.io/snapshot/parent-chain-id",
			When:   func(d node.Difference) bool { return d.Built == "" },
			Reason: "nothing in containerd reads it; the parent itself is recorded, and compared",
		})
	}
	return list
}

func permissionsOfAll(pullStarted time.Time) []node.Permission {
	return []node.Permission{
		{
			Kind: "image", Field: "label io.cri-containerd.pinned",
			When:   func(d node.Difference) bool { return d.Pulled == "" && d.Built == "pinned" },
			Reason: "a volume pins all images, so that kubelet never collects them; a pull pins the sandbox image alone",
		},
		{
			Kind: "blob", Field: "existence",
			When: func(d node.Difference) bool {
				return d.Built == "absent" && d.PulledFact("label containerd.io/uncompressed") != ""
			},
			Reason: "the blobs of unpacked layers are of no use to a node, and would double the volume",
		},
		{
			Kind: "blob", Field: "label containerd.io/gc.ref.content.l.*",
			When:   func(d node.Difference) bool { return d.Built == "" },
			Reason: "a manifest holds on to no layer blob where there is none: so does a pull that discards unpacked layers",
		},
		{
			Kind: "snapshot", Field: stargzLabels,
			When:   func(d node.Difference) bool { return d.Built == "" },
			Reason: "only the stargz snapshotter reads it, which mounts layers instead of unpacking them",
		},
		{
			Kind: "entry", Field: "xattr security.selinux",
			When:   func(d node.Difference) bool { return strings.Contains(d.Built, ":cache_t:") },
			Reason: "Bottlerocket does not label what is on its data volume, and what has no label there is writable by containers; a tar's own label is not to be believed",
		},
		{
			Kind: "entry", Field: "mtime",
			When:   func(d node.Difference) bool { return setByClock(d, pullStarted) },
			Reason: "containerd leaves the time of the pull on whiteouts, on directories that no tar names and on a snapshot's root; a volume's bytes do not depend on the clock",
		},
	}
}

// setByClock tells whether an entry is a directory or a whiteout that has the time of the pull.
func setByClock(d node.Difference, pullStarted time.Time) bool {
	modified, err := time.Parse(time.RFC3339Nano, d.Pulled)
	if err != nil || modified.Before(pullStarted.Truncate(time.Second)) {
		return false
	}
	mode := d.PulledFact("mode")
	whiteout := mode == "020000" && d.PulledFact("rdev") == "0"
	return whiteout || strings.HasPrefix(mode, "04")
}

// TestNodeVolumeIsDeterministic builds the same images with one and with four processors, and with a registry that
// answers late and in another order: the disks have the same bytes.
func TestNodeVolumeIsDeterministic(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	user := newUser(t)
	want := blockDigests(t, user.build(t, pushed.all(), platform, "GOMAXPROCS=1"))
	compare := func(reason, file string) {
		t.Helper()
		if diff := cmp.Diff(want, blockDigests(t, file)); diff != "" {
			t.Errorf("%s: blocks of 512 KiB differ (-want +got)\n%s", reason, diff)
		}
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
	compare("four processors", user.build(t, pushed.all(), platform, "GOMAXPROCS=4"))
	stopForGood(t, server)
	for _, seed := range []uint64{1, 2, 3} {
		// At the same address: that is part of the images' names, and so of the volume.
		slow := startRegistry(t, registry.Options{Address: server.Host(), MaxDelay: 300 * time.Millisecond, Seed: seed})
		fill(t, slow)
		compare("a registry with delays", user.build(t, pushed.all(), platform, "GOMAXPROCS=4"))
		stopForGood(t, slow)
	}
}
