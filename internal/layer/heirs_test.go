package layer

import (
	"archive/tar"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// forUser is a list for the owner, a user, the group, and others, whose mask lets all through.
func forUser(id uint32) string {
	return acl(aclEntry{1, 7, noID}, aclEntry{2, 6, id}, aclEntry{4, 5, noID}, aclEntry{0x10, 7, noID}, aclEntry{0x20, 1, noID})
}

// asMode is a list that says no more than a mode.
var asMode = acl(aclEntry{1, 7, noID}, aclEntry{4, 5, noID}, aclEntry{0x20, 0, noID})

// lists renders the access and default lists of a tree by path, as the users they name and the permissions of
// owner, mask and others.
func lists(root *tree.Node) map[string]string {
	found := map[string]string{}
	var walk func(node *tree.Node, path string)
	walk = func(node *tree.Node, path string) {
		if line := listsOf(node); line != "" {
			found[path] = line
		}
		for name, child := range node.Children {
			walk(child, strings.TrimPrefix(path+"/"+name, "/"))
		}
	}
	walk(root, "")
	return found
}

func listsOf(node *tree.Node) string {
	var parts []string
	for _, kind := range []string{aclAccess, aclDefault} {
		value, found := node.Xattrs[kind]
		if !found {
			continue
		}
		part := strings.TrimPrefix(kind, "system.posix_acl_")
		if value == asMode {
			parts = append(parts, part+" as mode")
			continue
		}
		part += fmt.Sprintf(" %d:", int(value[16])|int(value[17])<<8)
		for _, entry := range []int{0, 3, 4} {
			part += fmt.Sprint(value[aclHeader+aclEntrySize*entry+2])
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func mode(bits int64) func(*tar.Header) { return func(h *tar.Header) { h.Mode = bits } }

func TestDefaultACLsAreInherited(t *testing.T) {
	given := func(name string, id uint32) entry { return directory(name, 0o750).xattr(aclDefault, forUser(id)) }
	for name, c := range map[string]struct {
		reason string
		layers [][]entry
		want   map[string]string
	}{
		"by a file": {
			reason: "its mode is the owner's, the mask's and the others' permissions",
			layers: [][]entry{{given("d", 1000), file("d/f", "").with(mode(0o640))}},
			want:   map[string]string{"d": "default 1000:771", "d/f": "access 1000:640"},
		},
		"by a directory and what is in it": {
			reason: "a directory gets the default list as well",
			layers: [][]entry{{given("d", 1000), directory("d/e", 0o700), file("d/e/f", "").with(mode(0o604))}},
			want:   map[string]string{"d": "default 1000:771", "d/e": "access 1000:700, default 1000:771", "d/e/f": "access 1000:604"},
		},
		"by implicit parents": {
			reason: "they are made with 0755",
			layers: [][]entry{{given("d", 1000), file("d/a/b/f", "").with(mode(0o600))}},
			want: map[string]string{
				"d": "default 1000:771", "d/a": "access 1000:755, default 1000:771", "d/a/b": "access 1000:755, default 1000:771",
				"d/a/b/f": "access 1000:600",
			},
		},
		"by other kinds": {
			reason: "all but symbolic links have lists",
			layers: [][]entry{{
				given("d", 1000), symlink("d/link", "x"),
				{Header: tar.Header{Name: "d/pipe", Typeflag: tar.TypeFifo, Mode: 0o600}},
				{Header: tar.Header{Name: "d/null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}},
			}},
			want: map[string]string{"d": "default 1000:771", "d/pipe": "access 1000:600", "d/null": "access 1000:666"},
		},
		"not by a hard link": {
			reason: "it is a name, not a new file, but its entry's mode counts",
			layers: [][]entry{{
				given("d", 1000), file("f", ""), hardlink("d/link", "f"),
				file("d/own", "").with(mode(0o600)), hardlink("other", "d/own").with(mode(0o640)),
			}},
			want: map[string]string{"d": "default 1000:771", "d/own": "access 1000:640", "other": "access 1000:640"},
		},
		"not by what was there before": {
			reason: "a list counts for what is made after it",
			layers: [][]entry{{file("d/f", ""), given("d", 1000), file("d/g", "").with(mode(0o600)), given("d", 2000), file("d/h", "").with(mode(0o600))}},
			want:   map[string]string{"d": "default 2000:771", "d/g": "access 1000:600", "d/h": "access 2000:600"},
		},
		"not where an entry has its own": {
			reason: "it is set after the file was made",
			layers: [][]entry{{
				given("d", 1000), file("d/own", "").with(mode(0o600)).xattr(aclAccess, forUser(7)), file("d/plain", "").xattr(aclAccess, asMode),
				given("d/e", 7),
			}},
			want: map[string]string{"d": "default 1000:771", "d/own": "access 7:600", "d/e": "access 1000:750, default 7:771"},
		},
		"of no more than a mode": {
			reason: "a file's mode says it all, and directories hand it on",
			layers: [][]entry{{directory("d", 0o750).xattr(aclDefault, asMode), file("d/e/f", "")}},
			want:   map[string]string{"d": "default as mode", "d/e": "default as mode"},
		},
		"by a whiteout": {
			reason: "it is made with mknod, without permissions",
			layers: [][]entry{{file("d/f", "")}, {given("d", 1000), file("d/.wh.f", "")}},
			want:   map[string]string{"d": "default 1000:771", "d/f": "access 1000:000"},
		},
		"from below": {
			reason: "an implicit parent takes its list from the lower layer before anything is made in it",
			layers: [][]entry{
				{given("d", 1000).xattr(aclAccess, forUser(5))},
				{file("d/f", "").with(mode(0o640)), directory("d/e", 0o700), file("d/e/new/f", "").with(mode(0o600)), file("d/.wh.gone", ""), symlink("d/link", "f")},
			},
			want: map[string]string{
				"d": "access 5:750, default 1000:771", "d/f": "access 1000:640", "d/e": "access 1000:700, default 1000:771",
				"d/e/new": "access 1000:755, default 1000:771", "d/e/new/f": "access 1000:600", "d/gone": "access 1000:000",
			},
		},
		"from below instead of above": {
			reason: "an implicit parent has its directory's list until the lower layer's is copied over it",
			layers: [][]entry{
				{directory("d", 0o755), given("d/low", 1000), directory("d/bare", 0o710)},
				{given("d", 2000), file("d/low/f", "").with(mode(0o600)), file("d/bare/f", "").with(mode(0o600))},
			},
			want: map[string]string{
				"d":     "default 2000:771",
				"d/low": "access 2000:750, default 1000:771", "d/low/f": "access 1000:600",
				"d/bare": "access 2000:710, default 2000:771", "d/bare/f": "access 2000:600",
			},
		},
		"from below until an entry changes it": {
			reason: "what is made before it keeps the lower layer's list",
			layers: [][]entry{
				{given("d", 1000).xattr(aclAccess, forUser(5))},
				{
					file("d/before", "").with(mode(0o600)), given("d", 2000).with(mode(0o711)), file("d/after", "").with(mode(0o600)),
					file("e/before", ""), directory("e", 0o755).xattr(aclDefault, forUser(3)), file("e/after", "").with(mode(0o600)),
				},
			},
			want: map[string]string{
				"d": "access 5:711, default 2000:771", "d/before": "access 1000:600", "d/after": "access 2000:600",
				"e": "default 3:771", "e/after": "access 3:600",
			},
		},
		"from below, but an entry has its own": {
			reason: "also one that says no more than a mode, and one that a link's entry brings",
			layers: [][]entry{
				{given("d", 1000)},
				{
					file("d/own", "").with(mode(0o600)).xattr(aclAccess, forUser(7)), file("d/plain", "").xattr(aclAccess, asMode),
					file("d/linked", ""), hardlink("d/link", "d/linked").with(mode(0o600)).xattr(aclAccess, forUser(8)),
					directory("d/none", 0o700).xattr(aclDefault, acl()), file("d/none/f", ""),
				},
			},
			want: map[string]string{
				"d": "default 1000:771", "d/own": "access 7:600", "d/linked": "access 8:600", "d/link": "access 8:600", "d/none": "access 1000:700",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			top, _ := chain(t, c.layers...)
			if difference := cmp.Diff(c.want, lists(top.Root())); difference != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, difference)
			}
		})
	}
}

// TestInheritedACLsAreBounded has few bytes in a layer become many in memory.
func TestInheritedACLsAreBounded(t *testing.T) {
	given, heir := directory("d", 0o755).xattr(aclDefault, forUser(1000)), file("d/f", "")
	for reason, inherit := range map[string]func() error{
		"within a layer": func() error {
			a := newApplier(&memory{}, Spec{Bottom: true, Limit: 1 << 20})
			for _, e := range []entry{given, heir} {
				if err := a.apply(t.Context(), &e.Header, strings.NewReader("")); err != nil {
					return err
				}
			}
			// The next entry costs its constant and its name; the list that the last one got is what is too much.
			a.cost = maxTree - entryCost - int64(len("g"))
			a.giveACLs(a.root.Children["d"], tree.NewDirectory(0, minTime))
			return a.apply(t.Context(), &tar.Header{Name: "g", Typeflag: tar.TypeReg}, strings.NewReader(""))
		},
		"from below": func() error {
			bottom, _ := mustRead(t, true, given)
			top, _ := mustRead(t, false, heir)
			top.cost = maxTree
			return top.Inherit([]Lower{bottom})
		},
		"from below, for a file": func() error {
			bottom, _ := mustRead(t, true, given)
			top, _ := mustRead(t, false, heir)
			// The directory costs what it finds below and its list; the list that its file gets is what is too much.
			found := bottom.root.Children["d"]
			top.cost = maxTree - inheritedCost(found) - listCost(found.Xattrs[aclDefault])
			return top.Inherit([]Lower{bottom})
		},
	} {
		t.Run(reason, func(t *testing.T) {
			if err := inherit(); err == nil || !strings.Contains(err.Error(), "1024 MiB") {
				t.Errorf("got error %v, want the bound on names and attributes", err)
			}
		})
	}
}
