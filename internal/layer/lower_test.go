package layer

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// record is a Lower as a volume has it: flat, each answer a node of its own without children, every file with the
// volume's label.
type record struct {
	nodes map[string]tree.Node
	asked map[string]int
}

func recordOf(below Lower) *record {
	r := &record{nodes: map[string]tree.Node{}, asked: map[string]int{}}
	root, err := below.Lookup(nil)
	if err != nil {
		panic(err)
	}
	r.add("", root)
	return r
}

func (r *record) add(path string, node *tree.Node) {
	flat := *node
	flat.Children = nil
	flat.Xattrs = maps.Clone(node.Xattrs)
	putXattr(&flat, "security.selinux", "label\x00")
	r.nodes[path] = flat
	for name, child := range node.Children {
		r.add(path+"/"+name, child)
	}
}

func (r *record) Lookup(components []string) (*tree.Node, error) {
	path := ""
	for _, component := range components {
		path += "/" + component
	}
	r.asked[path]++
	node, found := r.nodes[path]
	if !found {
		return nil, nil
	}
	return &node, nil
}

func recordsOf(lower []Lower) []Lower {
	records := make([]Lower, len(lower))
	for i, below := range lower {
		records[i] = recordOf(below)
	}
	return records
}

// checkReinherit fails unless what a layer took from others is the same again, from the layers themselves and
// from records of them, also once it was written down and read back.
func checkReinherit(t *testing.T, d *Diff, lower []Lower) {
	t.Helper()
	written, err := json.Marshal(d.Inherited())
	if err != nil {
		t.Fatal(err)
	}
	var before []Inherited
	if err := json.Unmarshal(written, &before); err != nil {
		t.Fatal(err)
	}
	for kind, stack := range map[string][]Lower{"layers": lower, "records": recordsOf(lower)} {
		after, err := Reinherit(before, stack)
		if err != nil {
			t.Fatalf("inheriting again from %s: %v", kind, err)
		}
		if !EqualInherited(before, after) {
			t.Errorf("inheriting again from %s (-before +after):\n%s", kind, cmp.Diff(before, after))
		}
	}
}

// randomEntries makes a layer of a few names, so that they meet.
func randomEntries(random *rand.Rand) []entry {
	names := []string{"a", "b", "c", "d", "e"}
	path := func() string {
		var parts []string
		for range 1 + random.IntN(4) {
			parts = append(parts, names[random.IntN(len(names))])
		}
		return strings.Join(parts, "/")
	}
	entries := make([]entry, 1+random.IntN(8))
	for i := range entries {
		var e entry
		switch random.IntN(8) {
		case 0, 1:
			e = directory(path(), int64(random.IntN(0o10000)))
		case 2:
			e = symlink(path(), []string{"/", "../", "./", ""}[random.IntN(4)]+path())
		case 3:
			e = file(path()+"/.wh..wh..opq", "")
		case 4:
			e = file(path()+"/.wh."+names[random.IntN(len(names))], "")
		default:
			e = file(path(), "content")
		}
		e.Uid, e.Gid, e.ModTime = random.IntN(3), random.IntN(3), time.Unix(int64(random.IntN(5000)), int64(random.IntN(1e9)))
		e.Format = tar.FormatPAX
		if e.Typeflag == tar.TypeDir && random.IntN(4) == 0 {
			e = e.xattr("user."+names[random.IntN(len(names))], fmt.Sprint(i))
		}
		if e.Typeflag == tar.TypeDir && random.IntN(4) == 0 {
			e = e.xattr(aclDefault, forUser(uint32(i)))
		}
		entries[i] = e
	}
	return entries
}

// randomStack reads n random layers and lets each inherit; entries that no layer can have are left out with theirs.
func randomStack(t *testing.T, random *rand.Rand, n int) []Lower {
	t.Helper()
	var lower []Lower
	for len(lower) < n {
		diff, _, err := read(t, len(lower) == 0, randomEntries(random)...)
		if err == nil {
			err = diff.Inherit(lower)
		}
		var bad *EntryError
		switch {
		case errors.As(err, &bad):
		case err != nil:
			t.Fatal(err)
		default:
			lower = append([]Lower{diff}, lower...)
		}
	}
	return lower
}

