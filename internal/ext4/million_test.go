package ext4

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// discard takes chunks and keeps nothing.
type discard struct{}

func (discard) WriteChunk(context.Context, int64, []byte) error { return nil }

// millionFiles is a tree of small files, 50 to a directory, as package managers of languages leave it.
func millionFiles(b *testing.B, r *Region) *tree.Node {
	b.Helper()
	root := tree.NewDirectory(0o755, modified)
	for i := range 200 {
		outer := tree.NewDirectory(0o755, modified)
		root.Children[fmt.Sprint("package-", i)] = outer
		for j := range 100 {
			inner := tree.NewDirectory(0o755, modified)
			outer.Children[fmt.Sprint("module-", j)] = inner
			for k := range 50 {
				extents, err := r.Store(context.Background(), zeros{}, 100)
				if err != nil {
					b.Fatal(err)
				}
				inner.Children[fmt.Sprintf("file-%d.js", k)] = &tree.Node{
					Mode: tree.TypeRegular | 0o644, Mtime: tree.NewTime(modified), Atime: tree.NewTime(modified), Size: 100, Extents: tree.NewExtents(extents), Links: 1,
				}
			}
		}
	}
	return root
}

// BenchmarkMillionFiles reports, for each inode of a tree, what its plan holds in memory, and what writing it and
// counting its usage allocate.
func BenchmarkMillionFiles(b *testing.B) {
	const inodes = 1 + 200 + 200*100 + 1_000_000
	for b.Loop() {
		w, err := NewWriter(discard{}, options(64<<30))
		if err != nil {
			b.Fatal(err)
		}
		r, err := w.NewRegion(0)
		if err != nil {
			b.Fatal(err)
		}
		root := millionFiles(b, r)
		report := func(unit string, measured func(*runtime.MemStats) uint64, do func() (any, error)) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			result, err := do()
			if err != nil {
				b.Fatal(err)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(result)
			b.ReportMetric(float64(measured(&after)-measured(&before))/inodes, unit)
		}
		held := func(m *runtime.MemStats) uint64 { return m.HeapAlloc }
		allocated := func(m *runtime.MemStats) uint64 { return m.TotalAlloc }
		report("planned-B/inode", held, func() (any, error) { return newPlan(root, nil, nil) })
		report("written-B/inode", allocated, func() (any, error) { return r.WriteTree(context.Background(), root, nil) })
		report("usage-B/inode", allocated, func() (any, error) {
			_, _, err := w.UsageOf(root)
			return nil, err
		})
	}
}
