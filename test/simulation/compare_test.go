package simulation

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"testing"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/internal/volume"
)

// partitionMargin is what the partition leaves free before and behind itself, in bytes.
const partitionMargin = 1 << 20

// contents is a volume file by file: all that containerd sees of it, by path.
func contents(t *testing.T, disk io.ReaderAt, size int64) map[string]string {
	t.Helper()
	filesystem := open(t, disk, size)
	seen := map[string]string{}
	firstName := map[uint32]string{}
	var visit func(directory string)
	visit = func(directory string) {
		entries, err := filesystem.ReadDir(directory)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := path.Join(directory, entry.Name)
			if name == volume.LayoutPath || name == volume.HotPath {
				continue // where things are is what may differ
			}
			if first, linked := firstName[entry.Inode]; linked {
				seen[name] = "a link to " + first
				continue
			}
			firstName[entry.Inode] = name
			seen[name] = describe(t, filesystem, name)
			if entry.Type == tree.TypeDirectory {
				visit(name)
			}
		}
	}
	visit("")
	return seen
}

func describe(t *testing.T, filesystem *ext4.Reader, name string) string {
	t.Helper()
	node, err := filesystem.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	major, minor := node.Device()
	text := fmt.Sprintf("%o %d:%d %q -> %q %d:%d %s", node.Mode, node.UID, node.GID, node.Xattrs, node.Target(), major, minor, node.Mtime.Time())
	if node.Type() != tree.TypeRegular {
		return text
	}
	file, err := filesystem.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %d bytes, %x", text, file.Size(), hash.Sum(nil))
}

func open(t *testing.T, disk io.ReaderAt, size int64) *ext4.Reader {
	t.Helper()
	length := size - 2*partitionMargin
	filesystem, err := ext4.Open(io.NewSectionReader(disk, partitionMargin, length), length)
	if err != nil {
		t.Fatal(err)
	}
	return filesystem
}

// checkDigests reads every region back and compares it with what the layout record says.
func checkDigests(t *testing.T, disk io.ReaderAt, size int64) {
	t.Helper()
	file, err := open(t, disk, size).Open(volume.LayoutPath)
	if err != nil {
		t.Fatal(err)
	}
	var layout volume.Layout
	if err := json.NewDecoder(file).Decode(&layout); err != nil {
		t.Fatal(err)
	}
	block := make([]byte, volume.BlockSize)
	for i, region := range layout.Regions {
		placed := ext4.Layout{}
		for _, r := range region.Blocks {
			placed.Blocks = append(placed.Blocks, tree.Extent(r))
		}
		for _, r := range region.Inodes {
			placed.Inodes = append(placed.Inodes, ext4.Range(r))
		}
		hash := sha256.New()
		for _, chunk := range placed.Chunks() {
			if _, err := disk.ReadAt(block, partitionMargin+chunk*volume.BlockSize); err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(block)
			hash.Write(sum[:])
		}
		if got := fmt.Sprintf("%x", hash.Sum(nil)); got != region.Digest {
			t.Errorf("region %d of layers %v: its blocks have the digest %s, the layout record says %s", i, region.Layers, got, region.Digest)
		}
	}
}
