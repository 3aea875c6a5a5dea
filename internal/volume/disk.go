package volume

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"github.com/larder-dev/larder/internal/ext4"
)

// BlockSize is the unit in which a volume is written, in bytes: the block size of the EBS direct APIs.
const BlockSize = ext4.ChunkSize

// Disk takes the blocks of a volume.
type Disk interface {
	// WriteBlock stores a block. Each index comes at most once, in any order and from several goroutines; a block
	// that never comes is all zero. The data is valid during the call only; sum is its SHA-256.
	WriteBlock(ctx context.Context, index int64, data []byte, sum [sha256.Size]byte) error
}

// partition writes a filesystem's chunks at their place on the disk and remembers what they hold.
type partition struct {
	disk Disk
	// start is the disk's block at which the partition starts.
	start int64

	written atomic.Int64
	mu      sync.Mutex
	sums    map[int64][sha256.Size]byte
}

var (
	zeroBlock [BlockSize]byte
	zeroSum   = sha256.Sum256(zeroBlock[:])
)

// WriteChunk passes on what differs from the all-zero disk that every volume starts from.
func (p *partition) WriteChunk(ctx context.Context, index int64, data []byte) error {
	if bytes.Equal(data, zeroBlock[:]) {
		return nil
	}
	sum := sha256.Sum256(data)
	p.mu.Lock()
	p.sums[index] = sum
	p.mu.Unlock()
	p.written.Add(1)
	return p.disk.WriteBlock(ctx, p.start+index, data, sum)
}

// digest is the SHA-256 over the SHA-256 sums of chunks, in the given order.
func (p *partition) digest(chunks []int64) [sha256.Size]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	hash := sha256.New()
	for _, index := range chunks {
		sum, written := p.sums[index]
		if !written {
			sum = zeroSum
		}
		hash.Write(sum[:])
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
