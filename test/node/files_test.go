//go:build node

package node_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// filesSeeds is how many random stacks of layers are merged.
const filesSeeds = 40

// TestNodeFilesAreThoseThatAContainerSees mounts a volume of the format Files as documented, and compares it with what
// containerd mounts for a container of the same image.
func TestNodeFilesAreThoseThatAContainerSees(t *testing.T) {
	server := startRegistry(t, registry.Options{})
	pushed := fill(t, server)
	disk := newUser(t).buildFormat(t, "Files", pushed.odd)
	pulled, _ := pull(t, node.NewestContainerd(t), pushed)
	layers := layersOf(t, pulled, pushed.odd)
	pulled.Stop(t)

	host := node.NewHost(t)
	host.AttachDisk(t, disk, "/dev/xvdf")
	scripts := documented(t, "sh")
	if len(scripts) != 1 {
		t.Fatalf("docs/node-user-data.md has %d shell blocks, want the one that mounts a volume of files", len(scripts))
	}
	host.Run(t, scripts[0])
	const mountpoint = "/mnt/models"
	if kind, options := host.MountOf(t, mountpoint); kind != "ext4" || !strings.HasPrefix(options, "ro,") {
		t.Errorf("at %s is mounted %q with %q, want ext4, only to be read", mountpoint, kind, options)
	}
	if read := host.Run(t, "cat "+mountpoint+"/etc/over "+mountpoint+"/srv/hidden/seen"); read != "upper\nabove an opaque directory\n" {
		t.Errorf("the host reads %q", read)
	}
	compareFiles(t, mountOverlay(t, layers), host.Path(mountpoint), func(d node.Difference) bool {
		switch {
		case d.Field == "mtime" && strings.HasPrefix(d.PulledFact("mode"), "04"):
			return true // what a pull stamps with its own time
		case d.Field == "xattr security.selinux" && d.Built == "":
			return true // a tar's own label is not to be believed
		}
		return false
	})
}

// layersOf returns the directories of the layers of an image that a node has, nearest first, as containerd would mount
// them.
func layersOf(t *testing.T, n *node.Node, reference string) []string {
	t.Helper()
	resolved, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, []string{platform})
	if err != nil {
		t.Fatal(err)
	}
	var chain []digest.Digest
	for _, layer := range resolved.Manifests[0].Layers {
		chain = append(chain, layer.DiffID)
	}
	// One command makes the view and says how to mount it: a view that nobody holds may be collected at any time.
	top := identity.ChainID(chain)
	mount := n.Ctr(t, "snapshots", "view", "--target", "/nowhere", "view-"+top.Encoded(), top.String())
	_, options, found := strings.Cut(mount, "lowerdir=")
	if !found {
		t.Fatalf("containerd would mount %q, want an overlay", mount)
	}
	lower, _, _ := strings.Cut(strings.TrimSpace(options), ",")
	return strings.Split(lower, ":")
}

// compareFiles compares what an overlay shows with what a volume has, but for the names that are the volume's own.
func compareFiles(t *testing.T, overlay, files string, permits func(node.Difference) bool) {
	t.Helper()
	const layer = "merged"
	want, err := node.ReadDirectory(layer, overlay)
	if err != nil {
		t.Fatal(err)
	}
	got, err := node.ReadDirectory(layer, files)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 2 {
		t.Errorf("the overlay shows nothing: %v", want)
	}
	for _, difference := range node.Compare(want, got) {
		path := strings.TrimPrefix(difference.Object.Name, layer+" ")
		top, _, _ := strings.Cut(path, "/")
		switch {
		case top == ".larder" || top == "lost+found":
		case difference.Field == "nlink" && (path == "." || strings.HasPrefix(difference.PulledFact("mode"), "04")):
			// Overlayfs gives merged directories one link, and the root has two directories more.
		case difference.Field == "nlink" && difference.Built < difference.Pulled:
			// Overlayfs counts the names that a file has in its layer, the volume those that are left.
		case permits(difference):
		default:
			t.Error(difference)
		}
	}
}

// TestNodeFilesOfRandomLayers merges random stacks of layers into volumes, and compares each with an overlay that the
// kernel mounts of what containerd unpacked.
func TestNodeFilesOfRandomLayers(t *testing.T) {
	apply := containerdsUnpacker(t)
	server := startRegistry(t, registry.Options{})
	u := newUser(t)
	host := node.NewHost(t)
	deep := 0
	for seed := range uint64(filesSeeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			layers := &stack{apply: apply, started: time.Now().Add(-time.Second), base: t.TempDir()}
			var made registry.Image
			made.Platform = platform
			var told bytes.Buffer
			for range 2 + random.IntN(6) {
				if blob := randomLayer(t, random); layers.compareNext(t, blob) {
					made.Layers = append(made.Layers, registry.Layer{Tar: blob, Compression: registry.Uncompressed})
					fmt.Fprintf(&told, "layer %d:\n%s", len(made.Layers), describe(blob))
				}
			}
			if len(made.Layers) < 2 {
				return // one directory is no overlay
			}
			deep++
			file := u.buildFormat(t, "Files", push(t, server, fmt.Sprintf("random:v%d", seed), made))
			device := fmt.Sprintf("/dev/disk%d", seed)
			host.AttachDisk(t, file, device)
			mountpoint := filepath.Join("/mnt", fmt.Sprint(seed))
			host.Run(t, "mkdir -p "+mountpoint+" && mount -t ext4 -o ro "+device+" "+mountpoint)
			compareFiles(t, mountOverlay(t, layers.directories), host.Path(mountpoint), func(d node.Difference) bool {
				return layers.permits(d)
			})
			if t.Failed() {
				t.Logf("it was:\n%s", told.String())
			}
		})
	}
	if deep < filesSeeds/2 {
		t.Errorf("the layers say little: %d of %d stacks have two or more", deep, filesSeeds)
	}
}

// mountOverlay mounts what containerd would for a container of layers, nearest first, and returns where. In a directory
// that one layer alone has, overlayfs lists the whiteouts and then denies that they exist: those are removed before.
func mountOverlay(t *testing.T, directories []string) string {
	t.Helper()
	target := t.TempDir()
	mount := func() {
		if err := unix.Mount("overlay", target, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(directories, ":")); err != nil {
			t.Fatalf("mounting an overlay of %d layers: %v", len(directories), err)
		}
	}
	unmount := func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Error(err)
		}
	}
	mount()
	listed := listedOnly(t, target)
	unmount()
	for _, name := range listed {
		for _, directory := range directories {
			if info, err := os.Lstat(filepath.Join(directory, name)); err == nil && info.Mode().Type() == fs.ModeDevice|fs.ModeCharDevice {
				if err := os.Remove(filepath.Join(directory, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	mount()
	t.Cleanup(unmount)
	return target
}

// listedOnly returns the names below a directory that are listed and do not exist.
func listedOnly(t *testing.T, directory string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(directory, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			found = append(found, strings.TrimPrefix(path, directory))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