// TestRecordsAreAsGoodAsLayers lets random layers inherit from layers just read, and from records of them.
func TestRecordsAreAsGoodAsLayers(t *testing.T) {
	found, absent := 0, 0
	for seed := range uint64(500) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			lower := randomStack(t, random, 1+random.IntN(5))
			entries := randomEntries(random)
			direct, store, err := read(t, false, entries...)
			if err != nil {
				return
			}
			recorded, _ := mustRead(t, false, entries...)
			errDirect, errRecorded := direct.Inherit(lower), recorded.Inherit(recordsOf(lower))
			if fmt.Sprint(errDirect) != fmt.Sprint(errRecorded) {
				t.Fatalf("from layers: error %v, from records: error %v", errDirect, errRecorded)
			}
			if errDirect != nil {
				return
			}
			if difference := cmp.Diff(list(direct.Root(), store), list(recorded.Root(), store)); difference != "" {
				t.Errorf("-from layers +from records:\n%s", difference)
			}
			checkReinherit(t, direct, lower)
			for _, taken := range direct.Inherited() {
				if taken.Found {
					found++
				} else {
					absent++
				}
			}
		})
	}
	if found < 100 || absent < 100 {
		t.Errorf("the stacks say little: %d directories were found below, %d were not", found, absent)
	}
}

// TestEqualInheritanceIsTheSameTree puts a random layer above two stacks: where what it takes is equal, its tree
// has to be.
func TestEqualInheritanceIsTheSameTree(t *testing.T) {
	equal, unequal := 0, 0
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		entries := randomEntries(random)
		one, store, err := read(t, false, entries...)
		if err != nil {
			continue
		}
		other, _ := mustRead(t, false, entries...)
		below := randomStack(t, random, 3)
		if one.Inherit(below) != nil || other.Inherit(append(randomStack(t, random, 1), below[1:]...)) != nil {
			continue
		}
		same := EqualInherited(one.Inherited(), other.Inherited())
		difference := cmp.Diff(list(one.Root(), store), list(other.Root(), store))
		if same && difference != "" {
			t.Errorf("seed %d: what was inherited is equal, the trees are not:\n%s", seed, difference)
		}
		if same && len(one.Inherited()) > 0 {
			equal++
		} else if !same {
			unequal++
		}
	}
	if equal < 50 || unequal < 50 {
		t.Errorf("the stacks say little: %d were equal, %d were not", equal, unequal)
	}
}

