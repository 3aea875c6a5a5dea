package layer

import (
	"archive/tar"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInherit(t *testing.T) {
	owned := func(uid, gid int) func(*tar.Header) {
		return func(h *tar.Header) { h.Uid, h.Gid = uid, gid }
	}
	cases := map[string]struct {
		reason string
		layers [][]entry
		want   map[string]string
	}{
		"from the nearest": {
			reason: "the first lower layer that has the directory gives owner, mode, times and attributes",
			layers: [][]entry{
				{directory("a", 0o700), directory("a/b", 0o711).with(owned(1, 2)).xattr("user.k", "v")},
				{directory("a", 0o750).with(owned(3, 4))},
				{file("a/b/c", "1")},
			},
			want: map[string]string{".": emptyRoot, "a": "040750 3:4 @1000", "a/b": `040711 1:2 @1000 user.k="v"`, "a/b/c": `100644 0:0 @1000 "1"`},
		},
		"through a layer that inherited": {
			reason: "an implicit parent in between passes on what it took itself",
			layers: [][]entry{{directory("a", 0o700).with(owned(5, 6))}, {file("a/x", "1")}, {file("a/y", "2")}},
			want:   map[string]string{".": emptyRoot, "a": "040700 5:6 @1000", "a/y": `100644 0:0 @1000 "2"`},
		},
		"through the lower layer's links": {
			reason: "the path is resolved in each lower layer's own tree",
			layers: [][]entry{{directory("usr/lib", 0o700), symlink("lib", "/usr/lib")}, {file("lib/x", "1")}},
			want:   map[string]string{".": emptyRoot, "lib": "040700 0:0 @1000", "lib/x": `100644 0:0 @1000 "1"`},
		},
		"a file ends the search": {
			reason: "what is below it was replaced",
			layers: [][]entry{{directory("a", 0o700), directory("a/b", 0o700)}, {file("a", "file")}, {file("a/b/c", "1")}},
			want:   map[string]string{".": emptyRoot, "a": "040755 0:0 @0", "a/b": "040755 0:0 @0", "a/b/c": `100644 0:0 @1000 "1"`},
		},
		"a whiteout ends the search": {
			reason: "what is below it was deleted",
			layers: [][]entry{{directory("a", 0o700)}, {file(".wh.a", "")}, {file("a/b", "1")}},
			want:   map[string]string{".": emptyRoot, "a": "040755 0:0 @0", "a/b": `100644 0:0 @1000 "1"`},
		},
		"an opaque directory does not": {
			reason: "containerd looks for the path alone, and the mark itself is not passed on",
			layers: [][]entry{
				{directory("a/b", 0o700)},
				{directory("a", 0o711), file("a/.wh..wh..opq", "")},
				{file("a/b/c", "1")},
			},
			want: map[string]string{".": emptyRoot, "a": "040711 0:0 @1000", "a/b": "040700 0:0 @1000", "a/b/c": `100644 0:0 @1000 "1"`},
		},
		"a later entry for the parent": {
			reason: "its owner, mode and times count, and attributes from below that it does not have stay",
			layers: [][]entry{
				{directory("a", 0o700).with(owned(1, 1)).xattr("user.low", "1").xattr("user.both", "low")},
				{file("a/b", "1"), directory("a", 0o750).xattr("user.both", "high")},
			},
			want: map[string]string{".": emptyRoot, "a": `040750 0:0 @1000 user.both="high" user.low="1"`, "a/b": `100644 0:0 @1000 "1"`},
		},
		"group of a setgid parent": {
			reason: "the kernel hands it on to a directory that has no model below",
			layers: [][]entry{{directory("mail", 0o2775).with(owned(0, 8))}, {file("mail/new/dir/f", "1"), file("other/f", "2")}},
			want: map[string]string{
				".": emptyRoot, "mail": "042775 0:8 @1000", "mail/new": "040755 0:8 @0", "mail/new/dir": "040755 0:0 @0",
				"mail/new/dir/f": `100644 0:0 @1000 "1"`, "other": "040755 0:0 @0", "other/f": `100644 0:0 @1000 "2"`,
			},
		},
		"group of an explicit setgid parent": {
			reason: "it counts in the layer itself as well",
			layers: [][]entry{{}, {directory("mail", 0o2775).with(owned(0, 8)), file("mail/new/f", "1")}},
			want:   map[string]string{".": emptyRoot, "mail": "042775 0:8 @1000", "mail/new": "040755 0:8 @0", "mail/new/f": `100644 0:0 @1000 "1"`},
		},
		"times through a link that replaced a directory": {
			reason: "containerd sets a directory's times by name at the end, wherever that leads by then",
			layers: [][]entry{
				{directory("c", 0o700)},
				{file("c/f", "1"), directory("d", 0o755).with(func(h *tar.Header) { h.ModTime = time.Unix(2000, 0) }), symlink("d", "c")},
			},
			want: map[string]string{".": emptyRoot, "c": "040700 0:0 @2000", "c/f": `100644 0:0 @1000 "1"`, "d": "120777 0:0 @1000 -> c"},
		},
		"a whiteout's parent": {
			reason: "it has to be there, and looks as below",
			layers: [][]entry{{directory("a", 0o700), file("a/b", "1")}, {file("a/.wh.b", "")}},
			want:   map[string]string{".": emptyRoot, "a": "040700 0:0 @1000", "a/b": "020000 0:0 @0 0,0"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			top, store := chain(t, c.layers...)
			if difference := cmp.Diff(c.want, list(top.Root(), store)); difference != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, difference)
			}
		})
	}
}

