package volume

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

var (
	zeroBlock [BlockSize]byte
	zeroSum   = sha256.Sum256(zeroBlock[:])
)

// delta writes to a disk what differs from the disk that it starts from: the parent, or all zeros.
type delta struct {
	disk Disk
	// parent is nil without one.
	parent RawDisk
	// blind is set while layers are written: a block of theirs in a hole of the parent's is hardly ever as that was,
	// and to ask a snapshot for it takes as long as to send it, one after the other instead of many at once.
	blind bool

	written atomic.Int64
	mu      sync.Mutex
	// sums are those of all blocks that came, sent or not.
	sums map[int64][sha256.Size]byte
}

func newDelta(disk Disk, parent RawDisk) *delta {
	return &delta{disk: disk, parent: parent, sums: map[int64][sha256.Size]byte{}}
}

func (d *delta) write(ctx context.Context, index int64, data []byte) error {
	differs, err := d.differs(index, data)
	if err != nil {
		return err
	}
	sum := zeroSum
	if !bytes.Equal(data, zeroBlock[:]) {
		sum = sha256.Sum256(data)
	}
	d.mu.Lock()
	d.sums[index] = sum
	d.mu.Unlock()
	if !differs {
		return nil
	}
	d.written.Add(1)
	return d.disk.WriteBlock(ctx, index, data, sum)
}

// differs tells whether a block has to be written.
func (d *delta) differs(index int64, data []byte) (bool, error) {
	if d.blind && d.parentHas(index) {
		return true, nil
	}
	before, err := d.before(index)
	return err == nil && !bytes.Equal(data, before), err
}

// parentHas tells whether the parent may have anything but zeros in a block.
func (d *delta) parentHas(index int64) bool {
	return d.parent != nil && (index+1)*BlockSize <= d.parent.Size() && d.parent.Has(index)
}

// before returns what the disk has in a block before anything is written.
func (d *delta) before(index int64) ([]byte, error) {
	if !d.parentHas(index) {
		return zeroBlock[:], nil
	}
	block, err := readBlock(d.parent, index)
	if err != nil {
		return nil, &ParentError{Err: err}
	}
	return block, nil
}

// came tells whether a block was written or found to be right already.
func (d *delta) came(index int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, came := d.sums[index]
	return came
}

// sum is the SHA-256 of a block as it is now.
func (d *delta) sum(index int64) ([sha256.Size]byte, error) {
	d.mu.Lock()
	sum, came := d.sums[index]
	d.mu.Unlock()
	if came {
		return sum, nil
	}
	block, err := d.before(index)
	if err != nil {
		return sum, err
	}
	return sha256.Sum256(block), nil
}

// partition passes on a filesystem's chunks to their place on the disk, and reads the parent's.
type partition struct {
	*delta
	// start is the disk's block at which the partition starts.
	start int64
}

// WriteChunk implements ext4.ChunkWriter.
func (p *partition) WriteChunk(ctx context.Context, index int64, data []byte) error {
	return p.write(ctx, p.start+index, data)
}

// digest is the SHA-256 over the SHA-256 sums of chunks, in the given order.
func (p *partition) digest(chunks []int64) ([sha256.Size]byte, error) {
	hash := sha256.New()
	for _, index := range chunks {
		sum, err := p.sum(p.start + index)
		if err != nil {
			return sum, err
		}
		hash.Write(sum[:])
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}

func readBlock(disk RawDisk, index int64) ([]byte, error) {
	block := make([]byte, BlockSize)
	if n, err := disk.ReadAt(block, index*BlockSize); n < len(block) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("reading block %d: %w", index, err)
	}
	return block, nil
}
