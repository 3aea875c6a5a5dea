package ext4

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// storedInode is an inode's 256 bytes.
type storedInode []byte

func (b storedInode) mode() uint32     { return uint32(le.Uint16(b)) }
func (b storedInode) fileType() uint32 { return b.mode() & tree.TypeMask }
func (b storedInode) size() int64      { return int64(le.Uint32(b[4:])) | int64(le.Uint32(b[108:]))<<32 }
func (b storedInode) flags() uint32    { return le.Uint32(b[32:]) }
func (b storedInode) mapping() []byte  { return b[mappingOffset : mappingOffset+mappingSize] }
func (b storedInode) extra() int       { return int(le.Uint16(b[128:])) }

func (r *Reader) inode(number uint32) (storedInode, error) {
	if number == 0 || number > r.inodes {
		return nil, fmt.Errorf("inode %d of %d: %w", number, r.inodes, ErrCorrupt)
	}
	group, index := (number-1)/r.inodesPerGroup, (number-1)%r.inodesPerGroup
	descriptor := make([]byte, descriptorSize)
	if err := readFull(r.source, descriptor, BlockSize+int64(group)*descriptorSize); err != nil {
		return nil, err
	}
	block := int64(le.Uint32(descriptor[8:])) + int64(index)*inodeSize/BlockSize
	if block >= int64(r.blocks) {
		return nil, fmt.Errorf("inode %d in block %d of %d: %w", number, block, r.blocks, ErrCorrupt)
	}
	in := make(storedInode, inodeSize)
	if err := readFull(r.source, in, block*BlockSize+int64(index)*inodeSize%BlockSize); err != nil {
		return nil, err
	}
	if in.size() < 0 || in.extra() > inodeSize-128 {
		return nil, fmt.Errorf("inode %d has a size of %d and %d extra bytes: %w", number, in.size(), in.extra(), ErrCorrupt)
	}
	return in, nil
}

func (r *Reader) node(b storedInode) (*tree.Node, error) {
	xattrs, err := r.xattrs(b)
	if err != nil {
		return nil, err
	}
	// An inode without extra fields has no finer times: a zero word stands for them.
	times := make([]byte, inodeSize)
	copy(times, b[:128+b.extra()])
	n := &tree.Node{
		Mode:   b.mode(),
		UID:    uint32(le.Uint16(b[2:])) | uint32(le.Uint16(b[120:]))<<16,
		GID:    uint32(le.Uint16(b[24:])) | uint32(le.Uint16(b[122:]))<<16,
		Atime:  getTime(times[8:], times[140:]),
		Mtime:  getTime(times[16:], times[136:]),
		Xattrs: xattrs,
	}
	if b.fileType() != tree.TypeDirectory {
		n.Links = uint32(le.Uint16(b[26:]))
	}
	switch b.fileType() {
	case tree.TypeRegular:
		n.Size = b.size()
	case tree.TypeCharDev, tree.TypeBlockDev:
		n.SetDevice(getDevice(b.mapping()))
	case tree.TypeSymlink:
		n.Special = &tree.Special{}
		n.Special.Target, err = r.target(b)
	}
	return n, err
}

func (r *Reader) target(in storedInode) (string, error) {
	size := in.size()
	if size >= BlockSize {
		return "", fmt.Errorf("a symbolic link of %d bytes: %w", size, ErrCorrupt)
	}
	if size < mappingSize && in.flags()&flagExtents == 0 {
		return string(in.mapping()[:size]), nil
	}
	content, err := r.content(in)
	if err != nil {
		return "", err
	}
	target := make([]byte, size)
	_, err = io.ReadFull(content, target)
	return string(target), err
}

// mapping is a part of a file: count blocks from the file's block logical on are on the filesystem from block
// on. What no mapping covers reads as zero.
type mapping struct {
	logical, block, count uint32
}

// mappings reads the extent tree. Logical block numbers have to rise, which ends every loop in a damaged tree.
func (r *Reader) mappings(in storedInode) ([]mapping, error) {
	if in.flags()&flagExtents == 0 {
		return nil, fmt.Errorf("a file without extents: %w", ErrUnsupported)
	}
	reading := extentReading{reader: r}
	if err := reading.node(in.mapping(), -1); err != nil {
		return nil, err
	}
	return reading.found, nil
}

type extentReading struct {
	reader *Reader
	found  []mapping
	next   int64 // the lowest logical block that the next extent may have
	nodes  int
}

