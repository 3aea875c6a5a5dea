package ext4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// memoryDisk is a sparse disk in memory. It refuses what ChunkWriter's contract forbids.
type memoryDisk struct {
	size int64
	// before is what was on the disk at first.
	before map[int64][]byte

	mu     sync.Mutex
	chunks map[int64][]byte // without blocks of zeros at a chunk's end
}

// child returns a disk that begins with what is on this one.
func (d *memoryDisk) child(size int64) *memoryDisk {
	child := newMemoryDisk(size)
	child.before = d.content()
	return child
}

// content returns all chunks, those never written left out.
func (d *memoryDisk) content() map[int64][]byte {
	all := maps.Clone(d.chunks)
	for index, chunk := range d.before {
		if _, written := all[index]; !written {
			all[index] = chunk
		}
	}
	return all
}

func newMemoryDisk(size int64) *memoryDisk {
	return &memoryDisk{size: size, chunks: map[int64][]byte{}}
}

var zeroChunk = make([]byte, ChunkSize)

func (d *memoryDisk) WriteChunk(_ context.Context, index int64, data []byte) error {
	if len(data) != ChunkSize {
		return fmt.Errorf("chunk %d has %d bytes", index, len(data))
	}
	if index < 0 || (index+1)*ChunkSize > d.size {
		return fmt.Errorf("chunk %d is beyond the disk", index)
	}
	// The race detector takes its time for every byte that is compared or copied.
	filled := data
	for len(filled) > 0 && bytes.Equal(filled[len(filled)-BlockSize:], zeroChunk[:BlockSize]) {
		filled = filled[:len(filled)-BlockSize]
	}
	kept := bytes.Clone(filled)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, again := d.chunks[index]; again {
		return fmt.Errorf("chunk %d is written twice", index)
	}
	d.chunks[index] = kept
	return nil
}

func (d *memoryDisk) ReadAt(b []byte, offset int64) (int, error) {
	read := 0
	for read < len(b) {
		at := offset + int64(read)
		if at >= d.size {
			return read, io.EOF
		}
		chunk, written := d.chunks[at/ChunkSize]
		if !written {
			chunk = d.before[at/ChunkSize]
		}
		content := zeroChunk[at%ChunkSize:]
		if in := at % ChunkSize; in < int64(len(chunk)) {
			content = chunk[in:]
		}
		read += copy(b[read:], content)
	}
	return read, nil
}

// digest covers which chunks were written and their bytes.
func (d *memoryDisk) digest() [sha256.Size]byte {
	hash := sha256.New()
	for _, index := range slices.Sorted(maps.Keys(d.chunks)) {
		fmt.Fprintln(hash, index)
		hash.Write(d.chunks[index])
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// save writes the disk to a sparse file.
func (d *memoryDisk) save(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.img")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(d.size); err != nil {
		t.Fatal(err)
	}
	for index, chunk := range d.content() {
		if _, err := file.WriteAt(chunk, index*ChunkSize); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// run executes one of e2fsprogs' programs, which development machines have in sbin.
func run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program
	}
	output, err := exec.Command(path, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, arguments, err, output)
	}
	return string(output)
}

// checkFilesystem has e2fsck find nothing, and returns the file that it looked at.
func checkFilesystem(t *testing.T, d *memoryDisk) (path string) {
	t.Helper()
	path = d.save(t)
	run(t, "e2fsck", "-fn", path)
	return path
}
