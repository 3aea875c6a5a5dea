package ext4

import (
	"bytes"
	"context"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// TestFragmentedFile stores a file in holes of one chunk and then in single blocks between those of other files, so
// many that its extent tree has two levels of blocks below the inode.
func TestFragmentedFile(t *testing.T) {
	const holes, pieces = 40, extentsInInode*extentsInBlock + 1
	ctx := context.Background()
	disk := newMemoryDisk(minimumSize)
	w, err := NewWriter(disk, options(disk.size))
	if err != nil {
		t.Fatal(err)
	}
	var regions []*Region
	for i := range 2*holes + 1 {
		r, err := w.NewRegion(ChunkSize * int64(1-i/(2*holes)))
		if err != nil {
			t.Fatal(err)
		}
		regions = append(regions, r)
	}
	for i, r := range regions[:2*holes] {
		if i%2 == 1 { // a file that no tree has takes the chunk as well
			if _, err := r.Store(ctx, zeros{}, 1); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	l := newLayer()
	last := regions[2*holes]
	fragmented := l.file("fragmented", ChunkSize*holes+BlockSize*pieces)
	content := l.files[len(l.files)-1].stream()
	pieced, err := last.Store(ctx, content, ChunkSize*holes)
	if err != nil {
		t.Fatal(err)
	}
	for range pieces {
		piece, err := last.Store(ctx, content, BlockSize)
		if err != nil {
			t.Fatal(err)
		}
		pieced = append(pieced, piece...)
		if _, err := last.Store(ctx, zeros{}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(pieced) != holes+pieces {
		t.Fatalf("the file is in %d pieces, not %d", len(pieced), holes+pieces)
	}
	fragmented.Extents = tree.NewExtents(pieced)
	anchor := tree.NewDirectory(0o755, modified)
	b := built{disk: disk, top: tree.NewDirectory(0o755, modified)}
	b.top.Children["anchor"] = anchor
	for name, child := range l.root.Children {
		anchor.Children[name] = child
	}
	if err := w.Finish(ctx, last, b.top, anchor); err != nil {
		t.Fatal(err)
	}
	checkContent(t, b, []packed{{layers: []*layer{{root: tree.NewDirectory(0, modified), files: l.files}}}})
	checkFilesystem(t, disk)
}

func TestExtentTreeBlocksAreCountedAsTheyAreWritten(t *testing.T) {
	for _, pieces := range []int{0, 1, 4, 5, 340, 341, 4 * 340, 4*340 + 1, 5 * 340 * 340} {
		var extents []tree.Extent
		for i := range pieces {
			extents = append(extents, tree.Extent{Start: uint32(2 * i), Count: 1})
		}
		var nodes uint32
		err := encodeExtents(make([]byte, mappingSize), extents, func(node []byte) (uint32, error) {
			nodes++
			if !bytes.HasPrefix(node, []byte{0x0A, 0xF3}) {
				t.Fatal("a node without a magic number")
			}
			return nodes, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if counted := extentTreeBlocks(extents); counted != nodes {
			t.Errorf("%d pieces: %d blocks counted, %d written", pieces, counted, nodes)
		}
	}
}
