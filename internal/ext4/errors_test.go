package ext4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

func newTestWriter(t *testing.T, reserves ...int64) (*Writer, []*Region) {
	t.Helper()
	w, err := NewWriter(newMemoryDisk(minimumSize), options(minimumSize))
	if err != nil {
		t.Fatal(err)
	}
	var regions []*Region
	for _, reserve := range reserves {
		r, err := w.NewRegion(reserve)
		if err != nil {
			t.Fatal(err)
		}
		regions = append(regions, r)
	}
	return w, regions
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestSizesThatCannotBe(t *testing.T) {
	_, err := NewWriter(nil, options(minimumSize-ChunkSize))
	var small *TooSmall
	if !errors.As(err, &small) {
		t.Fatalf("a filesystem below 1 GiB: %v", err)
	}
	if diff := cmp.Diff(&TooSmall{Need: 1 << 30, Have: 1<<30 - 512<<10}, small); diff != "" {
		t.Error(diff)
	}
	for reason, size := range map[string]int64{
		"not whole chunks": minimumSize + BlockSize,
		"more group descriptors than a window has room for": 2032<<30 + ChunkSize,
	} {
		if _, err := NewWriter(nil, options(size)); err == nil {
			t.Errorf("%s: no error", reason)
		}
	}
}

func TestOutOfBlocks(t *testing.T) {
	capacity, _, err := Capacity(minimumSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("by a reservation", func(t *testing.T) {
		w, _ := newTestWriter(t, 10*ChunkSize)
		_, err := w.NewRegion(capacity)
		var full *OutOfBlocks
		if !errors.As(err, &full) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&OutOfBlocks{Need: capacity, Have: capacity - 10*ChunkSize}, full); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("by a file", func(t *testing.T) {
		_, regions := newTestWriter(t, capacity-ChunkSize)
		_, err := regions[0].Store(context.Background(), zeros{}, capacity+1)
		var full *OutOfBlocks
		if !errors.As(err, &full) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&OutOfBlocks{Need: 1}, full); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("not by all that there is", func(t *testing.T) {
		_, regions := newTestWriter(t, 0)
		if _, err := regions[0].Store(context.Background(), zeros{}, capacity); err != nil {
			t.Error(err)
		}
	})
}

func TestOutOfInodes(t *testing.T) {
	_, inodes, err := Capacity(minimumSize)
	if err != nil {
		t.Fatal(err)
	}
	l := newLayer()
	for i := range inodes {
		l.file(fmt.Sprint("d/", i), 0)
	}
	_, regions := newTestWriter(t, 0)
	_, err = regions[0].WriteTree(context.Background(), l.root, nil)
	var full *OutOfInodes
	if !errors.As(err, &full) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&OutOfInodes{Need: inodes + 2, Have: inodes}, full); diff != "" {
		t.Error(diff)
	}
}

func TestFilesThatExt4CannotHold(t *testing.T) {
	link := func(target string) *tree.Node {
		return &tree.Node{Mode: tree.TypeSymlink | 0o777, Special: &tree.Special{Target: target}}
	}
	attribute := func(name, value string) *tree.Node {
		return &tree.Node{Mode: tree.TypeFIFO, Xattrs: map[string]string{name: value}}
	}
	for reason, test := range map[string]struct {
		name string
		node *tree.Node
		// path is empty for a mistake of the caller's: that is no layer's fault.
		path string
	}{
		"attributes larger than a block":     {"dir/bad", attribute("user.large", strings.Repeat("v", 4096)), "/dir/bad"},
		"an attribute without a namespace":   {"dir/bad", attribute("foo.bar", "v"), "/dir/bad"},
		"an attribute without a name":        {"dir/bad", attribute("user.", "v"), "/dir/bad"},
		"a list that is none":                {"dir/bad", attribute("system.posix_acl_access", "v"), "/dir/bad"},
		"a list with an unknown tag":         {"dir/bad", attribute("system.posix_acl_access", wireACL([3]uint32{3, 7, none})), "/dir/bad"},
		"a link to nowhere":                  {"dir/bad", link(""), "/dir/bad"},
		"a link with a zero":                 {"dir/bad", link("a\x00b"), "/dir/bad"},
		"a link longer than a block":         {"dir/bad", link(strings.Repeat("t", 4096)), "/dir/bad"},
		"a device beyond Linux's":            {"dir/bad", &tree.Node{Mode: tree.TypeCharDev, Special: &tree.Special{Major: 4096}}, "/dir/bad"},
		"a socket":                           {"dir/bad", &tree.Node{Mode: 0o140000}, "/dir/bad"},
		"a file whose bytes were not stored": {"dir/bad", &tree.Node{Mode: tree.TypeRegular, Size: 1}, ""},
		"a name of 256 bytes":                {"dir/bad" + strings.Repeat("d", 253), &tree.Node{Mode: tree.TypeFIFO}, "/dir"},
	} {
		t.Run(reason, func(t *testing.T) {
			l := newLayer()
			l.add(test.name, test.node)
			_, regions := newTestWriter(t, 0)
			_, err := regions[0].WriteTree(context.Background(), l.root, nil)
			if err == nil || !strings.Contains(err.Error(), "bad") {
				t.Errorf("the error does not name the file: %v", err)
			}
			var unstorable *UnstorableError
			switch found := errors.As(err, &unstorable); {
			case found != (test.path != ""):
				t.Errorf("the wrong type of error: %v", err)
			case found && unstorable.Path != test.path:
				t.Errorf("the error is about %s, want %s", unstorable.Path, test.path)
			}
		})
	}
}

func TestHardLinksThatExt4CannotCount(t *testing.T) {
	root := tree.NewDirectory(0o755, modified)
	file := &tree.Node{Mode: tree.TypeFIFO, Links: maxFileLinks}
	for i := range maxFileLinks {
		root.Children[fmt.Sprint("name", i)] = file
	}
	if _, err := newPlan(root, nil, nil); err != nil {
		t.Errorf("a file with %d names: %v", maxFileLinks, err)
	}
	root.Children["one more"] = file
	_, err := newPlan(root, nil, nil)
	var unstorable *UnstorableError
	if !errors.As(err, &unstorable) || unstorable.Path != "/name0" {
		t.Errorf("a file with one name more: %v", err)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a\x00"} {
		root := tree.NewDirectory(0o755, modified)
		root.Children[name] = tree.NewDirectory(0o755, modified)
		_, regions := newTestWriter(t, 0)
		_, err := regions[0].WriteTree(context.Background(), root, nil)
		var unstorable *UnstorableError
		if !errors.As(err, &unstorable) || unstorable.Path != "/" {
			t.Errorf("%q was written as a name, or the wrong error: %v", name, err)
		}
	}
}

func TestDirectoryWithTwoParents(t *testing.T) {
	l := newLayer()
	twice := l.add("a/twice", tree.NewDirectory(0o755, modified))
	l.add("b/again", twice)
	twice.Children["cycle"] = twice
	_, regions := newTestWriter(t, 0)
	_, err := regions[0].WriteTree(context.Background(), l.root, nil)
	var unstorable *UnstorableError
	if err == nil || errors.As(err, &unstorable) {
		t.Errorf("a directory was written with several parents, or a layer is blamed for it: %v", err)
	}
}

func TestShortFile(t *testing.T) {
	_, regions := newTestWriter(t, ChunkSize)
	_, err := regions[0].Store(context.Background(), strings.NewReader("short"), 6)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestRegionsAreReservedBeforeWriting(t *testing.T) {
	w, regions := newTestWriter(t, ChunkSize)
	if err := regions[0].Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.NewRegion(0); err == nil {
		t.Error("a region was added after the first write")
	}
	if _, err := regions[0].Store(context.Background(), zeros{}, 1); err == nil {
		t.Error("a closed region took a file")
	}
	if err := regions[0].Close(context.Background()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// TestWaiting has a second region wait for its turn in every way, and something else than its turn come.
func TestWaiting(t *testing.T) {
	waits := map[string]func(context.Context, *Region) error{
		"for space": func(ctx context.Context, r *Region) error {
			_, err := r.Store(ctx, zeros{}, 1)
			return err
		},
		"for inodes": func(ctx context.Context, r *Region) error {
			_, err := r.WriteTree(ctx, newLayer().root, nil)
			return err
		},
		"to be closed": func(ctx context.Context, r *Region) error { return r.Close(ctx) },
		"to finish": func(ctx context.Context, r *Region) error {
			return r.writer.Finish(ctx, r, newLayer().root, newLayer().root)
		},
	}
	gone := errors.New("the caller is gone")
	for name, wait := range waits {
		t.Run(name+", the context ends", func(t *testing.T) {
			_, regions := newTestWriter(t, 0, 0)
			ctx, cancel := context.WithCancelCause(context.Background())
			done := make(chan error)
			go func() { done <- wait(ctx, regions[1]) }()
			cancel(gone)
			if err := <-done; !errors.Is(err, gone) {
				t.Errorf("not released by the end of its context: %v", err)
			}
		})
		t.Run(name+", an earlier region fails", func(t *testing.T) {
			_, regions := newTestWriter(t, 0, 0)
			done := make(chan error)
			go func() { done <- wait(context.Background(), regions[1]) }()
			if _, err := regions[0].Store(context.Background(), strings.NewReader(""), 1); err == nil {
				t.Error("no failure")
			}
			if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("not released by the failure of an earlier region: %v", err)
			}
		})
	}
}

func TestFinishRefuses(t *testing.T) {
	ctx := context.Background()
	for reason, finish := range map[string]func(w *Writer, regions []*Region, written *tree.Node) error{
		"a root without a name": func(w *Writer, regions []*Region, _ *tree.Node) error {
			top := newLayer()
			return w.Finish(ctx, regions[1], top.root, top.add("anchor", tree.NewDirectory(0, made)))
		},
		"a root elsewhere": func(w *Writer, regions []*Region, written *tree.Node) error {
			top := newLayer()
			top.add("else/where", written)
			return w.Finish(ctx, regions[1], top.root, top.add("anchor", tree.NewDirectory(0, made)))
		},
		"a root with two names": func(w *Writer, regions []*Region, written *tree.Node) error {
			top := newLayer()
			top.add("anchor/1", written)
			top.add("anchor/2", written)
			return w.Finish(ctx, regions[1], top.root, top.root.Children["anchor"])
		},
		"an anchor that is not in the tree": func(w *Writer, regions []*Region, written *tree.Node) error {
			anchor := newLayer()
			anchor.add("1", written)
			return w.Finish(ctx, regions[1], newLayer().root, anchor.root)
		},
		"an anchor that is the root": func(w *Writer, regions []*Region, written *tree.Node) error {
			top := newLayer()
			top.add("1", written)
			return w.Finish(ctx, regions[1], top.root, top.root)
		},
		"a lost+found that is no directory": func(w *Writer, regions []*Region, written *tree.Node) error {
			top := newLayer()
			top.add("anchor/1", written)
			top.add("lost+found", &tree.Node{Mode: tree.TypeFIFO})
			return w.Finish(ctx, regions[1], top.root, top.root.Children["anchor"])
		},
	} {
		t.Run(reason, func(t *testing.T) {
			w, regions := newTestWriter(t, 0, 0)
			written := newLayer().root
			if _, err := regions[0].WriteTree(ctx, written, nil); err != nil {
				t.Fatal(err)
			}
			if err := regions[0].Close(ctx); err != nil {
				t.Fatal(err)
			}
			if err := finish(w, regions, written); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("another region than the last", func(t *testing.T) {
		w, regions := newTestWriter(t, 0, 0)
		if err := w.Finish(ctx, regions[0], newLayer().root, newLayer().root); err == nil {
			t.Error("no error")
		}
	})
}
