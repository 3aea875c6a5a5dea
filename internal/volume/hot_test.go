package volume_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/internal/warm"
	"github.com/larder-dev/larder/test/registry"
)

// partitionMargin is what the data partition leaves free before and behind itself, in bytes.
const partitionMargin = 1 << 20

// touches records which blocks of 512 KiB are read of a filesystem.
type touches struct {
	io.ReaderAt
	blocks map[int64]bool
}

func (r *touches) ReadAt(p []byte, offset int64) (int, error) {
	for block := offset / warm.BlockSize; block*warm.BlockSize < offset+int64(len(p)); block++ {
		r.blocks[block] = true
	}
	return r.ReaderAt.ReadAt(p, offset)
}

// hotBlocks reads a volume's list, block by block.
func hotBlocks(t *testing.T, disk *volume.DiskFile) []int64 {
	t.Helper()
	list, start, err := volume.ReadHotList(disk, disk.Size())
	if err != nil {
		t.Fatal(err)
	}
	if start != partitionMargin {
		t.Errorf("the filesystem begins at byte %d, want %d", start, partitionMargin)
	}
	var blocks []int64
	for _, r := range list {
		for offset := r.Offset; offset < r.Offset+r.Length; offset += warm.BlockSize {
			blocks = append(blocks, offset/warm.BlockSize)
		}
	}
	return blocks
}

// readAll finds and reads every file of a volume and returns the blocks that were touched.
func readAll(t *testing.T, disk *volume.DiskFile) map[int64]bool {
	t.Helper()
	length := disk.Size() - 2*partitionMargin
	recorder := &touches{ReaderAt: io.NewSectionReader(disk, partitionMargin, length), blocks: map[int64]bool{}}
	filesystem, err := ext4.Open(recorder, length)
	if err != nil {
		t.Fatal(err)
	}
	var visit func(directory string)
	visit = func(directory string) {
		entries, err := filesystem.ReadDir(directory)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := path.Join(directory, entry.Name)
			if _, err := filesystem.Stat(name); err != nil {
				t.Fatal(err)
			}
			switch entry.Type {
			case tree.TypeDirectory:
				visit(name)
			case tree.TypeRegular:
				file, err := filesystem.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, file); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	visit("")
	return recorder.blocks
}

func openDisk(t *testing.T, file string) *volume.DiskFile {
	t.Helper()
	disk, err := volume.OpenFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	return disk
}

// checkHotList is what holds for every volume: all that anyone reads is on the list, and what finding files takes
// comes before what only holds their bytes.
func checkHotList(t *testing.T, file string) {
	t.Helper()
	disk := openDisk(t, file)
	listed := hotBlocks(t, disk)
	for block := range readAll(t, disk) {
		if !slices.Contains(listed, block) {
			t.Errorf("block %d is read and not on the list", block)
		}
	}
	layout := readLayout(t, disk)
	structure, content := map[int64]bool{}, map[int64]bool{}
	for _, region := range layout.Regions {
		for _, l := range region.Layers {
			for _, chunk := range chunks(l.Structure) {
				structure[chunk] = true
			}
			for _, chunk := range chunks(l.Blocks) {
				content[chunk] = true
			}
		}
	}
	last, first := -1, len(listed)
	for i, block := range listed {
		if structure[block] {
			last = i
		} else if content[block] {
			first = min(first, i)
		}
	}
	if first == len(listed) || last < 0 || last > first {
		t.Errorf("of %d listed blocks, the first with nothing but files' bytes is the %dth and the last that leads to files the %dth", len(listed), first, last)
	}
}

func readLayout(t *testing.T, disk *volume.DiskFile) *volume.Layout {
	t.Helper()
	length := disk.Size() - 2*partitionMargin
	filesystem, err := ext4.Open(io.NewSectionReader(disk, partitionMargin, length), length)
	if err != nil {
		t.Fatal(err)
	}
	file, err := filesystem.Open(volume.LayoutPath)
	if err != nil {
		t.Fatal(err)
	}
	var layout volume.Layout
	if err := json.NewDecoder(file).Decode(&layout); err != nil {
		t.Fatal(err)
	}
	return &layout
}

func chunks(ranges []volume.LayoutRange) []int64 {
	var layout ext4.Layout
	for _, r := range ranges {
		layout.Blocks = append(layout.Blocks, tree.Extent(r))
	}
	return layout.Chunks()
}

// large is an image whose files fill blocks of their own.
func large(name string) registry.Image {
	shared := make([]byte, 3*warm.BlockSize)
	for i := range shared {
		shared[i] = byte(i*i>>7 + i)
	}
	own := bytes.Clone(shared)
	copy(own, name)
	return registry.Image{Layers: []registry.Layer{
		{Entries: []registry.Entry{{Name: "usr/", Mode: 0o755}, {Name: "usr/shared", Content: shared}}},
		{Entries: []registry.Entry{{Name: "usr/" + name, Content: own}, {Name: "usr/link", Content: []byte(name)}}},
	}}
}

func TestHotListHasAllThatIsRead(t *testing.T) {
	f := newFixture(t, registry.Options{})
	images := append(f.samples(t), f.push(t, "large:v1", large("one")))
	file, err := f.makeFile(t, images, 0)
	if err != nil {
		t.Fatal(err)
	}
	checkHotList(t, file)
}

// TestHotListOfAChildHasWhatStayed is about layers of which the child knows only what the parent's layout record says.
func TestHotListOfAChildHasWhatStayed(t *testing.T) {
	f := newFixture(t, registry.Options{})
	one := f.push(t, "large/one:v1", large("one"))
	parent, err := f.makeFile(t, []image.Image{one}, 2)
	if err != nil {
		t.Fatal(err)
	}
	child, result, err := f.makeUpon(t, []image.Image{one, f.push(t, "large/two:v1", large("two"))}, 2, stored(t, parent))
	if err != nil {
		t.Fatal(err)
	}
	if result.WithoutParent != nil || result.Kept != 2 {
		t.Fatalf("%d layers stayed, without the parent: %v; want 2 upon it", result.Kept, result.WithoutParent)
	}
	checkHotList(t, child)
}

func TestReadHotListOfThePartitionAlone(t *testing.T) {
	f := newFixture(t, registry.Options{})
	file, err := f.makeFile(t, []image.Image{f.push(t, "large:v1", large("one"))}, 2)
	if err != nil {
		t.Fatal(err)
	}
	disk := openDisk(t, file)
	whole, _, err := volume.ReadHotList(disk, disk.Size())
	if err != nil {
		t.Fatal(err)
	}
	length := disk.Size() - 2*partitionMargin
	partition, start, err := volume.ReadHotList(io.NewSectionReader(disk, partitionMargin, length), length)
	if err != nil || start != 0 || !slices.Equal(whole, partition) {
		t.Errorf("the partition alone has another list, at byte %d, and the error %v", start, err)
	}
}

func TestReadHotListOfAnotherFilesystem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plain.img")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<30); err != nil {
		t.Fatal(err)
	}
	// As Larder's own are, but without its directory.
	run(t, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-I", "256", "-O", "^64bit,^metadata_csum", file)
	disk := openDisk(t, file)
	if _, _, err := volume.ReadHotList(disk, disk.Size()); !errors.Is(err, volume.ErrNoHotList) {
		t.Errorf("ReadHotList returned %v, want %v", err, volume.ErrNoHotList)
	}
}
