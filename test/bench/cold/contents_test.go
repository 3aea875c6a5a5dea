//go:build node

package cold_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/internal/volume"
)

// What a block of the disk can hold.
const (
	holdsFilesystem  = "filesystem"  // superblock, descriptors, bitmaps, journal
	holdsContainerd  = "containerd"  // databases, blobs, their directories, and all inodes beside them
	holdsInodes      = "inodes"      // of layers
	holdsDirectories = "directories" // of layers; files may be there, too
	holdsFiles       = "files"       // of layers, alone
)

var allContents = []string{holdsFilesystem, holdsContainerd, holdsInodes, holdsDirectories, holdsFiles}

// contentsOf says of the blocks of a volume, by their numbers on the disk, what they hold.
func contentsOf(t *testing.T, image string) map[int64]string {
	t.Helper()
	disk, err := volume.OpenFile(image)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	length := disk.Size() - 2*partitionMargin
	layout := readLayout(t, io.NewSectionReader(disk, partitionMargin, length), length)
	contents := map[int64]string{}
	mark := func(what string, chunks []int64) {
		for _, chunk := range chunks {
			contents[chunk+partitionMargin/blockSize] = what
		}
	}
	for _, region := range layout.Regions {
		mark(holdsFiles, chunksOf(region.Blocks, nil))
		mark(holdsInodes, chunksOf(nil, region.Inodes))
		for _, l := range region.Layers {
			mark(holdsDirectories, chunksOf(l.Structure, nil))
		}
	}
	mark(holdsContainerd, chunksOf(layout.Meta, layout.MetaInodes))
	return contents
}

func readLayout(t *testing.T, partition io.ReaderAt, length int64) volume.Layout {
	t.Helper()
	filesystem, err := ext4.Open(partition, length)
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
	return layout
}

func chunksOf(blocks, inodes []volume.LayoutRange) []int64 {
	var layout ext4.Layout
	for _, r := range blocks {
		layout.Blocks = append(layout.Blocks, tree.Extent(r))
	}
	for _, r := range inodes {
		layout.Inodes = append(layout.Inodes, ext4.Range(r))
	}
	return layout.Chunks()
}

// countContents counts blocks by what they hold.
func countContents(blocks []int64, contents map[int64]string) map[string]int {
	counts := map[string]int{}
	for _, block := range blocks {
		what, known := contents[block]
		if !known {
			what = holdsFilesystem
		}
		counts[what]++
	}
	return counts
}

// contentRows are a table of what the fetched blocks hold.
func contentRows(outcomes []outcome) []string {
	rows := []string{"blocks to ready\t" + strings.Join(allContents, "\t")}
	for _, o := range outcomes {
		if o.Fetched == nil {
			continue
		}
		row := o.Name
		for _, what := range allContents {
			row += fmt.Sprintf("\t%d", o.Fetched[what])
		}
		rows = append(rows, row)
	}
	return rows
}
