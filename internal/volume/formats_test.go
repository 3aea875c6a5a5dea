package volume_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/registry"
)

// makeFormat makes a volume of a format in a file, upon a parent if one is given.
func (f *fixture) makeFormat(t *testing.T, format volume.Format, images []image.Image, size int64, parent *volume.Parent) (string, *volume.Result, error) {
	t.Helper()
	return f.make(t, volume.Request{Format: format, Images: images, Size: size, Parent: parent})
}

// onlyAMD64 returns images without those of other platforms.
func onlyAMD64(images []image.Image) []image.Image {
	for i := range images {
		images[i].Manifests = slices.DeleteFunc(images[i].Manifests, func(m image.Manifest) bool { return m.Platform != "linux/amd64" })
	}
	return images
}

// openBare opens the filesystem of a disk without a partition table, which e2fsck finds nothing to mend in.
func openBare(t *testing.T, disk string) *ext4.Reader {
	t.Helper()
	run(t, "e2fsck", "-fn", disk)
	file, err := os.Open(disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	filesystem, err := ext4.Open(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if size := filesystem.Superblock().Size; size != info.Size() {
		t.Errorf("the filesystem has %d bytes of the disk's %d", size, info.Size())
	}
	return filesystem
}

// walk calls visit with every name below a directory of a filesystem.
func walk(t *testing.T, filesystem *ext4.Reader, directory string, visit func(name string, entry ext4.Entry)) {
	t.Helper()
	entries, err := filesystem.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := path.Join(directory, entry.Name)
		visit(name, entry)
		if entry.Type == tree.TypeDirectory {
			walk(t, filesystem, name, visit)
		}
	}
}

// names lists a filesystem's directory.
func names(t *testing.T, filesystem *ext4.Reader, directory string) []string {
	t.Helper()
	entries, err := filesystem.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name)
	}
	return found
}

func TestContainerdVolumeIsContainerdsRootAndNothingElse(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := f.samples(t)
	disk, result, err := f.makeFormat(t, volume.Containerd, images, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	filesystem := openBare(t, disk)
	want := []string{".larder", "io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt",
		"io.containerd.snapshotter.v1.overlayfs", "lost+found"}
	if diff := cmp.Diff(want, names(t, filesystem, "/")); diff != "" {
		t.Errorf("the filesystem's root (-want +got):\n%s", diff)
	}
	walk(t, filesystem, "/", func(name string, _ ext4.Entry) {
		node, err := filesystem.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if label := node.Xattrs["security.selinux"]; label != "" {
			t.Errorf("%s has the label %q, which is Bottlerocket's", name, label)
		}
	})
	contents := inspect(t, disk)
	if contents.Format != volume.Containerd || contents.Size != 3<<30 || contents.Used == 0 || len(contents.Images) != len(images) {
		t.Errorf("inspect says %+v", contents)
	}
	for _, img := range contents.Images {
		if !img.Pinned || img.Directory != "" {
			t.Errorf("inspect says %+v, want a pinned image", img)
		}
	}
	if result.Layout.Format != volume.Containerd {
		t.Errorf("the layout record has the format %q", result.Layout.Format)
	}
}

// TestContainerdVolumeUponItsParent grows a volume: the filesystem ends where the disk does, and what was there stays.
func TestContainerdVolumeUponItsParent(t *testing.T) {
	f := newFixture(t, registry.Options{})
	first := f.push(t, "app/one:v1", named("one"))
	parent, _, err := f.makeFormat(t, volume.Containerd, []image.Image{first}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	second := f.push(t, "app/two:v1", named("two"))
	child, result, err := f.makeFormat(t, volume.Containerd, []image.Image{first, second}, 3, stored(t, parent))
	if err != nil {
		t.Fatal(err)
	}
	if result.WithoutParent != nil || result.Kept != 2 {
		t.Errorf("%d layers stayed, without the parent: %v; want 2 upon it", result.Kept, result.WithoutParent)
	}
	openBare(t, child)
	if found := inspect(t, child).Images; len(found) != 2 {
		t.Errorf("inspect lists %+v, want both images", found)
	}
}

func TestParentOfAnotherFormatIsNotUsed(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := []image.Image{f.push(t, "app:v1", named("one"))}
	disks := map[volume.Format]string{}
	for _, format := range volume.Formats() {
		var err error
		if disks[format], _, err = f.makeFormat(t, format, images, 2, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range volume.Formats() {
		for of, disk := range disks {
			want := fmt.Sprintf("parent disk.img cannot be built upon: it has the format %s", of)
			if format == volume.Files {
				want = "parent disk.img cannot be built upon: a volume of the format Files is always built in full"
			} else if format == of {
				continue
			}
			_, result, err := f.makeFormat(t, format, images, 2, stored(t, disk))
			if err != nil {
				t.Fatal(err)
			}
			if result.WithoutParent == nil || result.WithoutParent.Error() != want || result.Kept != 0 {
				t.Errorf("%s upon %s: %d layers stayed, %v; want %q", format, of, result.Kept, result.WithoutParent, want)
			}
		}
	}
}

// TestFormatsHaveIdentifiersOfTheirOwn is about a node that has one volume of each: their filesystems must not be taken for one.
func TestFormatsHaveIdentifiersOfTheirOwn(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := []image.Image{f.push(t, "app:v1", named("one"))}
	found := map[string]volume.Format{}
	for _, format := range volume.Formats() {
		_, result, err := f.makeFormat(t, format, images, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		id := result.Layout.Lineage.Filesystem.String()
		if other, taken := found[id]; taken {
			t.Errorf("%s and %s have the filesystem UUID %s", other, format, id)
		}
		found[id] = format
	}
}

func TestFormatThatIsNotKnown(t *testing.T) {
	f := newFixture(t, registry.Options{})
	_, _, err := f.makeFormat(t, "Docker", nil, 2, nil)
	if err == nil || !strings.Contains(err.Error(), "give one of Bottlerocket, Containerd, Files") {
		t.Errorf("got %v, want an error that lists the formats", err)
	}
}

// TestFormatsDoNotDependOnTiming: each format's volume of the same images has the same bytes.
func TestFormatsDoNotDependOnTiming(t *testing.T) {
	var address string
	want := map[volume.Format]map[int64][sha256.Size]byte{}
	for _, options := range []registry.Options{{}, {MaxDelay: 50 * time.Millisecond, Seed: 1}} {
		options.Address = address // it is in the images' names
		f := newFixture(t, options)
		address = f.server.Host()
		for _, format := range []volume.Format{volume.Containerd, volume.Files} {
			disk := newMemoryDisk(t)
			request := disk.request(onlyAMD64(f.samples(t)), f.client, 2)
			request.Format = format
			if _, err := volume.Make(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			if want[format] == nil {
				want[format] = disk.blocks
			}
			if !maps.Equal(want[format], disk.blocks) {
				t.Errorf("%s: the disk differs from the first one", format)
			}
		}
		if err := f.server.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestParentWhoseRecordIsOfAnotherDisk(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := []image.Image{f.push(t, "app:v1", named("one"))}
	disk, _, err := f.makeFormat(t, volume.Bottlerocket, images, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := edited(stored(t, disk), `"format":"Bottlerocket"`, `"format":"Containerd"  `)
	_, result, err := f.makeFormat(t, volume.Containerd, images, 2, claims)
	if err != nil {
		t.Fatal(err)
	}
	if why := result.WithoutParent; why == nil || !strings.Contains(why.Error(), "begins at byte 1048576") {
		t.Errorf("built without the parent because of %v, want where its filesystem is", why)
	}
}
