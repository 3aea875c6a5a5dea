package ext4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// generation is a filesystem that can be the parent of the next one.
type generation struct {
	disk    *memoryDisk
	regions []*livingRegion
	// reserved and inodes are the last region's.
	reserved []tree.Extent
	inodes   []Range
	// named counts the layers of this and all earlier generations.
	named int
}

// livingRegion is a region with the layers that its trees are, and their names in the anchor directory.
type livingRegion struct {
	layout Layout
	layers []*layer
	names  []string
}

// change is how a child differs from its parent.
type change struct {
	size int64
	// stays tells for each layer of each region whether it stays; nil keeps all.
	stays func(region, layer int) bool
	add   []packed
	// files is how many files there are beside the anchor.
	files int
}

// next writes a child of the filesystem, or a first one without a disk, and checks it.
func (g *generation) next(t *testing.T, c change) *generation {
	t.Helper()
	o := options(c.size)
	child := &generation{disk: newMemoryDisk(c.size), named: g.named}
	parent := &readChunks{}
	if g.disk != nil {
		child.disk = g.disk.child(c.size)
		parent.ReaderAt = g.disk
		o.Previous = &Previous{Bytes: parent, Inodes: g.inodes}
		for _, r := range g.regions {
			o.Previous.Inodes = append(o.Previous.Inodes, r.layout.Inodes...)
		}
	}
	w, err := NewWriter(child.disk, o)
	if err != nil {
		t.Fatal(err)
	}
	anchor := tree.NewDirectory(0o700, modified)
	var asTheyWere, mended []int64
	for i, r := range g.regions {
		stays := func(layer int) bool { return c.stays == nil || c.stays(i, layer) }
		kept := r.keep(t, w, anchor, stays)
		if len(kept.layers) == len(r.layers) {
			asTheyWere = append(asTheyWere, kept.layout.Chunks()...)
		} else {
			mended = append(mended, kept.layout.Chunks()...)
		}
		if len(kept.layers) > 0 {
			child.regions = append(child.regions, kept)
		}
	}
	meta, err := w.NewRegionAt(g.reserved, 2<<20)
	if err != nil {
		t.Fatal(err)
	}
	child.reserved = meta.Reserved()
	child.grow(t, w, anchor, c.add)
	top := child.finish(t, w, meta, anchor, c.files)

	for _, chunk := range asTheyWere {
		if _, written := child.disk.chunks[chunk]; written || slices.Contains(parent.chunks, chunk) {
			t.Errorf("chunk %d of a region that stays was written (%v) or read", chunk, written)
		}
	}
	for _, chunk := range parent.chunks {
		if !slices.Contains(mended, chunk) {
			t.Errorf("chunk %d of the parent was read", chunk)
		}
	}
	child.check(t, top)
	return child
}

// keep leaves those layers of a region that stay.
func (r *livingRegion) keep(t *testing.T, w *Writer, anchor *tree.Node, stays func(layer int) bool) *livingRegion {
	t.Helper()
	kept := &livingRegion{}
	nodes := make([]*tree.Node, len(r.layers))
	for i, l := range r.layers {
		if !stays(i) {
			continue
		}
		nodes[i] = tree.NewDirectory(0o755, modified)
		anchor.Children[r.names[i]] = nodes[i]
		kept.layers = append(kept.layers, l)
		kept.names = append(kept.names, r.names[i])
	}
	var err error
	if kept.layout, err = w.KeepRegion(r.layout, nodes); err != nil {
		t.Fatal(err)
	}
	return kept
}

// grow writes new regions at the same time.
func (g *generation) grow(t *testing.T, w *Writer, anchor *tree.Node, add []packed) {
	t.Helper()
	handles := make([]*Region, len(add))
	for i, spec := range add {
		var err error
		if handles[i], err = w.NewRegion(spec.reserve); err != nil {
			t.Fatal(err)
		}
	}
	failures := make([]error, len(add))
	var running sync.WaitGroup
	for i, spec := range add {
		running.Go(func() { failures[i] = fill(context.Background(), handles[i], spec.layers, nil) })
	}
	running.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	for i, spec := range add {
		added := &livingRegion{layout: handles[i].Layout(), layers: spec.layers}
		for _, l := range spec.layers {
			g.named++
			added.names = append(added.names, fmt.Sprint("layer", g.named))
			anchor.Children[added.names[len(added.names)-1]] = l.root
		}
		g.regions = append(g.regions, added)
	}
}

func (g *generation) finish(t *testing.T, w *Writer, meta *Region, anchor *tree.Node, files int) *tree.Node {
	t.Helper()
	ctx := context.Background()
	top := newLayer()
	top.root.Children["anchor"] = anchor
	for i := range files {
		f := top.file(fmt.Sprintf("blobs/%d", i), 0)
		f.Size = int64(len(pattern) % (1 + i))
		extents, err := meta.Store(ctx, bytes.NewReader(make([]byte, f.Size)), f.Size)
		if err != nil {
			t.Fatal(err)
		}
		f.Extents = tree.NewExtents(extents)
	}
	var err error
	if g.inodes, err = meta.ReserveInodes(ctx, int64(3+files)); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(ctx, meta, top.root, anchor); err != nil {
		t.Fatal(err)
	}
	return top.root
}

