package ext4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/larder-dev/larder/internal/tree"
)

var (
	made     = time.Unix(1_700_000_000, 0)
	modified = time.Unix(1_600_000_000, 123_456_789)
)

const label = "system_u:object_r:cache_t:s0"

// layer is a tree with the content of its files: bytes that follow from a seed.
type layer struct {
	root  *tree.Node
	files []*source
	// hot are the nodes that a start reads.
	hot map[*tree.Node]bool
}

type source struct {
	node *tree.Node
	seed uint64
}

func newLayer() *layer { return &layer{root: tree.NewDirectory(0o755, modified)} }

// add puts a node at a path, making directories on the way.
func (l *layer) add(name string, n *tree.Node) *tree.Node {
	dir := l.root
	parent, base := path.Split(name)
	for step := range strings.FieldsFuncSeq(parent, func(r rune) bool { return r == '/' }) {
		if dir.Children[step] == nil {
			dir.Children[step] = tree.NewDirectory(0o755, modified)
		}
		dir = dir.Children[step]
	}
	dir.Children[base] = n
	return n
}

func (l *layer) file(name string, size int64) *tree.Node {
	n := l.add(name, &tree.Node{Mode: tree.TypeRegular | 0o644, Mtime: tree.NewTime(modified), Atime: tree.NewTime(modified), Size: size, Links: 1})
	l.files = append(l.files, &source{node: n, seed: uint64(len(l.files))*7919 + uint64(size)})
	return n
}

// link adds a hard link.
func (l *layer) link(name string, n *tree.Node) {
	n.Links++
	l.add(name, n)
}

// pattern is what files are made of. Its length is a prime, so no two blocks or chunks of a file are equal.
var pattern = func() []byte {
	b := make([]byte, 65537)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}()

// stream gives a source's bytes: the pattern again and again, from a place that the seed tells.
type stream struct {
	at   int
	left int64
}

func (s *source) stream() *stream {
	return &stream{at: int(s.seed % uint64(len(pattern))), left: s.node.Size}
}

func (s *stream) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(int64(len(b)), s.left)], pattern[s.at:])
	s.at = (s.at + n) % len(pattern)
	s.left -= int64(n)
	return n, nil
}

// packed is what one region gets.
type packed struct {
	reserve int64
	layers  []*layer
}

// built is a finished filesystem.
type built struct {
	disk    *memoryDisk
	layouts []Layout
	// top is the tree at the root, with everything below the anchor.
	top *tree.Node
}

func options(size int64) Options {
	return Options{Size: size, UUID: [16]byte{1, 2, 3}, HashSeed: [16]byte{4, 5, 6}, Time: made, Label: label}
}

