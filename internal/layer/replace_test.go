package layer

import (
	"archive/tar"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReplacing has entries that meet others, of their own layer and of those below.
func TestReplacing(t *testing.T) {
	cases := map[string]struct {
		reason string
		layers [][]entry
		want   map[string]string
	}{
		"a file by a directory, across layers": {
			reason: "the upper layer's tree has the directory alone, which has nothing to do with the file",
			layers: [][]entry{{file("a", "1")}, {directory("a", 0o700), file("a/b/c", "2")}},
			want:   map[string]string{".": emptyRoot, "a": "040700 0:0 @1000", "a/b": "040755 0:0 @0", "a/b/c": `100644 0:0 @1000 "2"`},
		},
		"and back again": {
			reason: "a directory two layers below does not shine through the file between",
			layers: [][]entry{{directory("a", 0o700), file("a/b", "1")}, {file("a", "2")}, {file("a/b", "3")}},
			want:   map[string]string{".": emptyRoot, "a": "040755 0:0 @0", "a/b": `100644 0:0 @1000 "3"`},
		},
		"a directory with a hard link in it": {
			reason: "the file that the link shared stays under its other name",
			layers: [][]entry{{file("a", "1"), hardlink("d/b", "a"), hardlink("d/e/c", "a"), file("d", "2")}},
			want:   map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "1"`, "d": `100644 0:0 @1000 "2"`},
		},
		"the target of a hard link": {
			reason: "the link keeps the old file, and a later link has the new one",
			layers: [][]entry{{file("a", "old"), hardlink("b", "a"), file("a", "new"), hardlink("c", "a")}},
			want: map[string]string{
				".": emptyRoot, "a": `100644 0:0 @1000 "new" links=2`, "b": `100644 0:0 @1000 "old"`, "c": `100644 0:0 @1000 "new" links=2`,
			},
		},
		"a hard link by itself": {
			reason: "the name goes first, and the other one is still there",
			layers: [][]entry{{file("a", "1"), hardlink("b", "a"), hardlink("b", "a"), hardlink("a", "b")}},
			want:   map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "1" links=2`, "b": `100644 0:0 @1000 "1" links=2`},
		},
		"hard links through linked parents": {
			reason: "both the name and the target lead through the layer's own symbolic links",
			layers: [][]entry{{
				directory("usr/lib", 0o755), symlink("lib", "usr/lib"), symlink("usr/here", "../lib/."), file("usr/lib/a", "1"),
				hardlink("lib/b", "usr/here/a"), hardlink("c", "/lib/../lib/b"),
			}},
			want: map[string]string{
				".": emptyRoot, "usr": "040755 0:0 @0", "usr/lib": "040755 0:0 @1000", "lib": "120777 0:0 @1000 -> usr/lib",
				"usr/here": "120777 0:0 @1000 -> ../lib/.", "usr/lib/a": `100644 0:0 @1000 "1" links=3`,
				"usr/lib/b": `100644 0:0 @1000 "1" links=3`, "c": `100644 0:0 @1000 "1" links=3`,
			},
		},
		"before and after an opaque marker": {
			reason: "it hides what is below, never what its own layer brings",
			layers: [][]entry{
				{file("d/low", "1")},
				{file("d/before", "2"), file("d/.wh..wh..opq", ""), file("d/after", "3"), directory("d", 0o711)},
			},
			want: map[string]string{
				".": emptyRoot, "d": `040711 0:0 @1000 trusted.overlay.opaque="y"`, "d/before": `100644 0:0 @1000 "2"`, "d/after": `100644 0:0 @1000 "3"`,
			},
		},
		"an opaque directory": {
			reason: "what replaces it is not opaque",
			layers: [][]entry{{}, {file("d/.wh..wh..opq", ""), file("d", "1"), directory("d", 0o755)}},
			want:   map[string]string{".": emptyRoot, "d": "040755 0:0 @1000"},
		},
		"an opaque directory through a link": {
			reason: "the mark is where the link leads",
			layers: [][]entry{{}, {directory("d", 0o755), symlink("l", "d"), file("l/.wh..wh..opq", "")}},
			want:   map[string]string{".": emptyRoot, "d": `040755 0:0 @1000 trusted.overlay.opaque="y"`, "l": "120777 0:0 @1000 -> d"},
		},
		"the opaque root": {
			reason: "all below is hidden",
			layers: [][]entry{{file("a", "1")}, {file(".wh..wh..opq", ""), file("b", "2")}},
			want:   map[string]string{".": emptyRoot + ` trusted.overlay.opaque="y"`, "b": `100644 0:0 @1000 "2"`},
		},
		"a whiteout by a directory": {
			reason: "the directory is new, and not merged with the deleted one",
			layers: [][]entry{{directory("d", 0o700)}, {file(".wh.d", ""), directory("d", 0o711), file("d/f", "")}},
			want:   map[string]string{".": emptyRoot, "d": "040711 0:0 @1000", "d/f": `100644 0:0 @1000 ""`},
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

func TestExtremes(t *testing.T) {
	long := strings.Repeat("v", 64<<10)
	last := time.Unix(0, math.MaxInt64).UTC()
	diff, _ := mustRead(t, true,
		file("xattr", "").xattr("user."+strings.Repeat("n", 250), long),
		file("owner", "").with(func(h *tar.Header) { h.Uid, h.Gid = math.MaxUint32-1, math.MaxUint32-1 }),
		file("last", "").with(func(h *tar.Header) { h.ModTime = last; h.Format = tar.FormatPAX }),
		file("late", "").with(func(h *tar.Header) { h.ModTime = last.Add(1); h.Format = tar.FormatPAX }),
		file("first", "").with(func(h *tar.Header) { h.ModTime = time.Unix(0, 1); h.Format = tar.FormatPAX }),
		file("early", "").with(func(h *tar.Header) { h.ModTime = time.Unix(-1, 999_999_999); h.Format = tar.FormatPAX }),
		directory("sticky", 0o1777), directory("all", 0o7777),
	)
	at := diff.Root().Children
	for what, c := range map[string]struct{ got, want any }{
		"an attribute of 64 KiB and its name of 255 bytes": {at["xattr"].Xattrs["user."+strings.Repeat("n", 250)], long},
		"the last user":                         {at["owner"].UID, uint32(4_294_967_294)},
		"the last group":                        {at["owner"].GID, uint32(4_294_967_294)},
		"the last nanosecond, in 2262":          {at["last"].Mtime.Time(), last},
		"one more, which containerd makes 1970": {at["late"].Mtime.Time(), time.Unix(0, 0).UTC()},
		"the first nanosecond of 1970":          {at["first"].Mtime.Time(), time.Unix(0, 1).UTC()},
		"one less, which containerd makes 1970": {at["early"].Mtime.Time(), time.Unix(0, 0).UTC()},
		"a sticky directory":                    {fmt.Sprintf("%o", at["sticky"].Mode), "41777"},
		"every bit of a mode":                   {fmt.Sprintf("%o", at["all"].Mode), "47777"},
	} {
		if difference := cmp.Diff(c.want, c.got); difference != "" {
			t.Errorf("%s (-want +got):\n%s", what, difference)
		}
	}
}
