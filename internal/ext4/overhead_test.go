package ext4

import (
	"math/bits"
	"testing"
)

// TestOverheadIsWhatAnEmptyFilesystemUses compares it with the blocks that are in use in a filesystem without regions.
func TestOverheadIsWhatAnEmptyFilesystemUses(t *testing.T) {
	for _, size := range []int64{minimumSize, 5 << 30, 20<<30 - 2<<20, 2<<30 + shortestLastGroup*BlockSize, 129 << 30} {
		w, err := NewWriter(newMemoryDisk(size), options(size))
		if err != nil {
			t.Fatal(err)
		}
		used := uint32(0)
		for _, b := range w.blockBitmap() {
			used += uint32(bits.OnesCount8(b))
		}
		used -= w.geometry.groups*blocksPerGroup - w.geometry.blocks // bits behind the end
		used--                                                       // the block that maps the reserved descriptors
		if got := w.geometry.overhead(); got != used {
			t.Errorf("%d bytes: the overhead is %d blocks, and %d are in use", size, got, used)
		}
	}
}
