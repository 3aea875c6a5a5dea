package volume

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is a raw disk in a sparse file, which appears under its name only when it is complete.
type File struct {
	path string
	temp *os.File
}

// CreateFile begins a raw disk of size GiB, in a temporary file beside path.
func CreateFile(path string, size int64) (*File, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("creating the disk image: %w", err)
	}
	file := &File{path: path, temp: temp}
	if err := temp.Truncate(size * gib); err != nil {
		return nil, errors.Join(fmt.Errorf("creating the disk image: %w", err), file.Abort(context.Background()))
	}
	return file, nil
}

// CreateFileFrom begins a raw disk of size GiB that has all that another one has, which is not larger.
func CreateFileFrom(ctx context.Context, path string, size int64, from RawDisk) (*File, error) {
	file, err := CreateFile(path, size)
	if err != nil {
		return nil, err
	}
	if err := file.copy(ctx, from); err != nil {
		return nil, errors.Join(fmt.Errorf("copying a disk: %w", err), file.Abort(ctx))
	}
	return file, nil
}

// copy leaves holes where the other disk is zero.
func (f *File) copy(ctx context.Context, from RawDisk) error {
	for index := range from.Size() / BlockSize {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !from.Has(index) {
			continue
		}
		block, err := readBlock(from, index)
		if err != nil {
			return err
		}
		if _, err := f.temp.WriteAt(block, index*BlockSize); err != nil {
			return err
		}
	}
	return nil
}

// WriteBlock implements Disk.
func (f *File) WriteBlock(_ context.Context, index int64, data []byte, _ [sha256.Size]byte) error {
	if _, err := f.temp.WriteAt(data, index*BlockSize); err != nil {
		return fmt.Errorf("writing the disk image: %w", err)
	}
	return nil
}

// Complete makes the file appear under its name; one that was there is replaced.
func (f *File) Complete(context.Context) error {
	const readableByAll = 0o644
	if err := f.temp.Chmod(readableByAll); err != nil {
		return fmt.Errorf("completing the disk image: %w", err)
	}
	if err := f.temp.Close(); err != nil {
		return fmt.Errorf("completing the disk image: %w", err)
	}
	if err := os.Rename(f.temp.Name(), f.path); err != nil {
		return fmt.Errorf("completing the disk image: %w", err)
	}
	return nil
}

// Abort removes the temporary file.
func (f *File) Abort(context.Context) error {
	_ = f.temp.Close() // the bytes are not wanted
	if err := os.Remove(f.temp.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the incomplete disk image: %w", err)
	}
	return nil
}

// DiskFile is a raw disk in a file, or a block device, that is read.
type DiskFile struct {
	*io.SectionReader
	file *os.File
}

// OpenFile opens a raw disk.
func OpenFile(path string) (*DiskFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the disk: %w", err)
	}
	size, err := file.Seek(0, io.SeekEnd) // of a block device, too
	if err != nil {
		return nil, errors.Join(fmt.Errorf("measuring the disk: %w", err), file.Close())
	}
	return &DiskFile{SectionReader: io.NewSectionReader(file, 0, size), file: file}, nil
}

// Has implements RawDisk by the file's holes; where a filesystem or a device does not tell them, there are none.
func (d *DiskFile) Has(index int64) bool {
	next, err := unix.Seek(int(d.file.Fd()), index*BlockSize, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return false // a hole up to the end
	}
	return err != nil || next < (index+1)*BlockSize
}

// Close ends all reading.
func (d *DiskFile) Close() error { return d.file.Close() }
