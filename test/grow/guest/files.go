//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/grow/report"
)

// fill takes a part of the free space with a file that is allocated and never written, which takes no time.
func fill(filesystem report.Filesystem, percent int) error {
	if percent == 0 {
		return nil
	}
	var stat unix.Statfs_t
	if err := unix.Statfs(mountpoint, &stat); err != nil {
		return fmt.Errorf("asking for the free space: %w", err)
	}
	used := filesystem.Bytes - int64(stat.Bfree)*stat.Bsize
	file, err := os.Create(filepath.Join(mountpoint, report.FillFile))
	if err != nil {
		return fmt.Errorf("filling the filesystem: %w", err)
	}
	defer file.Close()
	// The size is kept: it stays an empty file to whoever reads it.
	want := filesystem.Bytes*int64(percent)/100 - used
	if err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, want); err != nil {
		return fmt.Errorf("filling the filesystem to %d %%: %w", percent, err)
	}
	return nil
}

// writeAfterGrowth writes a file into the grown filesystem.
func writeAfterGrowth() error {
	file, err := os.Create(filepath.Join(mountpoint, report.NewFile))
	if err != nil {
		return fmt.Errorf("writing into the grown filesystem: %w", err)
	}
	defer file.Close()
	if _, err := io.Copy(file, report.NewFileContent()); err != nil {
		return fmt.Errorf("writing into the grown filesystem: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("writing into the grown filesystem: %w", err)
	}
	return nil
}

// readFiles returns the SHA-256 of every regular file by its quoted path.
func readFiles(root string) (map[string]string, error) {
	sums := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		sum, err := sha256File(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		sums[strconv.QuoteToASCII(name)] = sum
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the files back: %w", err)
	}
	return sums, nil
}

func sha256File(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
