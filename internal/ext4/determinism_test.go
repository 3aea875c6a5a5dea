package ext4

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBytesDoNotDependOnTiming(t *testing.T) {
	want := build(t, options(minimumSize), manyRegions(), nil)
	for _, processors := range []int{1, 4} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%d processors, order %d", processors, seed), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
				got := build(t, options(minimumSize), manyRegions(), newShuffler(t, seed))
				if got.disk.digest() != want.disk.digest() {
					t.Fatal("the order of reads changed the filesystem")
				}
				if diff := cmp.Diff(want.layouts, got.layouts); diff != "" {
					t.Fatalf("the order of reads changed the layout:\n%s", diff)
				}
			})
		}
	}
}

func TestRegionsDoNotDependOnTheSize(t *testing.T) {
	small := build(t, options(minimumSize), manyRegions(), nil)
	for _, size := range []int64{minimumSize + 300*ChunkSize, 20<<30 - 2<<20, 129 << 30} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			large := build(t, options(size), manyRegions(), nil)
			if diff := cmp.Diff(small.layouts, large.layouts); diff != "" {
				t.Fatalf("a larger filesystem has its regions elsewhere:\n%s", diff)
			}
			for i, layout := range small.layouts {
				for _, chunk := range layout.Chunks() {
					if !bytes.Equal(small.disk.chunks[chunk], large.disk.chunks[chunk]) {
						t.Fatalf("chunk %d of region %d differs in a larger filesystem", chunk, i)
					}
				}
			}
		})
	}
}

func TestEveryChunkBelongsToOneRegionOrToTheFilesystem(t *testing.T) {
	b := build(t, options(minimumSize), manyRegions(), nil)
	owner := map[int64]int{}
	for i, layout := range b.layouts {
		for _, chunk := range layout.Chunks() {
			if other, owned := owner[chunk]; owned {
				t.Errorf("chunk %d belongs to regions %d and %d", chunk, other, i)
			}
			owner[chunk] = i
			if _, written := b.disk.chunks[chunk]; !written {
				t.Errorf("chunk %d of region %d was not written", chunk, i)
			}
		}
		for _, run := range layout.Inodes {
			if run.Start%inodesPerChunk != 1 || run.Count%inodesPerChunk != 0 {
				t.Errorf("region %d has the inode run %+v", i, run)
			}
		}
		for _, run := range layout.Blocks {
			if run.Start%blocksPerChunk != 0 || run.Count%blocksPerChunk != 0 {
				t.Errorf("region %d has the block run %+v", i, run)
			}
		}
	}
}

// TestFreeChunksAndMetadataDoNotMeet compares the free chunks with what the block bitmap of an empty
// filesystem has in use, up to the largest.
func TestFreeChunksAndMetadataDoNotMeet(t *testing.T) {
	for _, size := range []int64{minimumSize, 2<<30 + shortestLastGroup*BlockSize, 129 << 30, 2032 << 30} {
		w, err := NewWriter(newMemoryDisk(size), options(size))
		if err != nil {
			t.Fatal(err)
		}
		used := w.blockBitmap()
		for _, s := range w.chunks.free {
			const bytesPerChunk = blocksPerChunk / 8
			if part := used[s.Start*bytesPerChunk : s.end()*bytesPerChunk]; slices.Max(part) != 0 {
				t.Fatalf("%d bytes: metadata is in the free chunks from %d to %d", size, s.Start, s.end())
			}
			if int64(s.end())*ChunkSize > size {
				t.Fatalf("%d bytes: free chunks end at %d", size, s.end())
			}
		}
	}
}
