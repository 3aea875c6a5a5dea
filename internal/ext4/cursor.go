package ext4

import (
	"context"
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

// blockCursor fills chunks of blocks, one at a time, from the front.
type blockCursor struct {
	buffer []byte // of the chunk; all zero beyond filled
	chunk  uint32
	filled int // bytes, a multiple of BlockSize
	isOpen bool
}

// used tells whether a chunk was begun.
func (c *blockCursor) used() bool { return c.buffer != nil }

func (c *blockCursor) full() bool { return !c.isOpen || c.filled == ChunkSize }

// space is the rest of the open chunk.
func (c *blockCursor) space() []byte { return c.buffer[c.filled:] }

// open begins a chunk.
func (c *blockCursor) open(chunk uint32) {
	if c.buffer == nil {
		c.buffer = make([]byte, ChunkSize)
	}
	c.chunk, c.filled, c.isOpen = chunk, 0, true
}

// advance takes the blocks of the next n bytes.
func (c *blockCursor) advance(n int) tree.Extent {
	blocks := (n + BlockSize - 1) / BlockSize
	taken := tree.Extent{Start: c.chunk*blocksPerChunk + uint32(c.filled/BlockSize), Count: uint32(blocks)}
	c.filled += blocks * BlockSize
	return taken
}

func (c *blockCursor) flush(ctx context.Context, to ChunkWriter) error {
	if !c.isOpen {
		return nil
	}
	c.isOpen = false
	return writeChunk(ctx, to, int64(c.chunk), c.buffer)
}

// inodeCursor gives out inode numbers, and fills the chunks of inode tables in the same order.
type inodeCursor struct {
	// free are the numbers that can be given out, in the order of their chunks.
	free   []Range
	buffer []byte
	chunk  uint32 // the chunk of inodes in the buffer
	isOpen bool
}

// unused is how many numbers are left in the chunks taken so far.
func (c *inodeCursor) unused() (count int64) {
	for _, numbers := range c.free {
		count += int64(numbers.Count)
	}
	return count
}

func (c *inodeCursor) extend(chunks span) {
	c.free = append(c.free, inodesOf(chunks))
}

// take gives out the next numbers, at most count.
func (c *inodeCursor) take(count uint32) Range {
	first := &c.free[0]
	taken := Range{Start: first.Start, Count: min(count, first.Count)}
	first.Start += taken.Count
	first.Count -= taken.Count
	if first.Count == 0 {
		c.free = c.free[1:]
	}
	return taken
}

// write stores an inode. Numbers of one chunk must come together.
func (c *inodeCursor) write(ctx context.Context, to ChunkWriter, number uint32, in *inode) error {
	chunk := (number - 1) / inodesPerChunk
	if c.isOpen && c.chunk != chunk {
		if err := c.flush(ctx, to); err != nil {
			return err
		}
	}
	if c.buffer == nil {
		c.buffer = make([]byte, ChunkSize)
	}
	c.chunk, c.isOpen = chunk, true
	in.encode(c.buffer[(number-1)%inodesPerChunk*inodeSize:])
	return nil
}

func (c *inodeCursor) flush(ctx context.Context, to ChunkWriter) error {
	if !c.isOpen {
		return nil
	}
	c.isOpen = false
	return writeChunk(ctx, to, inodeChunkIndex(c.chunk), c.buffer)
}

// writeChunk hands a chunk over and clears it for the next use.
func writeChunk(ctx context.Context, to ChunkWriter, index int64, buffer []byte) error {
	if err := to.WriteChunk(ctx, index, buffer); err != nil {
		return fmt.Errorf("writing chunk %d: %w", index, err)
	}
	clear(buffer)
	return nil
}
