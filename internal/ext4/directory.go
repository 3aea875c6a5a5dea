package ext4

import (
	"context"
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

// direntBlock is a block of directory entries, one after the other, the last reaching to the end of the block.
type direntBlock struct {
	content    []byte
	used, last int // offsets
}

func (b *direntBlock) add(d dirent) {
	if b.used > 0 {
		le.PutUint16(b.content[b.last+4:], uint16(b.used-b.last))
	}
	entry := b.content[b.used:]
	le.PutUint32(entry, d.inode)
	le.PutUint16(entry[4:], uint16(BlockSize-b.used))
	entry[6], entry[7] = byte(len(d.name)), direntType(d.fileType)
	copy(entry[direntHeader:], d.name)
	b.last = b.used
	b.used += direntLength(d.name)
}

func (b *direntBlock) addAll(dirents []dirent) {
	for _, d := range dirents {
		b.add(d)
	}
}

// dirent is a name on its way into a directory.
type dirent struct {
	name            string
	inode, fileType uint32
	// hash is set in an index only.
	hash uint32
}

// writeDirectory writes a directory's blocks: entries in byte order if one block holds them, else an index in
// front of blocks of entries in the order of their hashes.
func (r *Region) writeDirectory(ctx context.Context, p *plan, place int32, in *inode) error {
	dirents := p.dirents(place)
	index, err := newIndex(dirents, r.writer.options.HashSeed)
	if err != nil {
		return p.unstorable(place, err)
	}
	self, parent := p.entries[place].number, p.parentOf(place)
	extents, err := r.storeBlocks(ctx, index.blocks(), func(i int, content []byte) {
		block := direntBlock{content: content}
		if i == 0 {
			block.add(dirent{name: ".", inode: self, fileType: tree.TypeDirectory})
			block.add(dirent{name: "..", inode: parent, fileType: tree.TypeDirectory})
		}
		switch {
		case index == nil:
			block.addAll(dirents)
		case i == 0:
			index.putRoot(content)
		case i < index.firstLeaf():
			index.putNode(content, i-1)
		default:
			block.addAll(index.leaf(i - index.firstLeaf()))
		}
	})
	if err != nil {
		return err
	}
	if index != nil {
		in.flags |= flagIndex
	}
	if in.links > maxDirectoryLinks {
		in.links = 1
	}
	in.size = int64(index.blocks()) * BlockSize
	return r.mapBlocks(ctx, in, extents)
}
