//go:build linux

package grow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/tree"
)

// Files returns the SHA-256 of every regular file in the partition by its quoted path, read without a kernel.
func (p Partition) Files() (map[string]string, error) {
	disk, err := os.Open(p.File)
	if err != nil {
		return nil, fmt.Errorf("opening the disk: %w", err)
	}
	defer disk.Close()
	filesystem, err := ext4.Open(io.NewSectionReader(disk, p.Offset, p.Size), p.Size)
	if err != nil {
		return nil, fmt.Errorf("opening the filesystem: %w", err)
	}
	sums := map[string]string{}
	return sums, addFiles(sums, filesystem, "")
}

func addFiles(sums map[string]string, filesystem *ext4.Reader, directory string) error {
	entries, err := filesystem.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(directory, entry.Name)
		switch entry.Type {
		case tree.TypeDirectory:
			if err := addFiles(sums, filesystem, name); err != nil {
				return err
			}
		case tree.TypeRegular:
			content, err := filesystem.Open(name)
			if err != nil {
				return err
			}
			sum, err := sha256Hex(content)
			if err != nil {
				return fmt.Errorf("reading %q: %w", name, err)
			}
			sums[strconv.QuoteToASCII(name)] = sum
		}
	}
	return nil
}

func sha256Hex(content io.Reader) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
