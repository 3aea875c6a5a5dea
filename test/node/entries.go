//go:build linux

package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// statBlock is the unit of st_blocks in bytes, whatever the filesystem's block size.
const statBlock = 512

// readContent adds the digest of every blob file's bytes. A file that the metadata does not name is an object
// without a size, so that a comparison shows it.
func (s Store) readContent(root string) error {
	directory := filepath.Join(root, contentDirectory, "sha256")
	files, err := os.ReadDir(directory)
	if err != nil {
		return fmt.Errorf("reading the content store: %w", err)
	}
	for _, file := range files {
		digest := "sha256:" + file.Name()
		facts, known := s[Object{"blob", digest}]
		if !known {
			facts = s.add("blob", digest)
		}
		if facts["content"], err = fileDigest(filepath.Join(directory, file.Name())); err != nil {
			return fmt.Errorf("reading blob %s: %w", digest, err)
		}
	}
	return nil
}

// readEntries adds every file below a snapshot's directory, and the directory itself as ".". It returns the bytes that
// the blocks of all of them take.
func (s Store) readEntries(chain, directory string) (taken int64, err error) {
	firstNames := map[uint64]string{} // by inode: the first path of each group of hard links
	err = filepath.WalkDir(directory, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading snapshot %s: %w", chain, err)
		}
		relative, err := filepath.Rel(directory, path)
		if err != nil {
			return err
		}
		facts := s.add("entry", chain+" "+relative)
		status, err := facts.readEntry(path)
		if err != nil {
			return fmt.Errorf("reading %s of snapshot %s: %w", relative, chain, err)
		}
		if _, linked := firstNames[status.Ino]; !linked {
			firstNames[status.Ino] = relative // a walk is in the order of names, and so the same in every store
			taken += status.Blocks * statBlock
		}
		facts["same inode as"] = firstNames[status.Ino]
		return nil
	})
	return taken, err
}

func (f Facts) readEntry(path string) (*syscall.Stat_t, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("lstat gave a %T", info.Sys())
	}
	f["mode"] = "0" + strconv.FormatUint(uint64(status.Mode), 8)
	f["uid"] = fmt.Sprint(status.Uid)
	f["gid"] = fmt.Sprint(status.Gid)
	f["rdev"] = fmt.Sprint(status.Rdev)
	f["nlink"] = fmt.Sprint(status.Nlink)
	f["mtime"] = info.ModTime().UTC().Format(time.RFC3339Nano)
	if !info.IsDir() { // a directory's size is how many blocks its names took, which depends on their order
		f["size"] = fmt.Sprint(status.Size)
	}
	switch info.Mode().Type() {
	case 0:
		f["content"], err = fileDigest(path)
	case fs.ModeSymlink:
		f["content"], err = os.Readlink(path)
	}
	if err != nil {
		return nil, err
	}
	return status, f.readXattrs(path)
}

func (f Facts) readXattrs(path string) error {
	list := make([]byte, 64<<10) // the most that the kernel lists
	length, err := unix.Llistxattr(path, list)
	if err != nil {
		return fmt.Errorf("listing extended attributes: %w", err)
	}
	value := make([]byte, 64<<10) // the longest that the kernel takes
	for len(list[:length]) > 0 {
		name := unix.ByteSliceToString(list[:length])
		list, length = list[len(name)+1:], length-len(name)-1
		size, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return fmt.Errorf("reading extended attribute %s: %w", name, err)
		}
		f["xattr "+name] = strconv.QuoteToASCII(string(value[:size]))
	}
	return nil
}

func fileDigest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}
