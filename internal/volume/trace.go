package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/tree"
)

const (
	// MaxTraceSize bounds a trace in bytes: about 200,000 paths, where a start reads some thousands of files.
	MaxTraceSize = 16 << 20
	// maxTracedPath is Linux's PATH_MAX without its NUL, in bytes (linux/limits.h).
	maxTracedPath = 4095
)

// runtimePaths are what container runtimes look up in every container themselves, before its program runs: they mount
// something there, or look for users (containerd's and runc's defaults).
var runtimePaths = []string{
	"dev", "etc/group", "etc/hostname", "etc/hosts", "etc/mtab", "etc/passwd", "etc/resolv.conf", "proc", "run", "sys",
}

// Trace are files that containers read when they start, by their paths from the root of an image. They count for all
// images alike.
type Trace struct {
	// paths are cleaned, without a slash in front, in byte order, each once; runtimePaths are among them.
	paths []string
}

// ParseTrace reads a trace: one path a line, with or without a slash in front.
func ParseTrace(text []byte) (*Trace, error) {
	if len(text) > MaxTraceSize {
		return nil, fmt.Errorf("the trace is longer than %d MiB", MaxTraceSize>>20)
	}
	if len(text) == 0 {
		return nil, errors.New("the trace is empty: it has the path of a file on each line")
	}
	trace := &Trace{paths: slices.Clone(runtimePaths)}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		cleaned, err := cleanTraced(string(bytes.TrimSuffix(line, []byte("\n"))))
		if err != nil {
			return nil, fmt.Errorf("line %d of the trace: %w", number, err)
		}
		trace.paths = append(trace.paths, cleaned)
	}
	slices.Sort(trace.paths)
	trace.paths = slices.Compact(trace.paths)
	return trace, nil
}

func cleanTraced(line string) (string, error) {
	cleaned := strings.TrimPrefix(path.Clean("/"+line), "/")
	switch {
	case cleaned == "":
		return "", fmt.Errorf("%q is not the path of a file", line)
	case len(line) > maxTracedPath:
		return "", fmt.Errorf("a path of %d bytes is longer than the %d bytes that Linux allows", len(line), maxTracedPath)
	case slices.Contains(strings.Split(line, "/"), ".."):
		return "", fmt.Errorf(`%q has a "..": give the path that it leads to`, line)
	case strings.ContainsRune(line, 0):
		return "", fmt.Errorf("%q holds a NUL byte", line)
	}
	return cleaned, nil
}

// digest identifies what is traced, in whatever order; it is empty for no trace.
func (t *Trace) digest() digest.Digest {
	if t == nil {
		return ""
	}
	return digest.FromString(strings.Join(t.paths, "\n"))
}

func (t *Trace) has(file string) bool {
	_, found := slices.BinarySearch(t.paths, file)
	return found
}

// leadsThrough tells whether a traced file is below the directory.
func (t *Trace) leadsThrough(directory string) bool {
	below := directory + "/"
	at, _ := slices.BinarySearch(t.paths, below)
	return at < len(t.paths) && strings.HasPrefix(t.paths[at], below)
}

// tracedLayer says what of a layer is hot. A small layer is as a whole, since to divide it would save nothing.
type tracedLayer struct {
	// trace is nil for none, and nothing is hot then.
	trace *Trace
	whole bool
}

// hasFile tells whether a file is hot, by its path.
func (l tracedLayer) hasFile(path string) bool {
	return l.trace != nil && (l.whole || l.trace.has(path))
}

// hotNodes returns what finding and reading the traced files takes of a snapshot whose layer's root is given: those
// files, the directories above them, also where another layer has the file, and what such directories have beside
// files and directories: symbolic links, which may lead there, and whiteouts. It is nil for no trace.
func (l tracedLayer) hotNodes(snapshot, root *tree.Node) map[*tree.Node]bool {
	if l.trace == nil {
		return nil
	}
	hot := map[*tree.Node]bool{snapshot: true}
	for _, child := range snapshot.Children {
		hot[child] = true
	}
	l.addHot(hot, root, "")
	return hot
}

func (l tracedLayer) addHot(hot map[*tree.Node]bool, directory *tree.Node, at string) {
	hot[directory] = true
	for name, child := range directory.Children {
		where := at + name
		switch child.Type() {
		case tree.TypeDirectory:
			if l.whole || l.trace.has(where) || l.trace.leadsThrough(where) {
				l.addHot(hot, child, where+"/")
			}
		case tree.TypeRegular:
			if l.hasFile(where) {
				hot[child] = true
			}
		default:
			hot[child] = true
		}
	}
}

// layerStore puts a layer's files into a region, the hot ones together; it implements layer.Store. Of a file with
// several names in the layer, the first one in the tar counts.
type layerStore struct {
	region *ext4.Region
	traced tracedLayer
}

// Store implements layer.Store.
func (s layerStore) Store(ctx context.Context, path string, r io.Reader, size int64) ([]tree.Extent, error) {
	if s.traced.hasFile(path) {
		return s.region.StoreHot(ctx, r, size)
	}
	return s.region.Store(ctx, r, size)
}
