package volume

import (
	"context"
	"crypto/sha256"

	"github.com/larder-dev/larder/internal/ext4"
)

// BlockSize is the unit in which a volume is written, in bytes: the block size of the EBS direct APIs.
const BlockSize = ext4.ChunkSize

// Disk takes the blocks of a volume.
type Disk interface {
	// WriteBlock stores a block. Each index comes at most once, in any order and from several goroutines; a block
	// that never comes stays as it is: all zero, or what the parent has there. The data is valid during the call
	// only; sum is its SHA-256.
	WriteBlock(ctx context.Context, index int64, data []byte, sum [sha256.Size]byte) error
}
