package ext4

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// twoTrees is a region of two trees in a filesystem, with a writer of its child.
func twoTrees(t *testing.T) (Layout, func() *Writer) {
	t.Helper()
	regions := []packed{{layers: []*layer{newLayer(), newLayer()}}, {layers: []*layer{newLayer()}}}
	for _, l := range regions[0].layers {
		l.file("dir/file", 10_000)
		l.file("dir/other", 4000)
	}
	g := (&generation{}).next(t, change{size: minimumSize, add: regions})
	return g.regions[0].layout, func() *Writer {
		o := options(minimumSize)
		o.Previous = &Previous{Bytes: g.disk, Inodes: slices.Concat(g.inodes, g.regions[0].layout.Inodes, g.regions[1].layout.Inodes)}
		w, err := NewWriter(g.disk.child(minimumSize), o)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
}

func TestLayoutsThatCannotBe(t *testing.T) {
	layout, newWriter := twoTrees(t)
	nodes := []*tree.Node{tree.NewDirectory(0o755, modified), tree.NewDirectory(0o755, modified)}
	for reason, damage := range map[string]func(l *Layout){
		"blocks that are no whole chunks":       func(l *Layout) { l.Blocks[0].Count-- },
		"blocks that begin within a chunk":      func(l *Layout) { l.Blocks[0].Start++ },
		"no blocks in a run":                    func(l *Layout) { l.Blocks[0].Count = 0 },
		"the superblock's blocks":               func(l *Layout) { l.Blocks[0].Start = 0 },
		"the journal's blocks":                  func(l *Layout) { l.Blocks[0].Start = journalStart },
		"an inode table's blocks":               func(l *Layout) { l.Blocks[0].Start = inodeTable(3) },
		"blocks beyond the filesystem":          func(l *Layout) { l.Blocks[0].Start = minimumSize / BlockSize },
		"blocks beyond all numbers":             func(l *Layout) { l.Blocks[0].Count = 1<<32 - blocksPerChunk },
		"the same blocks twice":                 func(l *Layout) { l.Blocks = append(l.Blocks, l.Blocks[0]) },
		"inodes that are no whole chunks":       func(l *Layout) { l.Inodes[0].Count++ },
		"inodes that begin within a chunk":      func(l *Layout) { l.Inodes[0].Start++ },
		"inode zero":                            func(l *Layout) { l.Inodes[0].Start = 0 },
		"the filesystem's own inodes":           func(l *Layout) { l.Inodes[0].Start = 1 },
		"inodes beyond the filesystem":          func(l *Layout) { l.Inodes[0].Count = 1 << 20 },
		"inodes beyond all numbers":             func(l *Layout) { l.Inodes[0].Count = 1<<32 - inodesPerChunk },
		"the same inodes twice":                 func(l *Layout) { l.Inodes = append(l.Inodes, l.Inodes[0]) },
		"a tree's blocks outside of the region": func(l *Layout) { l.Trees[0].Blocks[0].Count = 1 << 31 },
		"a tree's blocks beyond all numbers":    func(l *Layout) { l.Trees[0].Blocks[0].Count = 1<<32 - 1 },
		"two trees in the same blocks":          func(l *Layout) { l.Trees[0].Blocks = l.Trees[1].Blocks },
		"a tree's inodes outside of the region": func(l *Layout) { l.Trees[0].Inodes[0].Start = 1 },
		"two trees in the same inodes":          func(l *Layout) { l.Trees[0].Inodes = l.Trees[1].Inodes },
		"a root that is another tree's":         func(l *Layout) { l.Trees[0].Root = l.Trees[1].Root },
		"more directories than inodes":          func(l *Layout) { l.Trees[0].Directories = map[uint32]uint32{0: 1000} },
		"directories in a group without inodes": func(l *Layout) { l.Trees[0].Directories = map[uint32]uint32{1 << 31: 1} },
		"fewer trees than nodes":                func(l *Layout) { l.Trees = l.Trees[:1] },
	} {
		t.Run(reason, func(t *testing.T) {
			w, damaged := newWriter(), copyLayout(layout)
			damage(&damaged)
			if _, err := w.KeepRegion(damaged, nodes); err == nil {
				t.Error("no error")
			}
			kept, err := w.KeepRegion(layout, nodes)
			if err != nil {
				t.Fatalf("something was kept of a layout that was refused: %v", err)
			}
			if diff := cmp.Diff(layout, kept); diff != "" {
				t.Errorf("the layout changed:\n%s", diff)
			}
			if _, err := w.KeepRegion(layout, nodes); err == nil {
				t.Error("a region was kept twice")
			}
		})
	}
}

func copyLayout(l Layout) Layout {
	l.Blocks, l.Inodes, l.Trees = slices.Clone(l.Blocks), slices.Clone(l.Inodes), slices.Clone(l.Trees)
	for i := range l.Trees {
		t := &l.Trees[i]
		t.Blocks, t.Inodes = slices.Clone(t.Blocks), slices.Clone(t.Inodes)
	}
	return l
}

// TestRandomLayouts changes numbers of a layout at random: each is refused or kept, without a panic.
func TestRandomLayouts(t *testing.T) {
	layout, newWriter := twoTrees(t)
	random := rand.New(rand.NewPCG(7, 7))
	for range 3000 {
		damaged := copyLayout(layout)
		var numbers []*uint32
		for i := range damaged.Blocks {
			numbers = append(numbers, &damaged.Blocks[i].Start, &damaged.Blocks[i].Count)
		}
		for i := range damaged.Inodes {
			numbers = append(numbers, &damaged.Inodes[i].Start, &damaged.Inodes[i].Count)
		}
		for i := range damaged.Trees {
			tr := &damaged.Trees[i]
			numbers = append(numbers, &tr.Root, &tr.Blocks[0].Start, &tr.Blocks[0].Count, &tr.Inodes[0].Start, &tr.Inodes[0].Count)
		}
		for range 1 + random.IntN(3) {
			values := []uint32{0, 1, blocksPerChunk, inodesPerChunk + 1, 1 << 31, 1<<32 - 1, 1<<32 - blocksPerChunk, random.Uint32(), random.Uint32N(1 << 18)}
			*numbers[random.IntN(len(numbers))] = values[random.IntN(len(values))]
		}
		nodes := []*tree.Node{tree.NewDirectory(0o755, modified), nil}
		if kept, err := newWriter().KeepRegion(damaged, nodes); err == nil && len(kept.Chunks()) > int(minimumSize/ChunkSize) {
			t.Fatalf("a region of %d chunks was kept: %+v", len(kept.Chunks()), damaged)
		}
	}
}

func TestKeepingAtTheWrongTime(t *testing.T) {
	layout, newWriter := twoTrees(t)
	node := func() *tree.Node { return tree.NewDirectory(0o755, modified) }
	twice := node()
	for reason, keep := range map[string]func(w *Writer) error{
		"without a previous filesystem": func(*Writer) error {
			w, err := NewWriter(newMemoryDisk(minimumSize), options(minimumSize))
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.KeepRegion(layout, []*tree.Node{node(), node()})
			return err
		},
		"after a new region": func(w *Writer) error {
			if _, err := w.NewRegion(0); err != nil {
				t.Fatal(err)
			}
			_, err := w.KeepRegion(layout, []*tree.Node{node(), node()})
			return err
		},
		"one node for two trees": func(w *Writer) error {
			_, err := w.KeepRegion(layout, []*tree.Node{twice, twice})
			return err
		},
		"a node that is no directory": func(w *Writer) error {
			_, err := w.KeepRegion(layout, []*tree.Node{node(), {Mode: tree.TypeRegular}})
			return err
		},
	} {
		if err := keep(newWriter()); err == nil {
			t.Errorf("%s: no error", reason)
		}
	}
}
