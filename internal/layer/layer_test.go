package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/tree"
)

// stamp is the modification time of every entry that says none.
var stamp = time.Unix(1000, 0)

// blockSize is a filesystem block in bytes, the unit of tree.Extent.
const blockSize = 4096

// memory is a Store that keeps each file in blocks of its own.
type memory struct {
	blocks []byte
	limit  int64
}

func (m *memory) Store(_ context.Context, _ string, r io.Reader, size int64) ([]tree.Extent, error) {
	if m.limit > 0 && size > m.limit {
		return nil, errors.New("no space left in the store")
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if int64(len(content)) != size {
		return nil, fmt.Errorf("%d bytes came instead of %d", len(content), size)
	}
	start := len(m.blocks) / blockSize
	m.blocks = append(m.blocks, content...)
	m.blocks = append(m.blocks, make([]byte, -len(m.blocks)&(blockSize-1))...)
	return []tree.Extent{{Start: uint32(start), Count: uint32(len(m.blocks)/blockSize - start)}}, nil
}

func (m *memory) content(node *tree.Node) string {
	var content []byte
	for _, extent := range node.Extents.List() {
		content = append(content, m.blocks[extent.Start*blockSize:(extent.Start+extent.Count)*blockSize]...)
	}
	return string(content[:node.Size])
}

// entry is a tar header and its bytes; what a test leaves out is filled in by tarOf.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg}, content}
}

func directory(name string, mode int64) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: mode}}
}

func symlink(name, target string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}}
}

func hardlink(name, target string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}}
}

func globalHeader(name string) entry {
	return entry{Header: tar.Header{Name: name, Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}}
}

// with changes a header.
func (e entry) with(change func(*tar.Header)) entry {
	change(&e.Header)
	return e
}

func (e entry) xattr(name, value string) entry {
	records := maps.Clone(e.PAXRecords)
	if records == nil {
		records = map[string]string{}
	}
	records["SCHILY.xattr."+name] = value
	e.PAXRecords = records
	return e
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := e.Header
		if header.ModTime.IsZero() && header.Typeflag != tar.TypeXGlobalHeader {
			header.ModTime = stamp
		}
		if header.Mode == 0 && header.Typeflag != tar.TypeXGlobalHeader {
			header.Mode = 0o644
		}
		header.Size = int64(len(e.content))
		if err := writer.WriteHeader(&header); err != nil {
			t.Fatalf("writing the header of %q: %v", header.Name, err)
		}
		if _, err := writer.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// spec is that of a layer whose uncompressed stream is given, for a volume of 1 GiB.
func spec(uncompressed []byte, bottom bool) Spec {
	return Spec{DiffID: digest.FromBytes(uncompressed), Bottom: bottom, Limit: 1 << 30}
}

func read(t testing.TB, bottom bool, entries ...entry) (*Diff, *memory, error) {
	t.Helper()
	blob := tarOf(t, entries...)
	store := &memory{}
	diff, err := Read(context.Background(), bytes.NewReader(blob), spec(blob, bottom), store)
	return diff, store, err
}

func mustRead(t testing.TB, bottom bool, entries ...entry) (*Diff, *memory) {
	t.Helper()
	diff, store, err := read(t, bottom, entries...)
	if err != nil {
		t.Fatal(err)
	}
	return diff, store
}

// list renders a tree as one line per name, as ls would: mode, owner, time, what is special.
func list(root *tree.Node, store *memory) map[string]string {
	lines := map[string]string{}
	var walk func(node *tree.Node, path string)
	walk = func(node *tree.Node, path string) {
		lines[path] = describe(node, store)
		for _, name := range node.Names() {
			walk(node.Children[name], strings.TrimPrefix(path+"/"+name, "./"))
		}
	}
	walk(root, ".")
	return lines
}

func describe(node *tree.Node, store *memory) string {
	line := fmt.Sprintf("%06o %d:%d @%d", node.Mode, node.UID, node.GID, node.Mtime.Time().Unix())
	switch node.Type() {
	case tree.TypeRegular:
		line += fmt.Sprintf(" %q", store.content(node))
	case tree.TypeSymlink:
		line += " -> " + node.Target()
	case tree.TypeCharDev, tree.TypeBlockDev:
		major, minor := node.Device()
		line += fmt.Sprintf(" %d,%d", major, minor)
	}
	if !node.IsDirectory() && node.Links != 1 {
		line += fmt.Sprintf(" links=%d", node.Links)
	}
	for _, name := range slices.Sorted(maps.Keys(node.Xattrs)) {
		line += fmt.Sprintf(" %s=%q", name, node.Xattrs[name])
	}
	return line
}

// chain reads layers from the bottom up, lets each inherit from those below, and returns the top one.
func chain(t *testing.T, layers ...[]entry) (*Diff, *memory) {
	t.Helper()
	var (
		top   *Diff
		store *memory
		lower []Lower
	)
	for i, entries := range layers {
		top, store = mustRead(t, i == 0, entries...)
		if err := top.Inherit(lower); err != nil {
			t.Fatalf("layer %d: %v", i, err)
		}
		checkReinherit(t, top, lower)
		lower = append([]Lower{top}, lower...)
	}
	return top, store
}