func TestInheritWrongly(t *testing.T) {
	bottom, _ := mustRead(t, true, file("a", "1"))
	middle, _ := mustRead(t, false, file("b/c", "1"))
	top, _ := mustRead(t, false, file("b/d", "1"))
	if err := bottom.Inherit([]Lower{middle}); err == nil {
		t.Error("the bottom layer inherited")
	}
	if err := middle.Inherit(nil); err == nil {
		t.Error("a layer above the bottom inherited from nothing: its whiteouts have been read for a lower layer")
	}
	if err := top.Inherit([]Lower{middle, bottom}); err == nil {
		t.Error("a layer inherited from one that had not inherited yet")
	}
	if err := middle.Inherit([]Lower{bottom}); err != nil {
		t.Error(err)
	}
	if err := middle.Inherit([]Lower{bottom}); err == nil {
		t.Error("a layer inherited twice: it belongs to one chain")
	}
	if err := bottom.Inherit(nil); err != nil {
		t.Errorf("the bottom layer has nothing to inherit, which is no error: %v", err)
	}
}

func TestInheritThroughACircle(t *testing.T) {
	bottom, _ := mustRead(t, true, symlink("a", "b"), symlink("b", "a"))
	top, _ := mustRead(t, false, file("a/c", "1"))
	var bad *EntryError
	if err := top.Inherit([]Lower{bottom}); !errors.As(err, &bad) || bad.Entry != "a" {
		t.Errorf("got error %v, want an EntryError about the directory %q", err, "a")
	}
}

func TestInheritedSaysWhatTheTreeDependsOn(t *testing.T) {
	bottom := []entry{
		directory("a", 0o700).with(func(h *tar.Header) { h.Uid = 1; h.Gid = 2 }).xattr("user.k", "\xff"),
		directory("unused", 0o700),
	}
	opaque := []entry{file("a/.wh..wh..opq", "")}
	top, _ := chain(t, bottom, opaque, []entry{file("a/b/c", "1")})
	want := []Inherited{
		{Path: []byte("a"), Found: true, Mode: 0o040700, UID: 1, GID: 2, Modified: stamp, Accessed: stamp, Xattrs: []InheritedXattr{{[]byte("user.k"), []byte("\xff")}}},
		{Path: []byte("a/b")},
	}
	if difference := cmp.Diff(want, top.Inherited()); difference != "" {
		t.Errorf("-want +got:\n%s", difference)
	}
}
