package volume

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
