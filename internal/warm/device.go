package warm

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Device is a block device, or a file in its place, that is read past the page cache where that is possible.
//
// What counts is that EBS has fetched a block. The page cache of a device is not that of the files on it, so that
// all that came through it would be kept in memory in vain, gigabytes at a node's start.
type Device struct {
	*io.SectionReader
	file *os.File
}

// OpenDevice opens a device for reading.
func OpenDevice(path string) (*Device, error) {
	file, err := openDirect(path)
	if err != nil {
		return nil, fmt.Errorf("opening the device: %w", err)
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("measuring the device: %w", err), file.Close())
	}
	return &Device{SectionReader: io.NewSectionReader(file, 0, size), file: file}, nil
}

// Close ends all reading.
func (d *Device) Close() error { return d.file.Close() }
