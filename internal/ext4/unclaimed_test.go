package ext4

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// forget removes a name, as a later entry of a layer does after the file's bytes were stored.
func (l *layer) forget(directory, name string) {
	dir := l.root
	for step := range strings.FieldsFuncSeq(directory, func(r rune) bool { return r == '/' }) {
		dir = dir.Children[step]
	}
	dir.Children[name].Links--
	delete(dir.Children, name)
}

// freeBetween returns the runs of free blocks in front of and between those of a region's trees.
func freeBetween(layout Layout) []span {
	var used []span
	for _, t := range layout.Trees {
		used = append(used, convert[span](t.Blocks)...)
	}
	used = join(used)
	owned := join(convert[span](layout.Blocks))
	free, _, _ := subtract(owned, used)
	return slices.DeleteFunc(free, func(s span) bool { return s.Start > used[len(used)-1].Start })
}

// TestFilesThatNoTreeHas stores files that are gone again before the tree is written. e2fsck tells if their
// blocks or inodes count as used.
func TestFilesThatNoTreeHas(t *testing.T) {
	for name, c := range map[string]struct {
		reason  string
		regions func() []packed
		// free are the runs of blocks between those that the first region's layout has to name, as counts.
		free []uint32
	}{
		"replaced": {
			reason: "a file that the layer names twice is stored twice",
			regions: oneLayer(1<<20, func(l *layer) {
				l.file("before", 5000)
				l.file("twice", 9000)
				l.file("between", 1)
				l.file("twice", 100)
			}),
			free: []uint32{3},
		},
		"first and last": {
			reason: "runs are cut at either end",
			regions: oneLayer(1<<20, func(l *layer) {
				l.file("first", 4096)
				l.file("kept", 4096)
				l.file("last", 8192)
				l.forget("", "first")
				l.forget("", "last")
			}),
			free: []uint32{1, 2},
		},
		"neighbours": {
			reason: "two such files side by side are one run",
			regions: oneLayer(1<<20, func(l *layer) {
				l.file("a", 4096)
				l.file("b", 4096)
				l.file("kept", 4096)
				l.forget("", "a")
				l.forget("", "b")
			}),
			free: []uint32{2},
		},
		"larger than chunks": {
			reason: "chunks that hold nothing else do not belong to the region",
			regions: oneLayer(0, func(l *layer) {
				l.file("small", 10)
				l.file("large", 3*ChunkSize+1)
				l.file("after", 10)
				l.forget("", "large")
			}),
			free: []uint32{blocksPerChunk - 1, 2},
		},
		"all of a layer": {
			reason: "no file is left, but directories follow in the same chunk",
			regions: oneLayer(1<<20, func(l *layer) {
				l.file("dir/a", 70_000)
				l.forget("dir", "a")
			}),
			free: []uint32{18},
		},
		"last hard link": {
			reason: "an inode without a name is none",
			regions: oneLayer(1<<20, func(l *layer) {
				f := l.file("a", 5000)
				l.link("dir/b", f)
				l.forget("", "a")
				l.forget("dir", "b")
				l.file("kept", 1)
			}),
			free: []uint32{2},
		},
		"one of two hard links": {
			reason: "the inode still has a name",
			regions: oneLayer(1<<20, func(l *layer) {
				l.link("dir/b", l.file("a", 5000))
				l.forget("", "a")
			}),
		},
		"directory replaced by a file": {
			reason: "all that was below it goes with it",
			regions: oneLayer(1<<20, func(l *layer) {
				l.file("x/deep/inner", 5000)
				l.file("x/other", 5000)
				l.forget("", "x")
				l.file("x", 1)
			}),
			free: []uint32{4},
		},
		"small layers of one region": {
			reason: "each tree has its own files of those stored so far",
			regions: func() []packed {
				region := packed{reserve: 1 << 20}
				for i := range 4 {
					l := newLayer()
					l.file("kept", int64(4096*i))
					l.file("twice", 5000)
					l.file("twice", 6000)
					region.layers = append(region.layers, l)
				}
				return []packed{region}
			},
			free: []uint32{2, 2, 2, 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			regions := c.regions()
			b := build(t, options(minimumSize), regions, nil)
			checkContent(t, b, regions)
			checkFilesystem(t, b.disk)
			var free []uint32
			for _, extent := range freeBetween(b.layouts[0]) {
				free = append(free, extent.Count)
			}
			if diff := cmp.Diff(c.free, free); diff != "" {
				t.Errorf("free runs of blocks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilesInBlocksThatAreNotTheirs(t *testing.T) {
	for reason, extents := range map[string]func(stored tree.Extent) []tree.Extent{
		"another file's": func(stored tree.Extent) []tree.Extent { return []tree.Extent{stored} },
		"beyond what was stored": func(stored tree.Extent) []tree.Extent {
			return []tree.Extent{{Start: stored.Start + stored.Count, Count: stored.Count}}
		},
		"in front of what was stored": func(stored tree.Extent) []tree.Extent {
			return []tree.Extent{{Start: stored.Start - 1, Count: stored.Count}}
		},
	} {
		t.Run(reason, func(t *testing.T) {
			_, regions := newTestWriter(t, ChunkSize)
			ctx := context.Background()
			const size = 2 * BlockSize
			stored, err := regions[0].Store(ctx, bytes.NewReader(make([]byte, size)), size)
			if err != nil {
				t.Fatal(err)
			}
			l := newLayer()
			l.file("a", size).Extents = tree.NewExtents(stored)
			l.file("dir/b", size).Extents = tree.NewExtents(extents(stored[0]))
			_, err = regions[0].WriteTree(ctx, l.root, nil)
			if want := fmt.Sprintf("/dir/b: block %d", extents(stored[0])[0].Start); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want one that says %q", err, want)
			}
		})
	}
}