// node reads one node, of any depth if that is negative.
func (x *extentReading) node(b []byte, wantDepth int) error {
	entries, depth := int(le.Uint16(b[2:])), int(le.Uint16(b[6:]))
	if le.Uint16(b) != extentMagic || (entries+1)*extentEntrySize > len(b) || depth > maxExtentDepth || (wantDepth >= 0 && depth != wantDepth) {
		return fmt.Errorf("an extent tree node with %d entries at depth %d: %w", entries, depth, ErrCorrupt)
	}
	if x.nodes++; x.nodes > maxMappings {
		return fmt.Errorf("an extent tree of more than %d nodes: %w", maxMappings, ErrCorrupt)
	}
	for i := range entries {
		entry := b[(i+1)*extentEntrySize:]
		if depth == 0 {
			if err := x.extent(entry); err != nil {
				return err
			}
			continue
		}
		below := make([]byte, BlockSize)
		if err := x.reader.readBlock(below, le.Uint32(entry[4:])); err != nil {
			return err
		}
		if err := x.node(below, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func (x *extentReading) extent(entry []byte) error {
	m := mapping{logical: le.Uint32(entry), block: le.Uint32(entry[8:]), count: uint32(le.Uint16(entry[4:]))}
	unwritten := m.count > maxExtentBlocks
	if unwritten {
		m.count -= maxExtentBlocks
	}
	if m.count == 0 || int64(m.logical) < x.next || int64(m.block)+int64(m.count) > int64(x.reader.blocks) || len(x.found) == maxMappings {
		return fmt.Errorf("an extent of %d blocks at %d: %w", m.count, m.block, ErrCorrupt)
	}
	x.next = int64(m.logical) + int64(m.count)
	if !unwritten {
		x.found = append(x.found, m)
	}
	return nil
}

func (r *Reader) readBlock(b []byte, block uint32) error {
	if block >= r.blocks {
		return fmt.Errorf("block %d of %d: %w", block, r.blocks, ErrCorrupt)
	}
	return readFull(r.source, b, int64(block)*BlockSize)
}

// content gives access to what an inode's extents hold.
func (r *Reader) content(in storedInode) (*io.SectionReader, error) {
	mappings, err := r.mappings(in)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(&mappedFile{source: r.source, mappings: mappings}, 0, in.size()), nil
}

// mappedFile reads a file through its mappings, holes as zeros, without an end of its own.
type mappedFile struct {
	source   io.ReaderAt
	mappings []mapping
}

func (f *mappedFile) ReadAt(b []byte, offset int64) (read int, err error) {
	for read < len(b) {
		at, rest := offset+int64(read), b[read:]
		i, _ := slices.BinarySearchFunc(f.mappings, at, func(m mapping, at int64) int {
			if (int64(m.logical)+int64(m.count))*BlockSize <= at {
				return -1
			}
			return 1
		})
		if i == len(f.mappings) {
			clear(rest)
			return len(b), nil
		}
		m := f.mappings[i]
		start, end := int64(m.logical)*BlockSize, (int64(m.logical)+int64(m.count))*BlockSize
		if at < start {
			rest = rest[:min(int64(len(rest)), start-at)]
			clear(rest)
		} else {
			rest = rest[:min(int64(len(rest)), end-at)]
			if err := readFull(f.source, rest, int64(m.block)*BlockSize+at-start); err != nil {
				return read, err
			}
		}
		read += len(rest)
	}
	return read, nil
}

// xattrs returns nil for an inode without attributes.
func (r *Reader) xattrs(b storedInode) (map[string]string, error) {
	found := map[string]string{}
	if start := 128 + b.extra(); start+xattrInodeHeader <= inodeSize && le.Uint32(b[start:]) == xattrMagic {
		space := b[start+xattrInodeHeader:]
		if err := parseXattrs(space, space, found); err != nil {
			return nil, err
		}
	}
	if block := le.Uint32(b[104:]); block != 0 {
		space := make([]byte, BlockSize)
		if err := r.readBlock(space, block); err != nil {
			return nil, err
		}
		if le.Uint32(space) != xattrMagic {
			return nil, fmt.Errorf("block %d has no attributes: %w", block, ErrCorrupt)
		}
		if err := parseXattrs(space[xattrBlockHeader:], space, found); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found, nil
}

// parseXattrs reads entries, whose values are at offsets in the space values.
func parseXattrs(entries, values []byte, into map[string]string) error {
	for len(entries) >= xattrEnd && le.Uint32(entries) != 0 {
		if len(entries) < xattrEntryHeader {
			return fmt.Errorf("an attribute beyond its space: %w", ErrCorrupt)
		}
		nameLength, index := int(entries[0]), entries[1]
		offset, size := int64(le.Uint16(entries[2:])), int64(le.Uint32(entries[8:]))
		length := xattrEntryHeader + (nameLength+3)&^3
		if length > len(entries) || offset+size > int64(len(values)) || le.Uint32(entries[4:]) != 0 {
			return fmt.Errorf("an attribute of %d bytes at %d: %w", size, offset, ErrCorrupt)
		}
		name, err := xattrName(index, string(entries[xattrEntryHeader:xattrEntryHeader+nameLength]))
		if err != nil {
			return err
		}
		value := string(values[offset : offset+size])
		if name == aclAccess || name == aclDefault {
			if value, err = decodeACL(value); err != nil {
				return fmt.Errorf("converting %s: %w: %w", name, err, ErrCorrupt)
			}
		}
		into[name] = value
		entries = entries[length:]
	}
	return nil
}

func xattrName(index byte, suffix string) (string, error) {
	for _, namespace := range xattrNamespaces {
		if namespace.index == index {
			if strings.HasSuffix(namespace.prefix, ".") == (suffix == "") {
				break
			}
			return namespace.prefix + suffix, nil
		}
	}
	return "", fmt.Errorf("an attribute %q in namespace %d: %w", suffix, index, ErrCorrupt)
}
