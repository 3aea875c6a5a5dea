package layer

import (
	"archive/tar"
	"context"
	"errors"
	"strings"
	"testing"
)

func TestBadEntries(t *testing.T) {
	long := strings.Repeat("n", 256)
	deep := strings.Repeat("d/", 2048) + "f"
	cases := map[string]struct {
		reason  string
		bottom  bool
		entries []entry
		bad     string
		says    string
	}{
		"climbing name":               {reason: "it leads out of the layer", entries: []entry{file("../etc/passwd", "x")}, bad: "../etc/passwd", says: "climbs above"},
		"climbing in the middle":      {reason: "cleaned, it leads out", entries: []entry{file("a/../../b", "x")}, bad: "a/../../b", says: "climbs above"},
		"absolute and climbing":       {reason: "a leading slash does not make it harmless", entries: []entry{file("/../b", "x")}, bad: "/../b", says: "climbs above"},
		"the parent itself":           {reason: "it is not in the layer", entries: []entry{directory("..", 0o755)}, bad: "..", says: "climbs above"},
		"climbing whiteout":           {reason: "it would delete elsewhere", entries: []entry{file("../.wh.x", "")}, bad: "../.wh.x", says: "climbs above"},
		"climbing hard link":          {reason: "its target is out of the layer", entries: []entry{hardlink("a", "../../etc/shadow")}, bad: "a", says: "climbs above"},
		"hard link to a lower layer":  {reason: "containerd cannot make it either", entries: []entry{hardlink("a", "below")}, bad: "a", says: "not an earlier file"},
		"hard link to itself":         {reason: "the name is replaced first", entries: []entry{file("a", "1"), hardlink("a", "a")}, bad: "a", says: "not an earlier file"},
		"hard link to a directory":    {reason: "Linux has none", entries: []entry{directory("d", 0o755), hardlink("a", "d")}, bad: "a", says: "is a directory"},
		"hard link to the root":       {reason: "it has no name", entries: []entry{hardlink("a", "/")}, bad: "a", says: "not an earlier file"},
		"file as a parent":            {reason: "nothing can be below a file", entries: []entry{file("a", "1"), file("a/b", "2")}, bad: "a/b", says: "not a directory"},
		"whiteout as a parent":        {reason: "nothing can be below a device", entries: []entry{file(".wh.a", ""), file("a/b", "2")}, bad: "a/b", says: "not a directory"},
		"whiteout of nothing":         {reason: "it names no file", entries: []entry{file("a/.wh.", "")}, bad: "a/.wh.", says: "names no file"},
		"whiteout of the directory":   {reason: "it is no child", entries: []entry{file("a/.wh..", "")}, bad: "a/.wh..", says: "names no file"},
		"whiteout of the parent":      {reason: "it would delete above", bottom: true, entries: []entry{file("a/.wh...", "")}, bad: "a/.wh...", says: "names no file"},
		"whiteout after the file":     {reason: "both cannot be in one directory", entries: []entry{file("a", "1"), file(".wh.a", "")}, bad: ".wh.a", says: "after the same layer wrote"},
		"long component":              {reason: "no Linux filesystem holds it", entries: []entry{file("a/"+long, "")}, bad: "a/" + long, says: "256 bytes"},
		"long parent":                 {reason: "no Linux filesystem holds it", entries: []entry{file(long+"/a", "")}, bad: long + "/a", says: "256 bytes"},
		"long path":                   {reason: "no system call takes it", entries: []entry{file(deep, "")}, bad: deep, says: "4095 bytes"},
		"link without target":         {reason: "Linux has none", entries: []entry{symlink("a", "")}, bad: "a", says: "no target"},
		"long link target":            {reason: "Linux has none", entries: []entry{symlink("a", strings.Repeat("t", 4096))}, bad: "a", says: "4096 bytes"},
		"circle of links":             {reason: "it leads nowhere", entries: []entry{symlink("a", "b"), symlink("b", "a"), file("a/x", "")}, bad: "a/x", says: "symbolic links"},
		"unknown type":                {reason: "its meaning cannot be guessed", entries: []entry{{Header: tar.Header{Name: "v", Typeflag: 'V'}}}, bad: "v", says: "unknown"},
		"device number out of range":  {reason: "the kernel would cut it", entries: []entry{{Header: tar.Header{Name: "c", Typeflag: tar.TypeChar, Devmajor: 4096}}}, bad: "c", says: "4096:0"},
		"negative owner":              {reason: "chown would keep the old one", entries: []entry{file("a", "").with(func(h *tar.Header) { h.Uid = -1; h.Format = tar.FormatGNU })}, bad: "a", says: "uid -1"},
		"group beyond 32 bits":        {reason: "an inode cannot hold it", entries: []entry{file("a", "").with(func(h *tar.Header) { h.Gid = 1 << 32 })}, bad: "a", says: "gid 4294967296"},
		"no ACL":                      {reason: "the kernel would not take it", entries: []entry{file("a", "").xattr("system.posix_acl_access", "x")}, bad: "a", says: "access control list"},
		"ACL too long":                {reason: "the kernel has a limit", entries: []entry{file("a", "").xattr("system.posix_acl_access", acl()+strings.Repeat("v", 65533))}, bad: "a", says: "65537 bytes"},
		"default ACL on a file":       {reason: "only directories have one", entries: []entry{file("a", "").xattr("system.posix_acl_default", acl(aclEntry{1, 7, noID}, aclEntry{4, 5, noID}, aclEntry{0x20, 0, noID}))}, bad: "a", says: "directories only"},
		"extended attribute too long": {reason: "the kernel has a limit", entries: []entry{file("a", "").xattr("user.k", strings.Repeat("v", 65537))}, bad: "a", says: "65537 bytes"},
		"attribute without a name":    {reason: "the kernel refuses it", entries: []entry{file("a", "").xattr("user.", "v")}, bad: "a", says: "no valid name"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(t, c.bottom, c.entries...)
			var bad *EntryError
			if !errors.As(err, &bad) {
				t.Fatalf("%s: got error %v, want an EntryError", c.reason, err)
			}
			if bad.Entry != c.bad || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: got %q about entry %q, want %q about %q", c.reason, err, bad.Entry, c.says, c.bad)
			}
			if errors.Is(err, ErrContent) {
				t.Error("a bad entry was taken for damaged content: fetching it again would not help")
			}
		})
	}
}

func TestTreeIsBounded(t *testing.T) {
	applier := newApplier(&memory{}, Spec{Bottom: true, Limit: 1 << 20})
	applier.cost = maxTree - 1
	err := applier.apply(context.Background(), &tar.Header{Name: "one/more"}, strings.NewReader(""))
	if err == nil || !strings.Contains(err.Error(), "1024 MiB") {
		t.Errorf("got error %v, want the bound on names and attributes", err)
	}
}
