package ext4

import (
	"context"
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

// blockCursor fills chunks of blocks, one at a time, from the front.
type blockCursor struct {
	runs   []Run
	buffer []byte // of the last chunk; all zero beyond filled
	filled int    // bytes, a multiple of BlockSize
	isOpen bool
}

func (c *blockCursor) full() bool { return !c.isOpen || c.filled == ChunkSize }

// space is the rest of the open chunk.
func (c *blockCursor) space() []byte { return c.buffer[c.filled:] }

// open begins a chunk.
func (c *blockCursor) open(chunk uint32) {
	if c.buffer == nil {
		c.buffer = make([]byte, ChunkSize)
	}
	c.runs = appendChunk(c.runs, Run{Start: chunk * blocksPerChunk, Count: blocksPerChunk})
	c.filled, c.isOpen = 0, true
}

// advance takes the blocks of the next n bytes.
func (c *blockCursor) advance(n int) tree.Extent {
	blocks := (n + BlockSize - 1) / BlockSize
	last := &c.runs[len(c.runs)-1]
	taken := tree.Extent{Start: last.Start + last.Used, Count: uint32(blocks)}
	last.Used += taken.Count
	c.filled += blocks * BlockSize
	return taken
}

func (c *blockCursor) flush(ctx context.Context, to ChunkWriter) error {
	if !c.isOpen {
		return nil
	}
	c.isOpen = false
	last := c.runs[len(c.runs)-1]
	return writeChunk(ctx, to, int64((last.Start+last.Count)/blocksPerChunk-1), c.buffer)
}

// inodeCursor gives out inode numbers, and fills the chunks of inode tables in the same order.
type inodeCursor struct {
	runs   []Run
	buffer []byte
	chunk  uint32 // the chunk of inodes in the buffer
	isOpen bool
}

// unused is how many numbers are left in the chunks taken so far.
func (c *inodeCursor) unused() uint32 {
	if len(c.runs) == 0 {
		return 0
	}
	last := c.runs[len(c.runs)-1]
	return last.Count - last.Used
}

func (c *inodeCursor) extend(chunk uint32) {
	c.runs = appendChunk(c.runs, Run{Start: chunk*inodesPerChunk + 1, Count: inodesPerChunk})
}

func (c *inodeCursor) number() uint32 {
	last := &c.runs[len(c.runs)-1]
	last.Used++
	return last.Start + last.Used - 1
}

// write stores an inode. Numbers of one chunk must come together.
func (c *inodeCursor) write(ctx context.Context, to ChunkWriter, number uint32, encoded []byte) error {
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
	copy(c.buffer[(number-1)%inodesPerChunk*inodeSize:], encoded)
	return nil
}

func (c *inodeCursor) flush(ctx context.Context, to ChunkWriter) error {
	if !c.isOpen {
		return nil
	}
	c.isOpen = false
	return writeChunk(ctx, to, inodeChunkIndex(c.chunk), c.buffer)
}

// appendChunk adds a chunk, as part of the last run if that is full and the chunk follows it.
func appendChunk(runs []Run, next Run) []Run {
	if last := len(runs) - 1; last >= 0 && runs[last].Start+runs[last].Count == next.Start && runs[last].Used == runs[last].Count {
		runs[last].Count += next.Count
		return runs
	}
	return append(runs, next)
}

// writeChunk hands a chunk over and clears it for the next use.
func writeChunk(ctx context.Context, to ChunkWriter, index int64, buffer []byte) error {
	if err := to.WriteChunk(ctx, index, buffer); err != nil {
		return fmt.Errorf("writing chunk %d: %w", index, err)
	}
	clear(buffer)
	return nil
}
