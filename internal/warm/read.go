package warm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Result says how much was read.
type Result struct {
	// Blocks counts the blocks of 512 KiB that were read, Bytes their bytes.
	Blocks, Bytes int64
}

// Read reads the list's blocks from a filesystem's bytes, in order and parallel of them at a time, and forgets what
// it reads; it holds parallel blocks in memory. It ends at the first error, and when ctx is done with its cause; the
// result tells how far it came. Blocks are read in full: EBS documents that reading all of a volume initialises it,
// and not that less of each block would do.
func Read(ctx context.Context, filesystem io.ReaderAt, list List, parallel int) (Result, error) {
	group, ctx := errgroup.WithContext(ctx)
	blocks := make(chan int64)
	group.Go(func() error {
		defer close(blocks)
		return feed(ctx, list, blocks)
	})
	var read, bytes atomic.Int64
	for range parallel {
		group.Go(func() error {
			return readBlocks(filesystem, blocks, func(n int) {
				read.Add(1)
				bytes.Add(int64(n))
			})
		})
	}
	err := group.Wait()
	return Result{Blocks: read.Load(), Bytes: bytes.Load()}, err
}

// feed sends the offsets of the list's blocks.
func feed(ctx context.Context, list List, blocks chan<- int64) error {
	for _, r := range list {
		for offset := r.Offset; offset < r.Offset+r.Length; offset += BlockSize {
			if ctx.Err() != nil { // select would choose by chance
				return context.Cause(ctx)
			}
			select {
			case blocks <- offset:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

func readBlocks(filesystem io.ReaderAt, blocks <-chan int64, done func(bytes int)) error {
	// Direct I/O wants memory that is aligned to pages, as a mapping is.
	buffer, err := unix.Mmap(-1, 0, BlockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("getting memory to read into: %w", err)
	}
	defer func() { _ = unix.Munmap(buffer) }() // nothing could be done about it, and the process ends soon
	for offset := range blocks {
		n, err := filesystem.ReadAt(buffer, offset)
		// The last block of a filesystem may be short.
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the block at byte %d: %w", offset, err)
		}
		done(n)
	}
	return nil
}
