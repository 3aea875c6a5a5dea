package volume_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/registry"
)

// recordingDisk knows which blocks were read whole.
type recordingDisk struct {
	volume.RawDisk
	mutex sync.Mutex
	read  map[int64]bool
}

func (r *recordingDisk) ReadAt(p []byte, offset int64) (int, error) {
	if len(p) == volume.BlockSize {
		r.mutex.Lock()
		r.read[offset/volume.BlockSize] = true
		r.mutex.Unlock()
	}
	return r.RawDisk.ReadAt(p, offset)
}

// random is an image whose layer is as large as it looks.
func random(seed byte) registry.Image {
	content := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content) // it never fails
	return registry.Image{Layers: []registry.Layer{{Entries: []registry.Entry{{Name: "file", Content: content}}}}}
}

// TestHolesAreFilledUnread is about a parent in AWS, where each block that is read costs as much as one that is sent.
func TestHolesAreFilledUnread(t *testing.T) {
	f := newFixture(t, registry.Options{})
	path, err := f.makeFile(t, []image.Image{f.push(t, "app:v1", random(1))}, 2)
	if err != nil {
		t.Fatal(err)
	}
	disk := &recordingDisk{read: map[int64]bool{}}
	parent := stored(t, path)
	open := parent.Open
	parent.Open = func(ctx context.Context) (volume.RawDisk, error) {
		disk.RawDisk, err = open(ctx)
		return disk, err
	}
	result, err := volume.Make(t.Context(), volume.Request{
		Images: []image.Image{f.push(t, "app:v1", random(2))},
		Size:   2,
		Layers: f.client,
		Parent: parent,
		Create: func(_ context.Context, size int64, _ volume.RawDisk) (volume.Output, error) {
			return volume.CreateFile(filepath.Join(t.TempDir(), "changes.img"), size)
		},
		Progress: func(int64, int64) {},
	})
	if err != nil || result.WithoutParent != nil {
		t.Fatal(err, result)
	}
	filled := 0
	for _, run := range result.Layout.Regions[0].Blocks {
		first := (1<<20 + int64(run.Start)*ext4.BlockSize) / volume.BlockSize
		for index := first; index < first+int64(run.Count)*ext4.BlockSize/volume.BlockSize; index++ {
			before := make([]byte, volume.BlockSize)
			if _, err := disk.RawDisk.ReadAt(before, index*volume.BlockSize); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(before, make([]byte, volume.BlockSize)) {
				filled++
			}
			if disk.read[index] {
				t.Errorf("block %d of the hole was read before it was written", index)
			}
		}
	}
	if filled < 8 {
		t.Errorf("the new layer fills %d blocks that the old one had, want 8", filled)
	}
}
