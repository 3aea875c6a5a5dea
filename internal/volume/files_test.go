package volume_test

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/registry"
)

// describeFiles says what each file below a directory is, but for what every volume has at its root.
func describeFiles(t *testing.T, filesystem *ext4.Reader, directory string) map[string]string {
	t.Helper()
	found := map[string]string{}
	firsts := map[uint32]string{}
	walk(t, filesystem, directory, func(name string, entry ext4.Entry) {
		relative := strings.TrimPrefix(strings.TrimPrefix(name, directory), "/")
		if top, _, _ := strings.Cut(relative, "/"); top == ".larder" || top == "lost+found" {
			return
		}
		node, err := filesystem.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%o %d:%d", node.Mode, node.UID, node.GID)
		for _, xattr := range slices.Sorted(maps.Keys(node.Xattrs)) {
			text += fmt.Sprintf(" %s=%q", xattr, node.Xattrs[xattr])
		}
		switch entry.Type {
		case tree.TypeRegular:
			text += " " + content(t, filesystem, name)
		case tree.TypeSymlink:
			text += " -> " + node.Target()
		}
		if first, linked := firsts[entry.Inode]; linked {
			text = "same as " + first
		} else {
			firsts[entry.Inode] = relative
		}
		found[relative] = text
	})
	return found
}

func content(t *testing.T, filesystem *ext4.Reader, name string) string {
	t.Helper()
	file, err := filesystem.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 64 {
		return fmt.Sprintf("%d bytes, %x", len(data), sha256.Sum256(data))
	}
	return fmt.Sprintf("%q", data)
}

// layered is an image whose upper layers take back, replace and hide what the lower ones have.
func layered() registry.Image {
	large := strings.Repeat("replaced\n", 200_000)
	return registry.Image{Layers: []registry.Layer{
		{Entries: []registry.Entry{
			{Name: "model/", Mode: 0o750, UID: 70_000, GID: 7},
			{Name: "model/weights", Mode: 0o640, UID: 70_000, GID: 7, Content: []byte("old")},
			{Name: "model/large", Content: []byte(large)},
			{Name: "model/link", Type: tar.TypeLink, Link: "model/weights", Mode: 0o640, UID: 70_000, GID: 7},
			{Name: "model/again", Type: tar.TypeLink, Link: "model/weights", Mode: 0o640, UID: 70_000, GID: 7},
			{Name: "gone/a/b", Content: []byte("below a whiteout")},
			{Name: "hidden/lower", Content: []byte("below an opaque directory")},
			{Name: "kept/lower", Content: []byte("kept")},
			{Name: "file", Content: []byte("a file")},
			{Name: "directory/inner", Content: []byte("inner")},
			{Name: "dev/null", Type: tar.TypeChar, Mode: 0o666, Major: 1, Minor: 3},
		}},
		{Entries: []registry.Entry{
			{Name: "model/weights", Mode: 0o600, UID: 70_000, GID: 7, Content: []byte("new")},
			{Name: "model/large", Content: []byte("small")},
			registry.Whiteout("gone"),
			{Name: "hidden/", Mode: 0o711}, registry.Opaque("hidden"),
			{Name: "hidden/upper", Content: []byte("above")},
			{Name: "kept/upper", Content: []byte("too")},
			{Name: "file/", Mode: 0o700}, {Name: "file/now", Content: []byte("in a directory")},
			{Name: "directory", Content: []byte("now a file")},
			{Name: "new", Mode: 0o4755, Content: []byte("new"), Xattrs: map[string]string{"user.color": "blue"}},
			{Name: "other-name", Type: tar.TypeLink, Link: "new", Mode: 0o4755},
		}},
		{Entries: []registry.Entry{
			{Name: "gone/", Mode: 0o755}, {Name: "gone/back", Content: []byte("back")},
			registry.Whiteout("model/again"),
			{Name: "symlink", Type: tar.TypeSymlink, Link: "model/weights"},
		}},
	}}
}

// layeredFiles is what a container of that image would see.
var layeredFiles = map[string]string{
	"dev":           "40755 0:0",
	"dev/null":      "20666 0:0",
	"directory":     `100644 0:0 "now a file"`,
	"file":          "40700 0:0",
	"file/now":      `100644 0:0 "in a directory"`,
	"gone":          "40755 0:0",
	"gone/back":     `100644 0:0 "back"`,
	"hidden":        "40711 0:0",
	"hidden/upper":  `100644 0:0 "above"`,
	"kept":          "40755 0:0",
	"kept/lower":    `100644 0:0 "kept"`,
	"kept/upper":    `100644 0:0 "too"`,
	"model":         "40750 70000:7",
	"model/large":   `100644 0:0 "small"`,
	"model/link":    `100640 70000:7 "old"`,
	"model/weights": `100600 70000:7 "new"`,
	"new":           `104755 0:0 user.color="blue" "new"`,
	"other-name":    "same as new",
	"symlink":       "120777 0:0 -> model/weights",
}

