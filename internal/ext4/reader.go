package ext4

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// Limits on what a damaged filesystem can make a Reader hold in memory.
const (
	// maxDirectoryBytes is the largest directory's that can be written.
	maxDirectoryBytes = (1 + entriesInRoot + maxLeaves) * BlockSize
	maxMappings       = 1 << 20
	// maxExtentDepth is EXT4_MAX_EXTENT_DEPTH.
	maxExtentDepth = 5
)

var (
	// ErrCorrupt is wrapped by every error about a filesystem that contradicts itself.
	ErrCorrupt = errors.New("corrupt filesystem")
	// ErrUnsupported is wrapped by every error about a filesystem with features that this package never writes.
	ErrUnsupported = errors.New("not a filesystem that Larder writes")
)

// Superblock is what a filesystem says about itself.
type Superblock struct {
	// Size is the filesystem's size in bytes.
	Size int64
	UUID [16]byte
	// MountCount is how often it was mounted read-write since it was made: not zero once a node had it.
	MountCount uint16
	// Written is the time of the last change of the superblock.
	Written time.Time
	// NeedsRecovery says that the journal holds changes, which a Reader does not see.
	NeedsRecovery bool
}

// Reader reads a filesystem without mounting it. It trusts nothing that it reads: damage ends in an error. It
// may be used by several goroutines at once.
type Reader struct {
	source io.ReaderAt
	super  Superblock

	blocks, inodes, inodesPerGroup uint32
}

// Open reads the superblock of a filesystem of at most size bytes.
func Open(source io.ReaderAt, size int64) (*Reader, error) {
	s := make([]byte, superblockSize)
	if err := readFull(source, s, superblockOffset); err != nil {
		return nil, fmt.Errorf("reading the superblock: %w", err)
	}
	if le.Uint16(s[56:]) != superMagic {
		return nil, fmt.Errorf("reading the superblock: no ext4 filesystem here: %w", ErrUnsupported)
	}
	const known = incompatFiletype | incompatRecover | incompatExtents | incompatFlexBG
	if incompat := le.Uint32(s[96:]); incompat&^known != 0 || incompat&incompatFiletype == 0 {
		return nil, fmt.Errorf("the filesystem has the incompatible features %#x: %w", incompat, ErrUnsupported)
	}
	if le.Uint32(s[24:]) != 2 || le.Uint16(s[88:]) != inodeSize || le.Uint32(s[32:]) != blocksPerGroup {
		return nil, fmt.Errorf("the filesystem has other block, inode or group sizes: %w", ErrUnsupported)
	}
	r := &Reader{
		source:         source,
		inodes:         le.Uint32(s[0:]),
		blocks:         le.Uint32(s[4:]),
		inodesPerGroup: le.Uint32(s[40:]),
		super: Superblock{
			Size:          int64(le.Uint32(s[4:])) * BlockSize,
			UUID:          [16]byte(s[104:]),
			MountCount:    le.Uint16(s[52:]),
			Written:       time.Unix(int64(le.Uint32(s[48:])), 0),
			NeedsRecovery: le.Uint32(s[96:])&incompatRecover != 0,
		},
	}
	groups := (int64(r.blocks) + blocksPerGroup - 1) / blocksPerGroup
	if r.inodesPerGroup == 0 || int64(r.inodes) != groups*int64(r.inodesPerGroup) {
		return nil, fmt.Errorf("%d inodes in %d groups of %d: %w", r.inodes, groups, r.inodesPerGroup, ErrCorrupt)
	}
	if r.super.Size > size {
		return nil, fmt.Errorf("the filesystem's %d bytes do not fit in %d: %w", r.super.Size, size, ErrCorrupt)
	}
	return r, nil
}

// Superblock returns what the filesystem says about itself.
func (r *Reader) Superblock() Superblock { return r.super }

// Entry is a name in a directory.
type Entry struct {
	Name string
	// Inode is the same for all names of one file.
	Inode uint32
	// Type is one of tree's file types.
	Type uint32
}