// check compares everything that should be there with what the Reader and e2fsck find.
func (g *generation) check(t *testing.T, top *tree.Node) {
	t.Helper()
	var living []packed
	anchor := top.Children["anchor"]
	for _, r := range g.regions {
		living = append(living, packed{layers: r.layers})
		for i, l := range r.layers {
			anchor.Children[r.names[i]] = l.root
		}
	}
	checkContent(t, built{disk: g.disk, top: top}, living)
	checkFilesystem(t, g.disk)
}

// soil fills chunks that are free for regions with ones, as removed layers leave them.
func (g *generation) soil(t *testing.T) {
	t.Helper()
	geometry, err := newGeometry(g.disk.size)
	if err != nil {
		t.Fatal(err)
	}
	soiled, garbage := g.disk.child(g.disk.size), bytes.Repeat([]byte{0xFF}, ChunkSize)
	used := make([]byte, blocksPerChunk/8)
	left := 40
	for _, s := range geometry.freeChunks() {
		for chunk := s.Start; chunk < s.end() && left > 0; chunk++ {
			at := int64(blockBitmap(chunk/chunksPerGroup))*BlockSize + int64(chunk%chunksPerGroup)*int64(len(used))
			if _, err := g.disk.ReadAt(used, at); err != nil {
				t.Fatal(err)
			}
			if slices.Max(used) == 0 {
				soiled.before[int64(chunk)] = garbage
				left--
			}
		}
	}
	g.disk = soiled
}

// readChunks notes which chunks are read.
type readChunks struct {
	io.ReaderAt
	chunks []int64
}

func (r *readChunks) ReadAt(b []byte, offset int64) (int, error) {
	r.chunks = append(r.chunks, offset/ChunkSize)
	return r.ReaderAt.ReadAt(b, offset)
}

// randomLayer has something of everything, and seldom more inodes than a chunk holds.
func randomLayer(random *rand.Rand) *layer {
	l := newLayer()
	if random.IntN(4) == 0 {
		addAllTypes(l)
	}
	if random.IntN(4) == 0 {
		addAttributes(l)
	}
	files := 1 << random.IntN(10)
	if random.IntN(8) == 0 {
		files = 3000
	}
	for i := range files {
		f := l.file(fmt.Sprintf("usr/%d/%d", random.IntN(9), i), random.Int64N(1<<(3+random.IntN(11))))
		if random.IntN(5) == 0 {
			l.link(fmt.Sprint("bin/", i), f)
		}
	}
	if random.IntN(3) == 0 {
		l.file("twice", random.Int64N(1<<19))
	}
	l.file("twice", random.Int64N(1<<20))
	if random.IntN(2) == 0 {
		l.heat(func(int) bool { return random.IntN(4) == 0 })
	}
	return l
}

func randomRegions(random *rand.Rand) []packed {
	regions := make([]packed, random.IntN(4))
	for i := range regions {
		regions[i].reserve = random.Int64N(2 << 20)
		for range 1 + random.IntN(3) {
			regions[i].layers = append(regions[i].layers, randomLayer(random))
		}
	}
	return regions
}

// TestGenerations has layers come and go in random order, over several filesystems each of which is a child of the
// one before.
func TestGenerations(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			g := (&generation{}).next(t, change{size: minimumSize, add: randomRegions(random)})
			for range 6 {
				if random.IntN(2) == 0 {
					g.soil(t)
				}
				size := g.disk.size
				if random.IntN(3) == 0 {
					size += random.Int64N(3<<11) * ChunkSize
				}
				fates := make([]int, len(g.regions))
				for i := range fates {
					fates[i] = random.IntN(5)
				}
				g = g.next(t, change{
					size: size,
					stays: func(region, layer int) bool {
						switch fates[region] {
						case 0:
							return false
						case 1:
							return layer != 0
						case 2:
							return layer != 1
						}
						return true
					},
					add:   randomRegions(random),
					files: random.IntN(2) * random.IntN(5000),
				})
			}
		})
	}
}

// TestUnchangedChildWritesNothingNew keeps everything, and writes only what equals the parent.
func TestUnchangedChildWritesNothingNew(t *testing.T) {
	first := (&generation{}).next(t, change{size: minimumSize, add: manyRegions(), files: 3000})
	second := first.next(t, change{size: minimumSize, files: 3000})
	for index, chunk := range second.disk.chunks {
		if !bytes.Equal(chunk, second.disk.before[index]) {
			t.Errorf("chunk %d differs", index)
		}
	}
}

func TestHoleIsReused(t *testing.T) {
	region := func(size int64) []packed {
		l := newLayer()
		l.file("large", size)
		return []packed{{reserve: size, layers: []*layer{l}}}
	}
	first := (&generation{}).next(t, change{size: minimumSize, add: slices.Concat(region(3<<20), region(1<<20))})
	first.soil(t)
	second := first.next(t, change{
		size:  minimumSize,
		stays: func(region, _ int) bool { return region == 1 },
		add:   region(2 << 20),
	})
	removed, added := first.regions[0].layout, second.regions[1].layout
	if removed.Blocks[0].Start != added.Blocks[0].Start || removed.Inodes[0] != added.Inodes[0] {
		t.Errorf("the hole %+v %+v was not reused by %+v %+v", removed.Blocks, removed.Inodes, added.Blocks, added.Inodes)
	}
}