func TestFilesOfOneImageAreAtTheRoot(t *testing.T) {
	f := newFixture(t, registry.Options{})
	img := f.push(t, "team/model:v1", layered())
	disk, result, err := f.makeFormat(t, volume.Files, []image.Image{img}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	filesystem := openBare(t, disk)
	if diff := cmp.Diff(layeredFiles, describeFiles(t, filesystem, "/")); diff != "" {
		t.Errorf("the files (-want +got):\n%s", diff)
	}
	if result.Layers != 3 || result.WithoutParent != nil {
		t.Errorf("%d layers, without a parent: %v; want 3 and no word of a parent", result.Layers, result.WithoutParent)
	}
	contents := inspect(t, disk)
	want := []volume.ContentsImage{{
		Names: []string{img.Reference}, Digest: img.Target.Digest, Directory: "/", Platforms: []string{"linux/amd64"},
		Size: contents.Images[0].Size,
	}}
	if diff := cmp.Diff(want, contents.Images); diff != "" || contents.Format != volume.Files || contents.Used < 10*4096 {
		t.Errorf("inspect says %+v (-want +got):\n%s", contents, diff)
	}
}

func TestFilesOfSeveralImagesHaveDirectories(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := append(onlyAMD64(f.samples(t)), f.push(t, "team/model:v1", layered()))
	byDigest := f.push(t, "team/model:v2", registry.Image{Layers: layered().Layers[:1]})
	byDigest.Tag = ""
	images = append(images, byDigest)
	disk, _, err := f.makeFormat(t, volume.Files, images, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	filesystem := openBare(t, disk)
	host := strings.ReplaceAll(f.server.Host(), ":", "_")
	digest := strings.ReplaceAll(byDigest.Target.Digest.String(), ":", "_")
	if diff := cmp.Diff(layeredFiles, describeFiles(t, filesystem, "/"+host+"/team/model/v1")); diff != "" {
		t.Errorf("the files of one image of several (-want +got):\n%s", diff)
	}
	want := []string{
		"/" + host + "/samples/service/1.4.2", "/" + host + "/samples/tools/2026.1",
		"/" + host + "/team/model/v1", "/" + host + "/team/model/" + digest,
	}
	var got []string
	for _, img := range inspect(t, disk).Images {
		got = append(got, img.Directory)
		if len(names(t, filesystem, img.Directory)) == 0 {
			t.Errorf("%s is empty", img.Directory)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the directories (-want +got):\n%s", diff)
	}
}

func TestFilesThatCannotBeOnOneVolume(t *testing.T) {
	f := newFixture(t, registry.Options{})
	app := f.push(t, "app:v1", named("one"))
	within := f.push(t, "app/v1/x:v2", named("two"))
	other := app
	other.Reference = "the same under another name"
	both := f.samples(t)[0]
	record := f.push(t, "record:v1", registry.Image{Layers: []registry.Layer{{Entries: []registry.Entry{{Name: ".larder/layout.json"}}}}})
	lost := f.push(t, "lost:v1", registry.Image{Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "lost+found"}}}}})
	cases := map[string]struct {
		images []image.Image
		want   string
	}{
		"twice":                  {[]image.Image{app, other}, app.Reference + " and the same under another name are both /"},
		"one within another":     {[]image.Image{within, app}, "is inside that of " + app.Reference},
		"two platforms":          {[]image.Image{both}, "wanted for linux/amd64 and linux/arm64: ask for one of them"},
		"the record's name":      {[]image.Image{record}, "image " + record.Reference + ": it has a /.larder"},
		"no place for lost ones": {[]image.Image{lost}, "it has a /lost+found that is no directory"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			disk, _, err := f.makeFormat(t, volume.Files, c.images, 2, nil)
			if err == nil || !strings.Contains(err.Error(), "format Files: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error of the format that says %q", err, c.want)
			}
			if left, _ := os.ReadDir(filepath.Dir(disk)); len(left) != 0 {
				t.Errorf("%v is left behind", left)
			}
		})
	}
}

// TestFilesOfAnAwkwardRoot: what ext4 and Larder have at the root is no reason to refuse an image that can do with it.
func TestFilesOfAnAwkwardRoot(t *testing.T) {
	f := newFixture(t, registry.Options{})
	for name, c := range map[string]struct {
		layers []registry.Layer
		want   map[string]string
	}{
		"no layers": {nil, map[string]string{}},
		"an opaque root": {[]registry.Layer{
			{Entries: []registry.Entry{{Name: "lower"}}},
			{Entries: []registry.Entry{registry.Opaque(""), {Name: "upper"}}},
		}, map[string]string{"upper": `100644 0:0 ""`}},
		"its own lost+found": {[]registry.Layer{
			{Entries: []registry.Entry{{Name: "lost+found/", Mode: 0o700}, {Name: "a"}}},
		}, map[string]string{"a": `100644 0:0 ""`}},
	} {
		t.Run(name, func(t *testing.T) {
			disk, _, err := f.makeFormat(t, volume.Files, []image.Image{f.push(t, "awkward:v1", registry.Image{Layers: c.layers})}, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, describeFiles(t, openBare(t, disk), "/")); diff != "" {
				t.Errorf("the files (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFilesFreeWhatIsReplaced: a replaced file's blocks were written before the layer above was read.
func TestFilesFreeWhatIsReplaced(t *testing.T) {
	f := newFixture(t, registry.Options{})
	disk, _, err := f.makeFormat(t, volume.Files, []image.Image{f.push(t, "team/model:v1", layered())}, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	used := inspect(t, disk).Used
	if used > 256<<10 {
		t.Errorf("the files take %d bytes: those that an upper layer replaced are among them", used)
	}
	openBare(t, disk)
}
