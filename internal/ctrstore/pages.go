package ctrstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// Sizes in bytes and flags of bbolt's file format (go.etcd.io/bbolt, internal/common: page.go, meta.go, inode.go).
// Numbers are in the machine's byte order there, which is little-endian on all that Larder runs on.
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16
	metaMagic    = 0xED0CDAED
	// Offsets in a meta page, behind its header.
	metaPageSize    = 8
	metaRoot        = 16
	metaTransaction = 48
	metaChecksum    = 56
	metaSize        = 64

	branchPage    = 0x01
	leafPage      = 0x02
	bucketElement = 0x01

	// maxDatabase bounds what is read into memory of a database, in bytes: 3,000 layers have 16 MiB.
	maxDatabase = 1 << 30
)

var errCycle = errors.New("its pages form a circle, or are used twice")

// checkPages makes sure that a database's pages form a tree. bbolt takes that for granted: it would follow a
// circle for ever.
func checkPages(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxDatabase+1))
	if err != nil {
		return fmt.Errorf("reading the database %s: %w", path, err)
	}
	if len(data) > maxDatabase {
		return fmt.Errorf("the database %s has more than %d bytes", path, maxDatabase)
	}
	if err := walkPages(data); err != nil {
		return fmt.Errorf("the database %s is damaged: %w", path, err)
	}
	return nil
}

// walkPages follows the tree that bbolt would: the one of the newer of the two meta pages that are whole. The other
// tree is of an earlier time, and its pages may have been used again.
func walkPages(data []byte) error {
	var newest []byte
	size := pageSizeOf(data)
	for number := range uint64(2) {
		start := number*size + pageHeader
		if start+metaSize > uint64(len(data)) {
			continue
		}
		meta := data[start : start+metaSize]
		if isWhole(meta) && (newest == nil || binary.LittleEndian.Uint64(meta[metaTransaction:]) > binary.LittleEndian.Uint64(newest[metaTransaction:])) {
			newest = meta
		}
	}
	if newest == nil {
		return errors.New("it has no page that leads to the others")
	}
	w := &pageWalk{data: data, size: size, seen: map[uint64]bool{}}
	return w.page(binary.LittleEndian.Uint64(newest[metaRoot:]))
}

// pageSizeOf reads it as bbolt does: from the first page, or, if that one is damaged, it is what writeDatabases uses.
func pageSizeOf(data []byte) uint64 {
	if len(data) >= pageHeader+metaSize && isWhole(data[pageHeader:pageHeader+metaSize]) {
		return uint64(binary.LittleEndian.Uint32(data[pageHeader+metaPageSize:]))
	}
	return pageSize
}

// isWhole compares a meta page with its checksum.
func isWhole(meta []byte) bool {
	hash := fnv.New64a()
	_, _ = hash.Write(meta[:metaChecksum]) // never fails
	return binary.LittleEndian.Uint32(meta) == metaMagic && hash.Sum64() == binary.LittleEndian.Uint64(meta[metaChecksum:])
}

type pageWalk struct {
	data []byte
	size uint64
	seen map[uint64]bool
}

func (w *pageWalk) page(number uint64) error {
	if w.seen[number] {
		return errCycle
	}
	w.seen[number] = true
	if w.size == 0 || number >= uint64(len(w.data))/w.size {
		return fmt.Errorf("page %d is beyond its end", number)
	}
	return w.elements(w.data[number*w.size:])
}

// elements follows what a page, or a bucket that is stored inside of one, leads to.
func (w *pageWalk) elements(page []byte) error {
	if len(page) < pageHeader {
		return errors.New("a page is cut off")
	}
	flags, count := binary.LittleEndian.Uint16(page[8:]), int(binary.LittleEndian.Uint16(page[10:]))
	if pageHeader+count*pageElement > len(page) {
		return errors.New("a page is cut off")
	}
	for i := range count {
		element := page[pageHeader+i*pageElement:]
		var err error
		switch flags {
		case branchPage:
			err = w.page(binary.LittleEndian.Uint64(element[8:]))
		case leafPage:
			err = w.bucket(element)
		default:
			err = fmt.Errorf("a page has the type %#x", flags)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket follows an element of a leaf, if it is a bucket: one with pages of its own, or one inside of the element.
func (w *pageWalk) bucket(element []byte) error {
	if binary.LittleEndian.Uint32(element)&bucketElement == 0 {
		return nil
	}
	position, key, value := binary.LittleEndian.Uint32(element[4:]), binary.LittleEndian.Uint32(element[8:]), binary.LittleEndian.Uint32(element[12:])
	start := uint64(position) + uint64(key)
	if end := start + uint64(value); end > uint64(len(element)) || value < bucketHeader {
		return errors.New("a bucket is cut off")
	}
	header := element[start : start+uint64(value)]
	if root := binary.LittleEndian.Uint64(header); root != 0 {
		return w.page(root)
	}
	return w.elements(header[bucketHeader:])
}
