package ext4

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// sample is a small filesystem with everything that a Reader has to understand.
func sample(t testing.TB) *memoryDisk {
	t.Helper()
	l := newLayer()
	addAllTypes(l)
	addAttributes(l)
	l.file("large", 3<<20)
	b, err := tryBuild(options(minimumSize), []packed{{layers: []*layer{l}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b.disk
}

func TestSuperblock(t *testing.T) {
	r, err := Open(sample(t), minimumSize)
	if err != nil {
		t.Fatal(err)
	}
	want := Superblock{Size: minimumSize, UUID: [16]byte{1, 2, 3}, Written: made}
	if diff := cmp.Diff(want, r.Superblock()); diff != "" {
		t.Error(diff)
	}
}

func TestPathsThatLeadNowhere(t *testing.T) {
	r, err := Open(sample(t), minimumSize)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"var/none":                 fs.ErrNotExist,
		"var/../var":               fs.ErrInvalid,
		"var/snapshots/0-0/link1/": nil,
	} {
		if _, err := r.Stat(path); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := r.Stat("var/snapshots/0-0/link1/x"); err == nil {
		t.Error("a symbolic link was followed")
	}
	if _, err := r.ReadDir("var/snapshots/0-0/large"); err == nil {
		t.Error("a file was read as a directory")
	}
	for _, name := range []string{"link59", "directory", "fifo", "whiteout"} {
		if _, err := r.Open("var/snapshots/0-0/" + name); err == nil {
			t.Errorf("%s was opened as a regular file", name)
		}
	}
}

func TestDamagedSuperblocks(t *testing.T) {
	for reason, test := range map[string]struct {
		offset int
		value  byte
		want   error
	}{
		"no magic number":       {56, 0, ErrUnsupported},
		"64-bit":                {96, 0xC2, ErrUnsupported},
		"another block size":    {24, 0, ErrUnsupported},
		"fewer inodes":          {1, 1, ErrCorrupt},
		"no inodes in a group":  {41, 0, ErrCorrupt},
		"more blocks than disk": {4, 1, ErrCorrupt},
	} {
		t.Run(reason, func(t *testing.T) {
			d := sample(t)
			d.chunks[0][superblockOffset+test.offset] = test.value
			if _, err := Open(d, d.size); !errors.Is(err, test.want) {
				t.Error(err)
			}
		})
	}
	if _, err := Open(newMemoryDisk(0), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an empty disk: %v", err)
	}
}

// TestSparseFile reads what only a kernel writes: holes and unwritten extents.
func TestSparseFile(t *testing.T) {
	d := newMemoryDisk(4 * ChunkSize)
	d.chunks[0] = make([]byte, ChunkSize)
	for i := range d.chunks[0] {
		d.chunks[0][i] = byte(1 + i/BlockSize)
	}
	in := make(storedInode, inodeSize)
	le.PutUint32(in[32:], flagExtents)
	le.PutUint32(in[4:], 6*BlockSize-1)
	encodeExtentNode(in.mapping(), []extentEntry{{logical: 1, block: 7, count: 1}, {logical: 2, block: 9, count: maxExtentBlocks + 1}, {logical: 4, block: 3, count: 1}}, 0)
	r := &Reader{source: d, blocks: 4 * blocksPerChunk}
	file, err := r.content(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 6*BlockSize-1)
	for i := range BlockSize {
		want[BlockSize+i], want[4*BlockSize+i] = 8, 4
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("a sparse file has other bytes")
	}
}

func TestTimesBeyondTheFormat(t *testing.T) {
	for reason, test := range map[string]struct{ give, want time.Time }{
		"Go's zero time": {time.Time{}, time.Unix(-1<<31, 0)},
		"too late":       {time.Unix(1<<40, 5), time.Unix(1<<34-1<<31-1, 0)},
	} {
		b := make([]byte, 8)
		putTime(b, b[4:], tree.NewTime(test.give))
		if got := getTime(b, b[4:]).Time(); !got.Equal(test.want) {
			t.Errorf("%s is read back as %v", reason, got)
		}
	}
}

// walk reads everything that a filesystem lets it, at most as many entries as the sample could have.
func walk(r *Reader, path string, left *int) {
	entries, err := r.ReadDir(path)
	if err != nil {
		return
	}
	for _, e := range entries {
		if *left--; *left < 0 {
			return
		}
		below := path + "/" + e.Name
		if _, err := r.Stat(below); err != nil {
			continue
		}
		if e.Type == tree.TypeDirectory {
			walk(r, below, left)
		} else if file, err := r.Open(below); err == nil {
			part := make([]byte, 3*BlockSize)
			_, _ = file.ReadAt(part, file.Size()/2)
		}
	}
}

// FuzzReader damages the filesystem's own structures: five bytes of input are an offset into the chunks that
// hold them, and what to change there.
func FuzzReader(f *testing.F) {
	pristine := sample(f)
	var written []int64
	for _, index := range slices.Sorted(maps.Keys(pristine.chunks)) {
		if len(pristine.chunks[index]) > 0 && (index == 0 || index >= windowBlocks/blocksPerChunk) {
			written = append(written, index)
		}
	}
	f.Add([]byte{})
	f.Add([]byte{0, 0, 4, 56, 1})
	f.Add([]byte{0, 10, 1, 40, 0xFF, 0, 10, 1, 42, 0xFF})
	f.Fuzz(func(_ *testing.T, damage []byte) {
		d := newMemoryDisk(pristine.size)
		for index, chunk := range pristine.chunks {
			d.chunks[index] = chunk
		}
		copied := map[int64]bool{}
		for ; len(damage) >= 5; damage = damage[5:] {
			at := int64(damage[0])<<24 | int64(damage[1])<<16 | int64(damage[2])<<8 | int64(damage[3])
			index := written[at/ChunkSize%int64(len(written))]
			if !copied[index] {
				d.chunks[index] = append(make([]byte, 0, ChunkSize), d.chunks[index]...)[:ChunkSize]
				copied[index] = true
			}
			d.chunks[index][at%ChunkSize] ^= damage[4]
		}
		r, err := Open(d, d.size)
		if err != nil {
			return
		}
		left := 200
		walk(r, "", &left)
	})
}
