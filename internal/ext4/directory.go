package ext4

import (
	"context"
	"fmt"
	"iter"
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

func (b *direntBlock) add(inode, fileType uint32, name string) {
	if b.used > 0 {
		le.PutUint16(b.content[b.last+4:], uint16(b.used-b.last))
	}
	entry := b.content[b.used:]
	le.PutUint32(entry, inode)
	le.PutUint16(entry[4:], uint16(BlockSize-b.used))
	entry[6], entry[7] = byte(len(name)), direntType(fileType)
	copy(entry[direntHeader:], name)
	b.last = b.used
	b.used += direntLength(name)
}

// addDots adds "." and "..", which are first in every directory.
func (b *direntBlock) addDots(self, parent uint32) {
	b.add(self, tree.TypeDirectory, ".")
	b.add(parent, tree.TypeDirectory, "..")
}

// writeDirectory writes a directory's blocks: entries in byte order if one block holds them, else an index in
// front of blocks of entries in the order of their hashes.
func (r *Region) writeDirectory(ctx context.Context, p *plan, e *entry, in *inode) error {
	index, err := newIndex(e.names, r.writer.options.HashSeed)
	if err != nil {
		return err
	}
	parent := p.parentOf(e)
	addNames := func(b *direntBlock, names iter.Seq[string]) {
		for name := range names {
			child := e.node.Children[name]
			b.add(p.numberOf(child), child.Type(), name)
		}
	}
	extents, err := r.storeBlocks(ctx, index.blocks(), func(i int, block []byte) {
		b := direntBlock{content: block}
		switch {
		case index == nil:
			b.addDots(e.number, parent)
			addNames(&b, slices.Values(e.names))
		case i == 0:
			b.addDots(e.number, parent)
			index.putRoot(block)
		case i < index.firstLeaf():
			index.putNode(block, i-1)
		default:
			addNames(&b, index.leaf(i-index.firstLeaf()))
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
