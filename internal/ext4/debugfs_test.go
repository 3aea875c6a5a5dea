package ext4

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// TestDebugfsReadsTheSame has another implementation read what was written.
func TestDebugfsReadsTheSame(t *testing.T) {
	l := newLayer()
	addAllTypes(l)
	addAttributes(l)
	large := l.file("large", 3<<20+17)
	b := build(t, options(minimumSize), []packed{{reserve: 1 << 20, layers: []*layer{l}}}, nil)
	disk := b.disk.save(t)
	const dir = "/var/snapshots/0-0/"
	for path, wants := range map[string][]string{
		"<7>":             {"Size: 4299210752", "(DIND):1184", "(IND):2", fmt.Sprint("TOTAL: ", 1+1024*5)},
		"<8>":             {"Size: 268435456", "Blockcount: 524288", "(0-23295):9472-32767, (23296-56063):33920-66687, (56064-65535):66688-76159"},
		"/var/snapshots":  {"Inode: 12 ", "Links: 3"},
		"/lost+found":     {"Inode: 11 "},
		dir + "regular":   {"User: 70000", `security.selinux (29) = "system_u:object_r:cache_t:s0\000"`, "mtime: 0x5f5e1000:1d6f3454", "ctime: 0x6553f100:00000000"},
		dir + "directory": {"system.posix_acl_access", "system.posix_acl_default", "Mode:  0755"},
		dir + "whiteout":  {"Type: character special", "Device major/minor number: 00:00"},
		dir + "disk":      {"Type: block special", "Device major/minor number: 259:70000"},
		dir + "link59":    {"Fast link dest: \"" + strings.Repeat("t", 59)},
		dir + "link60":    {"Blockcount: 8"},
		dir + "block":     {"user.large (3900)", "Blockcount: 16"},
		dir + "acl":       {"system.posix_acl_access"},
		dir + "large":     {fmt.Sprint("Size: ", large.Size), "Blockcount: 6152"},
		dir + "link":      {"trusted.large (500)"},
	} {
		output := run(t, "debugfs", "-R", "stat "+path, disk)
		for _, want := range wants {
			if !strings.Contains(output, want) {
				t.Errorf("debugfs does not say %q of %s:\n%.2000s", want, path, output)
			}
		}
	}
	copied := filepath.Join(t.TempDir(), "large")
	run(t, "debugfs", "-R", "dump "+dir+"large "+copied, disk)
	got, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(l.files[len(l.files)-1].stream())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("debugfs dumps other bytes")
	}
}

func TestGeometryAsDumpe2fsReadsIt(t *testing.T) {
	b := build(t, options(5<<30), nil, nil)
	output := run(t, "dumpe2fs", b.disk.save(t))
	for _, want := range []string{
		"Filesystem features:      has_journal ext_attr resize_inode dir_index filetype extent flex_bg sparse_super large_file huge_file uninit_bg dir_nlink extra_isize\n",
		"Filesystem state:         clean\n",
		"Filesystem UUID:          01020300-0000-0000-0000-000000000000\n",
		"Reserved GDT blocks:      1024\n",
		"Flex block group size:    16\n",
		"Total journal size:       256M\n",
		"Mount count:              0\n",
		"Block bitmap at 524288 (+0)\n  Inode bitmap at 524304 (+16)\n  Inode table at 524416-524927 (+128)\n",
	} {
		if !strings.Contains(output, want) {
			t.Errorf("dumpe2fs does not say %q:\n%.3000s", want, output)
		}
	}
}

// TestUsage compares the usage of a tree with the block counts of its inodes, which e2fsck checks elsewhere.
func TestUsage(t *testing.T) {
	l := newLayer()
	addAllTypes(l)
	addAttributes(l)
	l.link("linked", l.file("file", 5000))
	for i := range 2000 {
		l.file(fmt.Sprint("entries/", i), int64(i))
	}
	b := build(t, options(minimumSize), []packed{{layers: []*layer{l}}}, nil)
	r, err := Open(b.disk, b.disk.size)
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	seen := map[uint32]bool{}
	count := func(path string, number uint32) {
		in, err := r.inode(number)
		if err != nil {
			t.Fatal(path, err)
		}
		if !seen[number] {
			bytes += int64(le.Uint32(in[28:])) * 512
		}
		seen[number] = true
	}
	var visit func(path string)
	visit = func(path string) {
		entries, err := r.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			count(path, e.Inode)
			if e.Type == tree.TypeDirectory {
				visit(path + "/" + e.Name)
			}
		}
	}
	root, err := r.ReadDir("var/snapshots")
	if err != nil {
		t.Fatal(err)
	}
	count("root", root[0].Inode)
	visit("var/snapshots/0-0")

	w, err := NewWriter(nil, options(minimumSize))
	if err != nil {
		t.Fatal(err)
	}
	gotBytes, gotInodes, err := w.UsageOf(l.root)
	if err != nil {
		t.Fatal(err)
	}
	if gotBytes != bytes || gotInodes != int64(len(seen)) {
		t.Errorf("usage is %d bytes and %d inodes; the inodes say %d and %d", gotBytes, gotInodes, bytes, len(seen))
	}
}
