package fakeaws

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// blockSize is in bytes: https://docs.aws.amazon.com/ebs/latest/APIReference/API_PutSnapshotBlock.html
const blockSize = 512 << 10

// digest is a block's SHA-256.
type digest [sha256.Size]byte

func (d digest) base64() string { return base64.StdEncoding.EncodeToString(d[:]) }

// blockStore keeps every distinct block once, for as long as a snapshot holds it.
type blockStore struct {
	// dir is empty for a store in memory.
	dir string

	mu      sync.Mutex
	holders map[digest]int
	memory  map[digest][]byte
}

func newBlockStore(dir string) *blockStore {
	return &blockStore{dir: dir, holders: map[digest]int{}, memory: map[digest][]byte{}}
}

func (b *blockStore) path(sum digest) string { return filepath.Join(b.dir, hex.EncodeToString(sum[:])) }

// hold stores the data, unless it is there, for one more holder.
func (b *blockStore) hold(sum digest, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holders[sum] == 0 {
		if b.dir == "" {
			b.memory[sum] = bytes.Clone(data)
		} else if err := os.WriteFile(b.path(sum), data, 0o600); err != nil {
			return fmt.Errorf("storing a block: %w", err)
		}
	}
	b.holders[sum]++
	return nil
}

// share adds a holder to a block that has one.
func (b *blockStore) share(sum digest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holders[sum]++
}

// release removes a holder, and the block with its last one.
func (b *blockStore) release(sum digest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holders[sum]--
	if b.holders[sum] > 0 {
		return nil
	}
	delete(b.holders, sum)
	delete(b.memory, sum)
	if b.dir == "" {
		return nil
	}
	if err := os.Remove(b.path(sum)); err != nil {
		return fmt.Errorf("dropping a block: %w", err)
	}
	return nil
}

// drop lets go of what is in memory. Files stay.
func (b *blockStore) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.memory)
}

func (b *blockStore) read(sum digest) ([]byte, error) {
	b.mu.Lock()
	data, ok := b.memory[sum]
	b.mu.Unlock()
	if ok {
		return data, nil
	}
	data, err := os.ReadFile(b.path(sum))
	if err != nil {
		return nil, fmt.Errorf("reading a block: %w", err)
	}
	return data, nil
}
