package ext4

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// heat makes files hot, by their number, and all that leads to them.
func (l *layer) heat(isHot func(file int) bool) {
	l.hot = map[*tree.Node]bool{l.root: true}
	for i, f := range l.files {
		if isHot(i) && f.node.Size > 0 {
			l.hot[f.node] = true
		}
	}
	l.heatBelow(l.root)
}

// heatBelow makes a directory hot that has something hot below it.
func (l *layer) heatBelow(directory *tree.Node) bool {
	for _, child := range directory.Children {
		if l.hot[child] || child.IsDirectory() && l.heatBelow(child) {
			l.hot[directory] = true
		}
	}
	return l.hot[directory]
}

// packages is a layer of so many directories of ten files of 20,000 bytes.
func packages(count int) *layer {
	l := newLayer()
	for i := range 10 * count {
		l.file(fmt.Sprintf("usr/lib/package-%03d/%d", i/10, i%10), 20_000)
	}
	return l
}

// oneInEight are the files of every eighth package.
func oneInEight(file int) bool { return file/10%8 == 3 }

func hotRegions() []packed {
	regions := manyRegions()
	for i, region := range regions {
		for _, l := range region.layers {
			l.heat(func(file int) bool { return file%(2+i) == 0 })
		}
	}
	return regions
}

// TestHotFilesHaveChunksOfTheirOwn looks for blocks of both kinds in one chunk, and where the inodes are.
func TestHotFilesHaveChunksOfTheirOwn(t *testing.T) {
	for reason, reserve := range map[string]int64{"all of it reserved": 128 * 21_000 * 10, "two chunks reserved": 2 * ChunkSize} {
		t.Run(reason, func(t *testing.T) {
			l := packages(128)
			l.heat(oneInEight)
			regions := []packed{{reserve: reserve, layers: []*layer{l}}, {reserve: 1, layers: []*layer{packages(3)}}}
			b := build(t, options(minimumSize), regions, nil)
			checkContent(t, b, regions)
			checkFilesystem(t, b.disk)

			placed := b.layouts[0].Trees[0]
			cold, missing, ok := subtract(join(convert[span](placed.Blocks)), convert[span](placed.Hot))
			if !ok {
				t.Fatalf("the hot blocks %+v are not the tree's", missing)
			}
			hotChunks := cover(convert[span](placed.Hot), 0, blocksPerChunk)
			if both := intersect(hotChunks, cover(cold, 0, blocksPerChunk)); len(both) > 0 {
				t.Errorf("the chunks %+v have hot blocks and others", both)
			}
			// 160 files of five blocks, and 16 directories of one with the three above them.
			const hotBlocks = 160*5 + 16 + 3
			if got := blockCount(placed.Hot); got != hotBlocks {
				t.Errorf("%d blocks are hot, want %d", got, hotBlocks)
			}
			if got := (&pool{free: hotChunks}).available(); got != (hotBlocks+blocksPerChunk-1)/blocksPerChunk {
				t.Errorf("%d hot blocks are in %d chunks", hotBlocks, got)
			}
			want := []Range{{Start: placed.Inodes[0].Start, Count: 160 + 16 + 3}}
			if diff := cmp.Diff(want, placed.HotInodes); diff != "" {
				t.Errorf("hot inodes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHotDirectoriesAloneTakeNoChunk has a layer without hot files as large as one that nothing is known of.
func TestHotDirectoriesAloneTakeNoChunk(t *testing.T) {
	layout := func(heat bool) Layout {
		l := packages(8)
		if heat {
			l.hot = map[*tree.Node]bool{l.root: true, l.root.Children["usr"]: true}
		}
		regions := []packed{{reserve: ChunkSize, layers: []*layer{l}}}
		b := build(t, options(minimumSize), regions, nil)
		checkContent(t, b, regions)
		checkFilesystem(t, b.disk)
		return b.layouts[0]
	}
	plain, heated := layout(false), layout(true)
	if diff := cmp.Diff(plain.Blocks, heated.Blocks); diff != "" {
		t.Errorf("the chunks of a region (-nothing hot +hot directories):\n%s", diff)
	}
	if got := blockCount(heated.Trees[0].Hot); got != 2 {
		t.Errorf("%d blocks are hot, want those of the two directories", got)
	}
}

// TestHotRegionsStay keeps regions with hot files in a child, and some of their trees only.
func TestHotRegionsStay(t *testing.T) {
	first := (&generation{}).next(t, change{size: minimumSize, add: hotRegions()})
	second := first.next(t, change{
		size:  minimumSize,
		stays: func(region, layer int) bool { return region%2 == 0 || layer > 0 },
		add:   hotRegions(),
	})
	second.next(t, change{size: minimumSize + 64*ChunkSize})
}

func TestHotBytesDoNotDependOnTiming(t *testing.T) {
	want := build(t, options(minimumSize), hotRegions(), nil)
	if !slices.ContainsFunc(want.layouts, func(l Layout) bool { return len(l.Trees) > 0 && len(l.Trees[0].Hot) > 1 }) {
		t.Fatal("no region has hot files")
	}
	for seed := range uint64(3) {
		got := build(t, options(minimumSize), hotRegions(), newShuffler(t, seed))
		if got.disk.digest() != want.disk.digest() {
			t.Errorf("seed %d: the order of reads changed the filesystem", seed)
		}
	}
}

// TestHotLayersShareAChunk has a layer without files in front of one with hot files, in one region.
func TestHotLayersShareAChunk(t *testing.T) {
	small, large := newLayer(), packages(8)
	small.add("etc/config", tree.NewDirectory(0o755, modified))
	small.heat(nil)
	small.hot[small.root.Children["etc"]] = true
	large.heat(oneInEight)
	regions := []packed{{reserve: 4 * ChunkSize, layers: []*layer{small, large}}}
	b := build(t, options(minimumSize), regions, nil)
	checkContent(t, b, regions)
	checkFilesystem(t, b.disk)
	var hot []span
	for _, placed := range b.layouts[0].Trees {
		hot = append(hot, convert[span](placed.Hot)...)
	}
	if chunks := cover(hot, 0, blocksPerChunk); len(chunks) != 1 || chunks[0].Count != 1 {
		t.Errorf("the hot blocks are in the chunks %+v, want one", chunks)
	}
}