// build writes regions at the same time, all reads in an order that the shuffler chooses, and finishes.
func build(t *testing.T, o Options, regions []packed, through *shuffler) built {
	t.Helper()
	b, err := tryBuild(o, regions, through)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tryBuild(o Options, regions []packed, through *shuffler) (built, error) {
	b := built{disk: newMemoryDisk(o.Size), top: tree.NewDirectory(0o755, modified)}
	w, err := NewWriter(b.disk, o)
	if err != nil {
		return b, err
	}
	handles := make([]*Region, len(regions))
	for i, spec := range regions {
		if handles[i], err = w.NewRegion(spec.reserve); err != nil {
			return b, err
		}
	}
	meta, err := w.NewRegion(1 << 20)
	if err != nil {
		return b, err
	}
	ctx := context.Background()
	failures := make([]error, len(regions))
	var running sync.WaitGroup
	for i := range regions {
		running.Go(func() { failures[i] = fill(ctx, handles[i], regions[i].layers, through) })
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		return b, err
	}
	anchor := tree.NewDirectory(0o700, modified)
	for i, spec := range regions {
		b.layouts = append(b.layouts, handles[i].Layout())
		for j, l := range spec.layers {
			anchor.Children[fmt.Sprintf("%d-%d", i, j)] = l.root
		}
	}
	b.top.Children["var"] = tree.NewDirectory(0o755, modified)
	b.top.Children["var"].Children["snapshots"] = anchor
	return b, w.Finish(ctx, meta, b.top, anchor)
}

func fill(ctx context.Context, r *Region, layers []*layer, through *shuffler) error {
	for _, l := range layers {
		for _, f := range l.files {
			store := r.Store
			if l.hot[f.node] {
				store = r.StoreHot
			}
			extents, err := store(ctx, through.wrap(f.stream()), f.node.Size)
			if err != nil {
				return err
			}
			f.node.Extents = tree.NewExtents(extents)
		}
		if _, err := r.WriteTree(ctx, l.root, l.hot); err != nil {
			return err
		}
	}
	return r.Close(ctx)
}

// shuffler lets one of the waiting reads go on at a time, chosen at random. A nil one holds nobody up.
type shuffler struct{ waiting chan chan struct{} }

func newShuffler(t *testing.T, seed uint64) *shuffler {
	s := &shuffler{waiting: make(chan chan struct{})}
	random := rand.New(rand.NewPCG(seed, 2))
	go func() {
		var held []chan struct{}
		for {
			if len(held) == 0 {
				next, open := <-s.waiting
				if !open {
					return
				}
				held = append(held, next)
			}
			for range random.IntN(64) {
				select {
				case next, open := <-s.waiting:
					if !open {
						return
					}
					held = append(held, next)
				default:
					runtime.Gosched()
				}
			}
			chosen := random.IntN(len(held))
			close(held[chosen])
			held = append(held[:chosen], held[chosen+1:]...)
		}
	}()
	t.Cleanup(func() { close(s.waiting) })
	return s
}

func (s *shuffler) wrap(rd io.Reader) io.Reader {
	if s == nil {
		return rd
	}
	return &shuffledReader{Reader: rd, shuffler: s}
}

type shuffledReader struct {
	io.Reader
	shuffler *shuffler
}

func (r *shuffledReader) Read(b []byte) (int, error) {
	release := make(chan struct{})
	r.shuffler.waiting <- release
	<-release
	return r.Reader.Read(b)
}

// checkContent reads the whole filesystem back and compares it with what was written: directories by their paths, all
// else by inode numbers, since finding a path again for each file of a large directory takes most of the time.
func checkContent(t *testing.T, b built, regions []packed) {
	t.Helper()
	r, err := Open(b.disk, b.disk.size)
	if err != nil {
		t.Fatal(err)
	}
	sources := map[*tree.Node]*source{}
	labelled := map[*tree.Node]bool{}
	for _, spec := range regions {
		for _, l := range spec.layers {
			labelled[l.root] = true
			for _, f := range l.files {
				sources[f.node] = f
			}
		}
	}
	c := contentCheck{t: t, reader: r, sources: sources, roots: labelled, inodes: map[uint32]*tree.Node{}, ours: make([]byte, 1<<16), theirs: make([]byte, 1<<16)}
	b.top.Children["lost+found"] = tree.NewDirectory(0o700, made)
	c.compare("", rootInode, b.top, false)
}

type contentCheck struct {
	t       *testing.T
	reader  *Reader
	sources map[*tree.Node]*source
	roots   map[*tree.Node]bool
	inodes  map[uint32]*tree.Node
	// ours and theirs are parts of a file as written and as read.
	ours, theirs []byte
}

func (c *contentCheck) compare(at string, number uint32, want *tree.Node, labelled bool) {
	c.t.Helper()
	labelled = labelled || c.roots[want]
	stored, err := c.reader.inode(number)
	if err != nil {
		c.t.Fatalf("%s: %v", at, err)
	}
	got, err := c.reader.node(stored)
	if err != nil {
		c.t.Fatalf("%s: %v", at, err)
	}
	expected := *want
	if labelled {
		expected.Xattrs = map[string]string{"security.selinux": label + "\x00"}
		for name, value := range want.Xattrs {
			expected.Xattrs[name] = value
		}
	}
	expected.Extents, expected.Children = tree.Extents{}, nil
	if !reflect.DeepEqual(&expected, got) { // which takes a tenth of the time
		if diff := cmp.Diff(&expected, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(tree.Extents{})); diff != "" {
			c.t.Fatalf("%s differs (-written +read):\n%s", at, diff)
		}
	}
	switch {
	case want.IsDirectory():
		c.compareDirectory(at, want, labelled)
	case c.sources[want] != nil:
		c.compareBytes(at, stored, c.sources[want])
	}
}

func (c *contentCheck) compareDirectory(at string, want *tree.Node, labelled bool) {
	c.t.Helper()
	entries, err := c.reader.ReadDir(at)
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
		child := want.Children[e.Name]
		if child == nil {
			c.t.Fatalf("%s/%s was not written", at, e.Name)
		}
		if e.Type != child.Type() {
			c.t.Fatalf("%s/%s has type %o", at, e.Name, e.Type)
		}
		known, seen := c.inodes[e.Inode]
		if seen && known != child {
			c.t.Fatalf("%s/%s shares inode %d with another file", at, e.Name, e.Inode)
		}
		c.inodes[e.Inode] = child
		if !seen && (len(want.Children) < 1000 || len(names)%500 == 0) {
			c.compare(at+"/"+e.Name, e.Inode, child, labelled)
		}
	}
	if wanted := want.Names(); !slices.Equal(wanted, names) {
		c.t.Fatalf("%s: names differ (-written +read):\n%s", at, cmp.Diff(wanted, names))
	}
}

func (c *contentCheck) compareBytes(at string, stored storedInode, s *source) {
	c.t.Helper()
	file, err := c.reader.content(stored)
	if err != nil {
		c.t.Fatalf("%s: %v", at, err)
	}
	want := s.stream()
	ours, theirs := c.ours, c.theirs
	for left := s.node.Size; left > 0; {
		n := min(left, int64(len(ours)))
		if _, err := io.ReadFull(want, ours[:n]); err != nil {
			c.t.Fatal(err)
		}
		if _, err := io.ReadFull(file, theirs[:n]); err != nil {
			c.t.Fatalf("%s: %v", at, err)
		}
		if string(ours[:n]) != string(theirs[:n]) {
			c.t.Fatalf("%s: bytes differ in the last %d of %d", at, left, s.node.Size)
		}
		left -= n
	}
	if _, err := file.Read(theirs[:1]); !errors.Is(err, io.EOF) {
		c.t.Fatalf("%s goes on after %d bytes: %v", at, s.node.Size, err)
	}
}
