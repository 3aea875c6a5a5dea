package ext4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/larder-dev/larder/internal/tree"
)

// Region is a part of the filesystem that owns whole chunks of blocks and of inodes. It is used by one
// goroutine at a time, and holds at most two chunks in memory.
type Region struct {
	writer *Writer
	number int
	// turn is closed when every earlier region is closed.
	turn   chan struct{}
	closed bool

	// reserved are the chunks of the reservation that are not in use yet.
	reserved []span
	blocks   blockCursor
	inodes   inodeCursor
	// unclaimed are the blocks of stored files that no tree has so far.
	unclaimed []tree.Extent
	// directories counts the directories in each group.
	directories map[uint32]uint32
}

// Run is a run of whole chunks of blocks or inodes, of which the first Used ones were given out.
type Run struct {
	// Start is the first block or inode number; Count and Used are numbers of blocks or inodes.
	Start, Count, Used uint32
}

// Layout is where a region is: what a layout record needs to leave it there in the next volume.
type Layout struct {
	// Blocks are runs of 4 KiB blocks, in the order in which they were filled.
	Blocks []Run
	// Free are the blocks that were filled and are free all the same, in ascending order: those of files that
	// no tree has. A layer's reader stores a file before it sees a later entry replace or remove it.
	Free []tree.Extent
	// Inodes are runs of inode numbers, 1 above a multiple of 2,048 at their start.
	Inodes []Run
	// Directories counts the directories among the inodes of each block group that has any.
	Directories map[uint32]uint32
}

// Layout returns where the region is, once it is closed.
func (r *Region) Layout() Layout {
	return Layout{Blocks: r.blocks.runs, Free: r.unclaimed, Inodes: r.inodes.runs, Directories: r.directories}
}

// Store copies a file's next size bytes from rd into the region and returns where they are. If none of the
// region's trees has the file, its blocks are free in the end. A shorter rd is an error; what follows in a longer one is left unread. When the reservation is used up it waits for the
// region's turn, and fails with *OutOfBlocks when the filesystem is full.
func (r *Region) Store(ctx context.Context, rd io.Reader, size int64) ([]tree.Extent, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	extents, err := r.store(ctx, rd, size)
	if err != nil {
		return nil, r.lost("storing a file", err)
	}
	for _, extent := range extents {
		r.unclaimed = appendExtent(r.unclaimed, extent)
	}
	return extents, nil
}

// Close hands over what is left in memory, frees the unused rest of the reservation and passes the turn to the
// next region. It waits for the region's own turn. Closing again does nothing.
func (r *Region) Close(ctx context.Context) error {
	if r.closed {
		return nil
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.waitTurn(ctx); err != nil {
		return r.lost("waiting to close", err)
	}
	if err := errors.Join(r.blocks.flush(ctx, r.writer.to), r.inodes.flush(ctx, r.writer.to)); err != nil {
		return r.lost("closing", err)
	}
	r.closed = true
	r.blocks.buffer, r.inodes.buffer = nil, nil
	for _, rest := range r.reserved {
		r.writer.chunks.give(rest)
	}
	r.reserved = nil
	if next := r.number + 1; next < len(r.writer.regions) {
		close(r.writer.regions[next].turn)
	}
	return nil
}

// begin is the start of every call that writes.
func (r *Region) begin(ctx context.Context) error {
	r.writer.writing.Store(true)
	if r.closed {
		return fmt.Errorf("region %d is closed", r.number)
	}
	if r.writer.failed.Err() != nil {
		return fmt.Errorf("the filesystem is lost: %w", context.Cause(r.writer.failed))
	}
	if ctx.Err() != nil {
		return r.lost("writing", context.Cause(ctx))
	}
	return nil
}

// lost names the region in an error and releases all who wait for it.
func (r *Region) lost(doing string, err error) error {
	err = fmt.Errorf("region %d: %s: %w", r.number, doing, err)
	r.writer.fail(err)
	return err
}

func (r *Region) waitTurn(ctx context.Context) error {
	select {
	case <-r.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.writer.failed.Done():
		return context.Cause(r.writer.failed)
	}
}

// store fills blocks with a file, beginning a new one and leaving the rest of the last one zero.
func (r *Region) store(ctx context.Context, rd io.Reader, size int64) ([]tree.Extent, error) {
	var extents []tree.Extent
	for left := size; left > 0; {
		if r.blocks.full() {
			if err := r.nextChunk(ctx, left); err != nil {
				return nil, err
			}
		}
		space := r.blocks.space()
		space = space[:min(left, int64(len(space)))]
		if n, err := io.ReadFull(rd, space); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("reading byte %d of %d: %w", size-left+int64(n), size, err)
		}
		extents = appendExtent(extents, r.blocks.advance(len(space)))
		left -= int64(len(space))
	}
	return extents, nil
}

func (r *Region) storeBytes(ctx context.Context, content []byte) ([]tree.Extent, error) {
	return r.store(ctx, bytes.NewReader(content), int64(len(content)))
}

// nextChunk hands over the chunk of blocks that is full and begins another one: the next of the reservation,
// or the lowest free one.
func (r *Region) nextChunk(ctx context.Context, need int64) error {
	if err := r.blocks.flush(ctx, r.writer.to); err != nil {
		return err
	}
	if len(r.reserved) > 0 {
		first := &r.reserved[0]
		r.blocks.open(first.start)
		first.start++
		first.count--
		if first.count == 0 {
			r.reserved = r.reserved[1:]
		}
		return nil
	}
	if err := r.waitTurn(ctx); err != nil {
		return fmt.Errorf("waiting for space beyond the reservation: %w", err)
	}
	taken := r.writer.chunks.take(1)
	if taken.count == 0 {
		return &OutOfBlocks{Need: need, Have: 0}
	}
	r.blocks.open(taken.start)
	return nil
}

// numberInodes gives out count inode numbers in ascending order.
func (r *Region) numberInodes(count int) ([]uint32, error) {
	free := &r.writer.inodeChunks
	if have := int64(r.inodes.unused()) + free.available()*inodesPerChunk; int64(count) > have {
		return nil, &OutOfInodes{Need: int64(count), Have: have}
	}
	numbers := make([]uint32, count)
	for i := range numbers {
		if r.inodes.unused() == 0 {
			r.inodes.extend(free.take(1).start)
		}
		numbers[i] = r.inodes.number()
	}
	return numbers, nil
}
