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
// goroutine at a time, and holds at most two chunks in memory; with hot files three.
type Region struct {
	writer *Writer
	number int
	// turn is closed when every earlier region is closed.
	turn   chan struct{}
	closed bool

	// reservation is what the region reserved, and reserved what of it is not in use yet.
	reservation, reserved []span
	// blocks and hot fill chunks of their own, so that who reads what is hot touches no chunk of other files. The
	// second is used from the first hot file on.
	blocks, hot blockCursor
	inodes      inodeCursor
	// into is the one of the two that takes what belongs to the entry that is being written.
	into *blockCursor
	// unclaimed are the blocks of stored files that no tree has so far.
	unclaimed []span
	// placed are the blocks of the tree that is being written, files' own not among them.
	placed []span
	// hotPlaced are those of them that belong to hot entries.
	hotPlaced []span
	trees     []TreeLayout
	// top are the inodes of the filesystem's root, lost+found, anchor and all else that Finish writes, once they
	// are reserved.
	top []span
}

// Layout returns where the region is, once it is closed.
func (r *Region) Layout() Layout { return newLayout(r.trees) }

// Reserved returns the chunks that the region reserved, for NewRegionAt in the next filesystem.
func (r *Region) Reserved() []tree.Extent {
	reserved := make([]tree.Extent, len(r.reservation))
	for i, chunks := range r.reservation {
		reserved[i] = blocksOf(chunks)
	}
	return reserved
}

// Store copies a file's next size bytes from rd into the region and returns where they are. If none of the
// region's trees has the file, its blocks are free in the end: a layer's reader stores a file before it sees a
// later entry replace or remove it. A shorter rd is an error; what follows in a longer one is left unread. When
// the reservation is used up it waits for the region's turn, and fails with *OutOfBlocks when the filesystem is
// full.
func (r *Region) Store(ctx context.Context, rd io.Reader, size int64) ([]tree.Extent, error) {
	return r.storeFile(ctx, &r.blocks, rd, size)
}

// StoreHot is Store for a file that is read when a container starts. Such files have chunks to themselves, together
// with what WriteTree writes of its hot entries.
func (r *Region) StoreHot(ctx context.Context, rd io.Reader, size int64) ([]tree.Extent, error) {
	return r.storeFile(ctx, &r.hot, rd, size)
}

func (r *Region) storeFile(ctx context.Context, into *blockCursor, rd io.Reader, size int64) ([]tree.Extent, error) {
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	extents, err := r.store(ctx, into, rd, size)
	if err != nil {
		return nil, r.lost("storing a file", err)
	}
	for _, extent := range extents {
		r.unclaimed = appendRun(r.unclaimed, span(extent))
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
	if err := errors.Join(r.blocks.flush(ctx, r.writer.to), r.hot.flush(ctx, r.writer.to), r.inodes.flush(ctx, r.writer.to)); err != nil {
		return r.lost("closing", err)
	}
	r.closed = true
	r.blocks.buffer, r.hot.buffer, r.inodes.buffer = nil, nil, nil
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
	r.writer.begin()
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
func (r *Region) store(ctx context.Context, into *blockCursor, rd io.Reader, size int64) ([]tree.Extent, error) {
	var extents []tree.Extent
	for left := size; left > 0; {
		if into.full() {
			if err := r.nextChunk(ctx, into, left); err != nil {
				return nil, err
			}
		}
		space := into.space()
		space = space[:min(left, int64(len(space)))]
		if n, err := io.ReadFull(rd, space); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, fmt.Errorf("reading byte %d of %d: %w", size-left+int64(n), size, err)
		}
		extents = appendRun(extents, into.advance(len(space)))
		left -= int64(len(space))
	}
	return extents, nil
}

// storeBytes stores what belongs to the tree that is being written.
func (r *Region) storeBytes(ctx context.Context, content []byte) ([]tree.Extent, error) {
	extents, err := r.store(ctx, r.into, bytes.NewReader(content), int64(len(content)))
	r.placed = append(r.placed, convert[span](extents)...)
	return extents, err
}

// storeBlocks stores blocks that belong to the tree that is being written. It has fill write each, into zeros.
func (r *Region) storeBlocks(ctx context.Context, count int, fill func(i int, block []byte)) ([]tree.Extent, error) {
	var extents []tree.Extent
	for i := range count {
		if r.into.full() {
			if err := r.nextChunk(ctx, r.into, int64(count-i)*BlockSize); err != nil {
				return nil, err
			}
		}
		fill(i, r.into.space()[:BlockSize])
		extents = appendRun(extents, r.into.advance(BlockSize))
	}
	r.placed = append(r.placed, convert[span](extents)...)
	return extents, nil
}

// nextChunk hands over the chunk of blocks that is full and begins another one: the next of the reservation,
// or the lowest free one.
func (r *Region) nextChunk(ctx context.Context, into *blockCursor, need int64) error {
	if err := into.flush(ctx, r.writer.to); err != nil {
		return err
	}
	if len(r.reserved) > 0 {
		first := &r.reserved[0]
		into.open(first.Start)
		first.Start++
		first.Count--
		if first.Count == 0 {
			r.reserved = r.reserved[1:]
		}
		return nil
	}
	if err := r.waitTurn(ctx); err != nil {
		return fmt.Errorf("waiting for space beyond the reservation: %w", err)
	}
	taken := r.writer.chunks.take(1)
	if taken.Count == 0 {
		return &OutOfBlocks{Need: need, Have: 0}
	}
	into.open(taken.Start)
	return nil
}

// reserveInodes takes the lowest free chunks of inodes until count numbers can be given out.
func (r *Region) reserveInodes(count int64) error {
	free := &r.writer.inodeChunks
	have := r.inodes.unused()
	if all := have + free.available()*inodesPerChunk; count > all {
		return &OutOfInodes{Need: count, Have: all}
	}
	for ; have < count; have += inodesPerChunk {
		r.inodes.extend(free.take(1))
	}
	return nil
}

// numberInodes gives out count inode numbers in ascending order.
func (r *Region) numberInodes(count int64) ([]Range, error) {
	if err := r.reserveInodes(count); err != nil {
		return nil, err
	}
	var numbers []Range
	for left := uint32(count); left > 0; {
		taken := r.inodes.take(left)
		numbers = append(numbers, taken)
		left -= taken.Count
	}
	return numbers, nil
}
