package layer

import (
	"archive/tar"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const emptyRoot = "040755 0:0 @0"

func TestRead(t *testing.T) {
	cases := map[string]struct {
		reason  string
		bottom  bool
		entries []entry
		want    map[string]string
	}{
		"every kind of file": {
			reason: "a node keeps type, all twelve permission bits, owner, device numbers and target",
			entries: []entry{
				directory("d/", 0o1777),
				file("d/setuid", "x").with(func(h *tar.Header) { h.Mode = 0o6755; h.Uid = 70000; h.Gid = 4_000_000_000 }),
				symlink("d/link", "../nowhere/../../else"),
				{Header: tar.Header{Name: "fifo", Typeflag: tar.TypeFifo, Mode: 0o600}},
				{Header: tar.Header{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}},
				{Header: tar.Header{Name: "disk", Typeflag: tar.TypeBlock, Mode: 0o660, Devmajor: 4095, Devminor: 1048575}},
			},
			want: map[string]string{
				".": emptyRoot, "d": "041777 0:0 @1000", "d/setuid": `106755 70000:4000000000 @1000 "x"`,
				"d/link": "120777 0:0 @1000 -> ../nowhere/../../else", "fifo": "010600 0:0 @1000",
				"null": "020666 0:0 @1000 1,3", "disk": "060660 0:0 @1000 4095,1048575",
			},
		},
		"spellings of a name": {
			reason:  "x, ./x, /x and a/../x are one name in real images, and the root's own entry counts for nothing",
			entries: []entry{directory("./", 0o700).with(func(h *tar.Header) { h.Uid = 7 }), file("./a", "1"), file("/b", "2"), file("c/../d", "3"), directory("/", 0o700)},
			want:    map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "1"`, "b": `100644 0:0 @1000 "2"`, "d": `100644 0:0 @1000 "3"`},
		},
		"the last duplicate wins": {
			reason:  "an entry replaces what has its name",
			entries: []entry{file("a", "first"), file("a", "second")},
			want:    map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "second"`},
		},
		"file, directory, file": {
			reason:  "a directory replaces a file and is replaced with all below it",
			entries: []entry{file("a", "1"), directory("a", 0o755), file("a/b", "2"), hardlink("c", "a/b"), file("a", "3")},
			want:    map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "3"`, "c": `100644 0:0 @1000 "2"`},
		},
		"a directory over a directory": {
			reason:  "directories are merged: children and attributes stay, the entry's attributes count",
			entries: []entry{directory("a", 0o700).xattr("user.old", "1"), file("a/b", "2"), directory("a", 0o750).xattr("user.new", "2")},
			want:    map[string]string{".": emptyRoot, "a": `040750 0:0 @1000 user.new="2" user.old="1"`, "a/b": `100644 0:0 @1000 "2"`},
		},
		"a parent without an entry": {
			reason:  "it is made as 0755 root, and a later entry gives it its attributes",
			bottom:  true,
			entries: []entry{file("a/b/c", "1"), directory("a", 0o700).with(func(h *tar.Header) { h.Uid = 5 })},
			want:    map[string]string{".": emptyRoot, "a": "040700 5:0 @1000", "a/b": "040755 0:0 @0", "a/b/c": `100644 0:0 @1000 "1"`},
		},
		"through the layer's own links": {
			reason: "a parent that is a symbolic link leads where it points within the layer, and a missing target is made",
			entries: []entry{
				directory("usr/lib", 0o755), symlink("lib", "usr/lib"), file("lib/x", "1"),
				symlink("out", "../../../abs"), file("out/y", "2"), symlink("top", "/"), file("top/z", "3"),
			},
			want: map[string]string{
				".": emptyRoot, "usr": "040755 0:0 @0", "usr/lib": "040755 0:0 @1000", "lib": "120777 0:0 @1000 -> usr/lib",
				"usr/lib/x": `100644 0:0 @1000 "1"`, "out": "120777 0:0 @1000 -> ../../../abs", "abs": "040755 0:0 @0",
				"abs/y": `100644 0:0 @1000 "2"`, "top": "120777 0:0 @1000 -> /", "z": `100644 0:0 @1000 "3"`,
			},
		},
		"a link is replaced, not followed": {
			reason:  "only parents are followed",
			entries: []entry{file("a", "1"), symlink("b", "a"), file("b", "2")},
			want:    map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "1"`, "b": `100644 0:0 @1000 "2"`},
		},
		"hard links": {
			reason: "names share one inode, the last entry's attributes count, and chown drops the capability",
			entries: []entry{
				file("a", "1").xattr("security.capability", "cap").xattr("user.k", "v"), hardlink("b", "a"),
				hardlink("/d/c", "./a").with(func(h *tar.Header) { h.Mode = 0o600; h.Uid = 9 }),
			},
			want: map[string]string{
				".": emptyRoot, "d": "040755 0:0 @0", "a": `100600 9:0 @1000 "1" links=3 user.k="v"`,
				"b": `100600 9:0 @1000 "1" links=3 user.k="v"`, "d/c": `100600 9:0 @1000 "1" links=3 user.k="v"`,
			},
		},
		"a hard link that brings the capability again": {
			reason:  "that is how containerd's and Docker's own archives are",
			entries: []entry{file("a", "1").xattr("security.capability", "c"), hardlink("b", "a").xattr("security.capability", "c")},
			want:    map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "1" links=2 security.capability="c"`, "b": `100644 0:0 @1000 "1" links=2 security.capability="c"`},
		},
		"a hard link to a symbolic link": {
			reason:  "it is not followed",
			entries: []entry{symlink("a", "nowhere"), hardlink("b", "a")},
			want:    map[string]string{".": emptyRoot, "a": "120777 0:0 @1000 -> nowhere links=2", "b": "120777 0:0 @1000 -> nowhere links=2"},
		},
		"one of two hard links replaced": {
			reason:  "the inode that stays has one name left",
			entries: []entry{file("a", "1"), hardlink("b", "a"), file("a", "2")},
			want:    map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "2"`, "b": `100644 0:0 @1000 "1"`},
		},
		"extended attributes": {
			reason: "what the kernel or Larder would not keep is dropped",
			entries: []entry{
				file("f", "").xattr("user.a", "1").xattr("security.capability", "\x01\x00").xattr("security.selinux", "x").
					xattr("trusted.overlay.redirect", "/etc").xattr("system.nfs4_acl", "x").xattr("odd", "x").
					with(func(h *tar.Header) { h.PAXRecords["LIBARCHIVE.xattr.user.b"] = "Mg" }),
				symlink("l", "f").xattr("user.a", "1").xattr("security.ima", "2"),
			},
			want: map[string]string{
				".": emptyRoot, "f": `100644 0:0 @1000 "" security.capability="\x01\x00" user.a="1"`,
				"l": `120777 0:0 @1000 -> f security.ima="2"`,
			},
		},
		"times": {
			reason: "times that containerd cannot set become 1970, and a directory keeps its own whatever comes after it",
			entries: []entry{
				directory("d", 0o755), file("d/old", "").with(func(h *tar.Header) { h.ModTime = time.Unix(-5, 0) }),
				file("d/far", "").with(func(h *tar.Header) { h.ModTime = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) }),
			},
			want: map[string]string{".": emptyRoot, "d": "040755 0:0 @1000", "d/old": `100644 0:0 @0 ""`, "d/far": `100644 0:0 @0 ""`},
		},
		"whiteouts above the bottom": {
			reason: "they become what overlayfs understands, and a file may follow its own whiteout",
			entries: []entry{
				file("a/.wh.gone", "").with(func(h *tar.Header) { h.Uid = 3; h.Gid = 4 }), file("b/.wh..wh..opq", ""),
				file(".wh.again", ""), file("again", "1"), file(".wh..wh.plnk", ""),
			},
			want: map[string]string{
				".": emptyRoot, "a": "040755 0:0 @0", "a/gone": "020000 3:4 @0 0,0", "b": `040755 0:0 @0 trusted.overlay.opaque="y"`,
				"again": `100644 0:0 @1000 "1"`, ".wh.plnk": "020000 0:0 @0 0,0",
			},
		},
		"whiteouts in the bottom": {
			reason: "they delete what is there, an opaque marker only what has no entry of its own",
			bottom: true,
			entries: []entry{
				file("a", "1"), hardlink("b", "a"), file(".wh.a", ""), file(".wh.never", ""),
				directory("d", 0o755), file("d/keep", "2"), file("d/implicit/f", "3"), file("d/.wh..wh..opq", ""),
			},
			want: map[string]string{".": emptyRoot, "b": `100644 0:0 @1000 "1"`, "d": "040755 0:0 @1000", "d/keep": `100644 0:0 @1000 "2"`},
		},
		"a PAX global header": {
			reason: "git archive and GNU tar write one: it is no file, but containerd makes room and parents for it",
			entries: []entry{
				file("a", "1"), file("b", "2"), globalHeader("pax_global_header"), globalHeader("tmp/GlobalHead.1.1"), globalHeader("b"),
			},
			want: map[string]string{".": emptyRoot, "a": `100644 0:0 @1000 "1"`, "tmp": "040755 0:0 @0"},
		},
		"a long name": {
			reason:  "255 bytes are allowed, for what a whiteout names as well",
			entries: []entry{file(strings.Repeat("n", 255), ""), file(".wh."+strings.Repeat("w", 255), "")},
			want:    map[string]string{".": emptyRoot, strings.Repeat("n", 255): `100644 0:0 @1000 ""`, strings.Repeat("w", 255): "020000 0:0 @0 0,0"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			diff, store := mustRead(t, c.bottom, c.entries...)
			if difference := cmp.Diff(c.want, list(diff.Root(), store)); difference != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, difference)
			}
		})
	}
}

func TestHardLinksAreOneNode(t *testing.T) {
	diff, _ := mustRead(t, true, file("a", "1"), hardlink("d/b", "a"))
	if diff.Root().Children["a"] != diff.Root().Children["d"].Children["b"] {
		t.Error("two names of one file lead to two nodes")
	}
}

func TestAccessTimeIsNeverOlder(t *testing.T) {
	older := file("older", "").with(func(h *tar.Header) { h.AccessTime = time.Unix(10, 0); h.Format = tar.FormatPAX })
	newer := file("newer", "").with(func(h *tar.Header) { h.AccessTime = time.Unix(2000, 5); h.Format = tar.FormatPAX })
	diff, _ := mustRead(t, true, older, newer)
	if got := diff.Root().Children["older"].Atime.Time(); !got.Equal(stamp) {
		t.Errorf("an access time before the modification time became %v, want %v", got, stamp)
	}
	if got := diff.Root().Children["newer"].Atime.Time(); !got.Equal(time.Unix(2000, 5)) {
		t.Errorf("a later access time became %v", got)
	}
}
