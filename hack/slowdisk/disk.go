package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// blockSize is what EBS fetches at once, in bytes.
const blockSize = 512 << 10

// seekData is Linux's SEEK_DATA.
const seekData = 3

// disk is an image whose blocks are slow at their first touch.
type disk struct {
	image   *os.File
	log     io.WriteCloser
	latency time.Duration
	size    int64

	mu sync.Mutex
	// fetches has, for each block that was touched, what is closed when it is there.
	fetches map[int64]chan struct{}
	held    map[int64]bool
}

func openDisk(image, log string, latency time.Duration) (*disk, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the image: %w", err)
	}
	d := &disk{image: file, latency: latency, fetches: map[int64]chan struct{}{}, held: map[int64]bool{}}
	if d.size, err = file.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(fmt.Errorf("measuring the image: %w", err), file.Close())
	}
	if err := d.findHeld(); err != nil {
		return nil, errors.Join(fmt.Errorf("finding the image's holes: %w", err), file.Close())
	}
	if d.log, err = os.Create(log); err != nil {
		return nil, errors.Join(fmt.Errorf("creating the log: %w", err), file.Close())
	}
	return d, nil
}

// findHeld notes the blocks that a snapshot of the image would have.
func (d *disk) findHeld() error {
	for block := int64(0); block*blockSize < d.size; block++ {
		next, err := d.image.Seek(block*blockSize, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return nil // a hole up to the end
		}
		if err != nil {
			return err
		}
		block = next / blockSize
		d.held[block] = true
	}
	return nil
}

func (d *disk) close() error { return errors.Join(d.image.Close(), d.log.Close()) }

// touch waits until the blocks of a part of the image are there. Blocks that are touched together are fetched
// side by side.
func (d *disk) touch(offset int64, length int) {
	var waits []chan struct{}
	for block := offset / blockSize; block*blockSize < offset+int64(length); block++ {
		if fetched := d.fetch(block); fetched != nil {
			waits = append(waits, fetched)
		}
	}
	for _, fetched := range waits {
		<-fetched
	}
}

// fetch begins to fetch a block, unless that was begun before; it returns nil for one that needs no fetching.
func (d *disk) fetch(block int64) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.held[block] {
		return nil
	}
	fetched, begun := d.fetches[block]
	if !begun {
		fetched = make(chan struct{})
		d.fetches[block] = fetched
		fmt.Fprintln(d.log, time.Now().UnixNano(), block)
		time.AfterFunc(d.latency, func() { close(fetched) })
	}
	return fetched
}