func TestInheritedDiffers(t *testing.T) {
	given := func(change func(*tar.Header)) []entry {
		return []entry{directory("a", 0o755).xattr("user.k", "1").with(change)}
	}
	unchanged := func(*tar.Header) {}
	top := []entry{file("a/b/f", "")}
	for name, c := range map[string]struct {
		reason string
		lower  [][]entry
		equal  bool
	}{
		"the same":            {reason: "nothing differs", lower: [][]entry{given(unchanged)}, equal: true},
		"something beside it": {reason: "the layer does not depend on it", lower: [][]entry{given(unchanged), {file("x", ""), directory("y", 0o700)}}, equal: true},
		"an opaque mark":      {reason: "it is not inherited", lower: [][]entry{given(unchanged), {file("a/.wh..wh..opq", "")}}, equal: true},
		"mode":                {reason: "it is inherited", lower: [][]entry{given(mode(0o750))}},
		"owner":               {reason: "it is inherited", lower: [][]entry{given(func(h *tar.Header) { h.Uid = 1 })}},
		"group":               {reason: "it is inherited", lower: [][]entry{given(func(h *tar.Header) { h.Gid = 1 })}},
		"nanoseconds":         {reason: "times are inherited", lower: [][]entry{given(func(h *tar.Header) { h.ModTime = stamp.Add(1); h.Format = tar.FormatPAX })}},
		"access time":         {reason: "times are inherited", lower: [][]entry{given(func(h *tar.Header) { h.AccessTime = stamp.Add(time.Hour); h.Format = tar.FormatPAX })}},
		"an attribute's value": {reason: "attributes are inherited", lower: [][]entry{given(func(h *tar.Header) {
			h.PAXRecords["SCHILY.xattr.user.k"] = "2"
		})}},
		"an attribute's name": {reason: "attributes are inherited", lower: [][]entry{given(func(h *tar.Header) {
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.l": "1"}
		})}},
		"found now": {reason: "a directory that had no model below has one", lower: [][]entry{given(unchanged), {directory("a/b", 0o755)}}},
		"gone":      {reason: "a directory that had a model below has none", lower: [][]entry{{}}},
		"hidden":    {reason: "a whiteout ends the search", lower: [][]entry{given(unchanged), {file(".wh.a", "")}}},
	} {
		t.Run(name, func(t *testing.T) {
			layer, _ := chain(t, given(unchanged), top)
			var lower []Lower
			for i := range c.lower {
				below, _ := chain(t, c.lower[:i+1]...)
				lower = append([]Lower{recordOf(below)}, lower...)
			}
			after, err := Reinherit(layer.Inherited(), lower)
			if err != nil {
				t.Fatal(err)
			}
			if EqualInherited(layer.Inherited(), after) != c.equal {
				t.Errorf("%s: equal is %v, want %v (-before +after):\n%s", c.reason, !c.equal, c.equal, cmp.Diff(layer.Inherited(), after))
			}
		})
	}
}

func TestLookup(t *testing.T) {
	diff, _ := mustRead(t, true, file("d/f", "1"), symlink("l", "d"))
	for path, want := range map[string]*tree.Node{
		"":      diff.Root(),
		"d":     diff.Root().Children["d"],
		"d/f":   diff.Root().Children["d"].Children["f"],
		"l":     diff.Root().Children["l"],
		"l/f":   nil,
		"d/f/x": nil,
		"x/y":   nil,
	} {
		components := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
		if got, err := diff.Lookup(components); err != nil || got != want {
			t.Errorf("%q: got %v, error %v, want %v", path, got, err, want)
		}
	}
}

// TestLowerIsAskedOnce counts the reads that a layer on a volume would cost.
func TestLowerIsAskedOnce(t *testing.T) {
	bottom, _ := chain(t, []entry{directory("usr/lib/x", 0o755), symlink("lib", "usr/lib"), file("f", "")})
	below := recordOf(bottom)
	top, _ := mustRead(t, false, file("usr/lib/x/1", ""), file("usr/lib/y/2", ""), file("lib/x/3", ""), file("lib/x/z/4", ""), file("f/5/6", ""))
	if err := top.Inherit([]Lower{below}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"": 1, "/usr": 1, "/usr/lib": 1, "/usr/lib/x": 1, "/usr/lib/y": 1, "/lib": 1, "/usr/lib/x/z": 1, "/f": 1,
	}
	if difference := cmp.Diff(want, below.asked); difference != "" {
		t.Errorf("-want +got:\n%s", difference)
	}
}

// unreadable is a layer on a volume that cannot be read.
type unreadable struct{}

var errUnreadable = errors.New("the snapshot is gone")

func (unreadable) Lookup(components []string) (*tree.Node, error) {
	if len(components) > 0 {
		return nil, errUnreadable
	}
	return tree.NewDirectory(0o755, minTime), nil
}

func TestUnreadableLayerBelow(t *testing.T) {
	top, _ := mustRead(t, false, file("a/f", ""))
	var bad *EntryError
	if err := top.Inherit([]Lower{unreadable{}}); !errors.Is(err, errUnreadable) || errors.As(err, &bad) {
		t.Errorf("got error %v, want the volume's own, which the layer has no part in", err)
	}
	if _, err := Reinherit([]Inherited{{Path: []byte("a")}}, []Lower{unreadable{}}); !errors.Is(err, errUnreadable) {
		t.Errorf("got error %v, want the volume's own", err)
	}
}
