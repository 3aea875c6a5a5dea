package warm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// BlockSize is what EBS fetches at once, in bytes: the block of a snapshot (EBS direct APIs, GetSnapshotBlock).
	BlockSize = 512 << 10
	// MaxListSize bounds a list's file in bytes: 500,000 ranges, where a volume of a thousand layers has a few
	// thousand.
	MaxListSize = 16 << 20
	// listHeader is a list's first line. The number changes when an older reader could not work with the list.
	listHeader = "larder-hot 1"
)

// Range is a part of a filesystem: whole blocks, in bytes from its start.
type Range struct{ Offset, Length int64 }

// List are the parts of a filesystem in the order in which a node needs them. None overlaps another.
type List []Range

// NewList makes a list of blocks, which are named by their indexes. A block that comes again is left out, and
// neighbours that follow each other become one range.
func NewList(blocks []int64) List {
	var list List
	listed := make(map[int64]bool, len(blocks))
	for _, block := range blocks {
		if listed[block] {
			continue
		}
		listed[block] = true
		offset := block * BlockSize
		if last := len(list) - 1; last >= 0 && list[last].Offset+list[last].Length == offset {
			list[last].Length += BlockSize
			continue
		}
		list = append(list, Range{Offset: offset, Length: BlockSize})
	}
	return list
}

// Blocks counts the list's blocks.
func (l List) Blocks() int64 {
	var blocks int64
	for _, r := range l {
		blocks += r.Length / BlockSize
	}
	return blocks
}

// Encode writes the list as Parse reads it: a line with the version, then one line for each range with its offset
// and its length in bytes.
func (l List) Encode() []byte {
	text := append([]byte(listHeader), '\n')
	for _, r := range l {
		text = strconv.AppendInt(text, r.Offset, 10)
		text = append(text, ' ')
		text = strconv.AppendInt(text, r.Length, 10)
		text = append(text, '\n')
	}
	return text
}

// Parse reads the list of a filesystem of size bytes. A volume may be hostile: ranges that are not whole blocks of
// the filesystem are refused, and so is a list that is longer than the filesystem.
func Parse(text []byte, size int64) (List, error) {
	if len(text) > MaxListSize {
		return nil, fmt.Errorf("the list has %d bytes, which is more than %d", len(text), MaxListSize)
	}
	header, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(header) != listHeader {
		return nil, fmt.Errorf("the list begins with %.40q, and this release reads %q only", header, listHeader)
	}
	var list List
	left := size
	number := 1
	for line := range bytes.Lines(rest) {
		number++
		next, err := parseRange(string(line), size)
		if err != nil {
			return nil, fmt.Errorf("line %d of the list: %w", number, err)
		}
		if left -= next.Length; left < 0 {
			return nil, fmt.Errorf("line %d of the list: with it, the list is longer than the filesystem's %d bytes", number, size)
		}
		list = append(list, next)
	}
	return list, nil
}

func parseRange(line string, size int64) (Range, error) {
	offset, length, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	start, startErr := strconv.ParseInt(offset, 10, 64)
	count, countErr := strconv.ParseInt(length, 10, 64)
	if errors.Join(startErr, countErr) != nil {
		return Range{}, fmt.Errorf("%.60q is not an offset and a length", line)
	}
	if start < 0 || count <= 0 || start%BlockSize != 0 || count%BlockSize != 0 {
		return Range{}, fmt.Errorf("%d bytes at %d are not whole blocks of %d", count, start, BlockSize)
	}
	if start > size || count > size-start {
		return Range{}, fmt.Errorf("%d bytes at %d reach beyond the filesystem's %d", count, start, size)
	}
	return Range{Offset: start, Length: count}, nil
}