// ReadDir returns a directory's entries in byte order of their names, without "." and "..". Paths have slashes
// between names; symbolic links are not followed. A name that does not exist is fs.ErrNotExist.
func (r *Reader) ReadDir(path string) ([]Entry, error) {
	entries, err := r.readDir(path)
	if err != nil {
		return nil, &fs.PathError{Op: "reading directory", Path: path, Err: err}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

func (r *Reader) readDir(path string) ([]Entry, error) {
	in, err := r.find(path)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	err = r.eachEntry(in, func(e Entry) bool {
		entries = append(entries, e)
		return true
	})
	return entries, err
}

// Stat returns what an inode says, without extents and children. The last name of the path may be a symbolic
// link; it is not followed.
func (r *Reader) Stat(path string) (*tree.Node, error) {
	in, err := r.find(path)
	if err != nil {
		return nil, &fs.PathError{Op: "reading inode", Path: path, Err: err}
	}
	n, err := r.node(in)
	if err != nil {
		return nil, &fs.PathError{Op: "reading inode", Path: path, Err: err}
	}
	return n, nil
}

// Open gives access to a regular file's bytes. Symbolic links are not followed.
func (r *Reader) Open(path string) (*io.SectionReader, error) {
	in, err := r.find(path)
	if err == nil && in.fileType() != tree.TypeRegular {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, &fs.PathError{Op: "opening", Path: path, Err: err}
	}
	content, err := r.content(in)
	if err != nil {
		return nil, &fs.PathError{Op: "opening", Path: path, Err: err}
	}
	return content, nil
}

// find walks from the root to the inode of a path.
func (r *Reader) find(path string) (storedInode, error) {
	in, err := r.inode(rootInode)
	if err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "", ".":
			continue
		case "..":
			return nil, fmt.Errorf("the path leads upwards: %w", fs.ErrInvalid)
		}
		number := uint32(0)
		err := r.eachEntry(in, func(e Entry) bool {
			if e.Name == name {
				number = e.Inode
			}
			return number == 0
		})
		if err != nil {
			return nil, err
		}
		if number == 0 {
			return nil, fmt.Errorf("%q: %w", name, fs.ErrNotExist)
		}
		if in, err = r.inode(number); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// eachEntry calls visit with a directory's entries until it returns false.
func (r *Reader) eachEntry(in storedInode, visit func(Entry) bool) error {
	if in.fileType() != tree.TypeDirectory {
		return errors.New("not a directory")
	}
	if in.size() > maxDirectoryBytes || in.size()%BlockSize != 0 {
		return fmt.Errorf("a directory of %d bytes: %w", in.size(), ErrCorrupt)
	}
	content, err := r.content(in)
	if err != nil {
		return err
	}
	block := make([]byte, BlockSize)
	for {
		if _, err := io.ReadFull(content, block); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for at := 0; at < BlockSize; {
			e, length, err := parseEntry(block[at:])
			if err != nil {
				return err
			}
			at += length
			if e.Inode == 0 || e.Name == "." || e.Name == ".." {
				continue
			}
			if err := checkName(e.Name); err != nil {
				return fmt.Errorf("%w: %w", err, ErrCorrupt)
			}
			if !visit(e) {
				return nil
			}
		}
	}
}

// parseEntry reads a directory entry; its inode is zero where none is. Index blocks of large directories look
// like such entries.
func parseEntry(b []byte) (e Entry, length int, err error) {
	if len(b) < direntHeader {
		return Entry{}, 0, fmt.Errorf("a directory entry beyond its block: %w", ErrCorrupt)
	}
	length = int(le.Uint16(b[4:]))
	nameLength := int(b[6])
	if length%4 != 0 || length < direntHeader+nameLength || length > len(b) {
		return Entry{}, 0, fmt.Errorf("a directory entry of %d bytes: %w", length, ErrCorrupt)
	}
	e = Entry{Inode: le.Uint32(b), Name: string(b[direntHeader : direntHeader+nameLength])}
	if int(b[7]) < len(direntTypes) {
		e.Type = direntTypes[b[7]]
	}
	return e, length, nil
}

func readFull(source io.ReaderAt, b []byte, offset int64) error {
	n, err := source.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(b), offset, err)
}
