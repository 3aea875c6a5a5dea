package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// discard is a Store that refuses files too large for a fuzzing round: a sparse header may claim exabytes.
type discard struct{}

func (discard) Store(_ context.Context, r io.Reader, size int64) ([]tree.Extent, error) {
	if size > 1<<20 {
		return nil, errors.New("too large")
	}
	_, err := io.Copy(io.Discard, r)
	return nil, err
}

// FuzzRead feeds arbitrary bytes, as a blob and as the layer above it: whatever comes, Read must return, and
// what it accepts must be a tree that a filesystem can hold.
func FuzzRead(f *testing.F) {
	seed := tarOf(f,
		directory("d", 0o755), file("d/f", "1"), hardlink("h", "d/f"), symlink("l", "../d"), file("l/g", "2"),
		file("d/.wh.f2", ""), file(".wh..wh..opq", ""), file("../x", ""),
		file("x", "").xattr("user.k", "v"), entry{Header: tar.Header{Name: "n", Typeflag: tar.TypeChar, Devmajor: 1}},
	)
	f.Add(seed)
	f.Add(gzipped(f, seed))
	f.Add(zstandard(f, seed))
	f.Add(tarOf(f, symlink("a", "b"), symlink("b", "a"), file("a/c", ""), directory("a", 0o700)))
	f.Fuzz(func(t *testing.T, blob []byte) {
		bottom, err := Read(context.Background(), bytes.NewReader(blob), spec(blob, true), discard{})
		if err != nil {
			return
		}
		checkTree(t, bottom.Root())
		upper, err := Read(context.Background(), bytes.NewReader(blob), spec(blob, false), discard{})
		if err != nil {
			return
		}
		if err := upper.Inherit([]Lower{bottom}); err == nil {
			checkTree(t, upper.Root())
		}
	})
}

// checkTree fails unless names are names, links are counted right, and only directories have children.
func checkTree(t *testing.T, root *tree.Node) {
	t.Helper()
	links := map[*tree.Node]uint32{}
	var walk func(node *tree.Node)
	walk = func(node *tree.Node) {
		if !node.IsDirectory() {
			links[node]++
			if node.Children != nil {
				t.Errorf("a node of mode %o has children", node.Mode)
			}
			return
		}
		for name, child := range node.Children {
			if name == "" || name == "." || name == ".." || len(name) > 255 || bytes.ContainsAny([]byte(name), "/\x00") {
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
