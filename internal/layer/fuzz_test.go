package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// fuzzLimit bounds what one round may unpack, in bytes: a header of a sparse file may claim exabytes.
const fuzzLimit = 1 << 20

// FuzzRead feeds arbitrary bytes as a blob: whatever comes, Read must return.
func FuzzRead(f *testing.F) {
	seed := tarOf(f, directory("d", 0o755), file("d/f", "1"), file("d/.wh.g", ""))
	for _, blob := range [][]byte{seed, gzipped(f, seed[:700], seed[700:]), zstandard(f, seed), hugeWindow} {
		f.Add(blob)
	}
	f.Fuzz(checkLayer)
}

// FuzzEntries gives each header the checksum that it lacks, so that more of the bytes are taken for a layer.
func FuzzEntries(f *testing.F) {
	for _, seed := range fuzzSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		blob = bytes.Clone(blob)
		for at := 0; at+512 <= len(blob); at += 512 {
			if block := blob[at : at+512]; bytes.HasPrefix(block[257:], []byte("ustar")) {
				withChecksum(block)
			}
		}
		checkLayer(t, blob)
	})
}

func fuzzSeeds(t testing.TB) [][]byte {
	t.Helper()
	end := make([]byte, 1024)
	return [][]byte{
		tarOf(t,
			directory("d", 0o755), file("d/f", "1"), hardlink("h", "d/f"), symlink("l", "../d"), file("l/g", "2"), hardlink("l/i", "l/g"),
			file("x", "").xattr("user.k", "v"), entry{Header: tar.Header{Name: "n", Typeflag: tar.TypeChar, Devmajor: 1}},
		),
		tarOf(t, file("d/.wh.f", ""), file("d/.wh..wh..opq", ""), file(".wh.h", ""), file("usr/lib/new/f", ""), file("lib/x/y", "")),
		tarOf(t, file("a", "1"), directory("a", 0o700), file("a/b", "2"), hardlink("c", "a/b"), file("a", "3"), file(".wh.c", "")),
		tarOf(t, symlink("a", "b"), symlink("b", "a"), file("a/c", ""), file("../x", "")),
		tarOf(t, directory("d", 0o2770).xattr(aclDefault, forUser(7)), file("d/f", ""), file("acl/new/f", "").xattr(aclAccess, asMode)),
		tarOf(t, globalHeader("tmp/global"), directory("./", 0o700), directory("d/", 0o700), symlink("e", "d"), directory("e/", 0o711)),
		concat(sparseOld(8192, 4096, "data"), sparsePAX(paxRecord("GNU.sparse.size", "4096")+paxRecord("GNU.sparse.numblocks", "1")+
			paxRecord("GNU.sparse.map", "0,4")+paxRecord("GNU.sparse.name", "s"), []byte("data")), end),
		concat(sparsePAX(paxRecord("GNU.sparse.major", "1")+paxRecord("GNU.sparse.minor", "0")+paxRecord("GNU.sparse.realsize", "600"),
			concat(padded([]byte("1\n0\n4\n")), []byte("data"))), end),
	}
}

// checkLayer reads a blob as a bottom layer and as one above others: what is accepted must be a tree that a
// filesystem can hold, and the same again above records of those layers.
func checkLayer(t *testing.T, blob []byte) {
	for _, bottom := range []bool{true, false} {
		terms := spec(blob, bottom)
		terms.Limit = fuzzLimit
		diff, err := Read(context.Background(), bytes.NewReader(blob), terms, forget{})
		if err != nil {
			continue
		}
		if bottom {
			checkTree(t, diff.Root())
			continue
		}
		lower := fuzzLower(t)
		switch err := diff.Inherit(lower); {
		case err == nil:
			checkTree(t, diff.Root())
			checkReinherit(t, diff, lower)
		case !errors.As(err, new(*EntryError)):
			t.Errorf("got error %v, which names no entry", err)
		}
	}
}

// fuzzLower has what paths can lead through: directories, links, a circle, and files in the way.
func fuzzLower(t *testing.T) []Lower {
	t.Helper()
	var lower []Lower
	for i, entries := range [][]entry{
		{
			directory("usr/lib", 0o2755).with(func(h *tar.Header) { h.Gid = 8 }), symlink("lib", "usr/lib"), symlink("up", "../.."),
			symlink("circle", "circle"), directory("d", 0o700).xattr("user.k", "v"), directory("acl", 0o750).xattr(aclDefault, forUser(1000)),
		},
		{file("usr/.wh..wh..opq", ""), file(".wh.gone", ""), file("f", "1"), symlink("top", "/"), file("d/e/f", "2")},
	} {
		diff, _ := mustRead(t, i == 0, entries...)
		if err := diff.Inherit(lower); err != nil {
			t.Fatal(err)
		}
		lower = append([]Lower{diff}, lower...)
	}
	return lower
}

// checkTree fails unless names are names, links are counted right, only directories have children, and no directory
// has two names, so that there are no circles.
func checkTree(t *testing.T, root *tree.Node) {
	t.Helper()
	links, directories := map[*tree.Node]uint32{}, map[*tree.Node]bool{}
	var walk func(node *tree.Node)
	walk = func(node *tree.Node) {
		if !slices.Contains(fileTypes, node.Type()) || node.Mode&^(tree.TypeMask|permissions) != 0 {
			t.Fatalf("no file has the mode %o", node.Mode)
		}
		if !node.IsDirectory() {
			links[node]++
			if node.Children != nil {
				t.Errorf("a node of mode %o has children", node.Mode)
			}
			return
		}
		if directories[node] {
			t.Fatal("a directory has two names")
		}
		directories[node] = true
		for name, child := range node.Children {
			if name == "" || name == "." || name == ".." || len(name) > maxName || bytes.ContainsAny([]byte(name), "/\x00") {
				t.Errorf("%q is no name", name)
			}
			walk(child)
		}
	}
	walk(root)
	for node, count := range links {
		if node.Links != count {
			t.Errorf("a node has %d names and %d links", count, node.Links)
		}
	}
}

var fileTypes = []uint32{
	tree.TypeFIFO, tree.TypeCharDev, tree.TypeDirectory, tree.TypeBlockDev, tree.TypeRegular, tree.TypeSymlink,
}
