package ext4

import (
	"fmt"
	"slices"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

const (
	direntHeader = 8
	// dotsLength is what "." and ".." take in a directory's first block.
	dotsLength = 2 * (direntHeader + 4)
)

// direntTypes are the file types in the order of the numbers that directory entries have for them (EXT4_FT_*).
// Number 6 is a socket, which no tree has.
var direntTypes = [...]uint32{1: tree.TypeRegular, tree.TypeDirectory, tree.TypeCharDev, tree.TypeBlockDev, tree.TypeFIFO, 7: tree.TypeSymlink}

func direntType(fileType uint32) byte { return byte(slices.Index(direntTypes[:], fileType)) }

func direntLength(name string) int { return direntHeader + (len(name)+3)&^3 }

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%q cannot be a file's name", name)
	case len(name) > maxNameLength:
		return fmt.Errorf("the file name %q is longer than %d bytes", name, maxNameLength)
	}
	return nil
}

// directoryBlocks is how many blocks a directory with these names takes.
func directoryBlocks(names []string) uint32 {
	blocks, used := uint32(1), dotsLength
	for _, name := range names {
		length := direntLength(name)
		if used+length > BlockSize {
			blocks++
			used = 0
		}
		used += length
	}
	return blocks
}

// directory is the content of one as it is written: entries one after the other in each block, the last
// entry of a block reaching to its end.
type directory struct {
	content    []byte
	used, last int // offsets in the last block
}

func newDirectory(self, parent uint32, names []string) *directory {
	d := &directory{content: make([]byte, 0, directoryBlocks(names)*BlockSize)}
	d.content = d.content[:BlockSize]
	d.add(self, tree.TypeDirectory, ".")
	d.add(parent, tree.TypeDirectory, "..")
	return d
}

func (d *directory) add(inode, fileType uint32, name string) {
	length := direntLength(name)
	if d.used+length > BlockSize {
		d.content = append(d.content, make([]byte, BlockSize)...)
		d.used, d.last = 0, 0
	}
	block := d.content[len(d.content)-BlockSize:]
	if d.used > 0 {
		le.PutUint16(block[d.last+4:], uint16(d.used-d.last))
	}
	entry := block[d.used:]
	le.PutUint32(entry, inode)
	le.PutUint16(entry[4:], uint16(BlockSize-d.used))
	entry[6], entry[7] = byte(len(name)), direntType(fileType)
	copy(entry[direntHeader:], name)
	d.last = d.used
	d.used += length
}
