package ext4

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// TestFileAboveFourGiB has a size that 32 bits do not hold, and goes around the metadata of several groups.
func TestFileAboveFourGiB(t *testing.T) {
	const size = 4<<30 + 12_345
	ctx := context.Background()
	disk := newMemoryDisk(8 << 30)
	w, err := NewWriter(disk, options(disk.size))
	if err != nil {
		t.Fatal(err)
	}
	region, err := w.NewRegion(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := w.NewRegionAt(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	end := []byte("the last bytes")
	large := &tree.Node{Mode: tree.TypeRegular | 0o644, Mtime: tree.NewTime(modified), Atime: tree.NewTime(modified), Size: size, Links: 1}
	content := io.MultiReader(io.LimitReader(zeros{}, size-int64(len(end))), bytes.NewReader(end))
	extents, err := region.Store(ctx, content, size)
	if err != nil {
		t.Fatal(err)
	}
	large.Extents = tree.NewExtents(extents)
	root := tree.NewDirectory(0o755, modified)
	root.Children["large"] = large
	layout, err := region.WriteTree(ctx, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := region.Close(ctx); err != nil {
		t.Fatal(err)
	}
	top, anchor := tree.NewDirectory(0o755, modified), tree.NewDirectory(0o755, modified)
	top.Children["anchor"], anchor.Children["0"] = anchor, root
	if err := w.Finish(ctx, meta, top, anchor); err != nil {
		t.Fatal(err)
	}
	path := checkFilesystem(t, disk)
	const blocks = size/BlockSize + 1
	if counted := int64(blockCount(layout.Blocks)); counted != blocks+2 {
		t.Errorf("the tree has %d blocks, not those of the file, its extents and its directory: %d", counted, blocks+2)
	}
	checkLargeFile(t, disk, size, end)
	output := run(t, "debugfs", "-R", "stat /anchor/0/large", path)
	for _, want := range []string{fmt.Sprint("Size: ", int64(size)), fmt.Sprint("Blockcount: ", (blocks+1)*8)} {
		if !strings.Contains(output, want) {
			t.Errorf("debugfs does not say %q:\n%.1000s", want, output)
		}
	}
}

func checkLargeFile(t *testing.T, disk *memoryDisk, size int64, end []byte) {
	t.Helper()
	r, err := Open(disk, disk.size)
	if err != nil {
		t.Fatal(err)
	}
	file, err := r.Open("anchor/0/large")
	if err != nil {
		t.Fatal(err)
	}
	if file.Size() != size {
		t.Errorf("the file has %d bytes", file.Size())
	}
	got := make([]byte, len(end)+1)
	if _, err := file.ReadAt(got, size-int64(len(got))); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]byte{0}, end...), got); diff != "" {
		t.Errorf("the file ends otherwise:\n%s", diff)
	}
}
