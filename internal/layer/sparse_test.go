package layer

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// rawHeader is a ustar header, or a GNU one for the types that are GNU's.
func rawHeader(kind byte, name string, size int) []byte {
	header := make([]byte, 512)
	copy(header, name)
	copy(header[100:], "0000644\x000000000\x000000000\x00")
	if size < 0 {
		copy(header[124:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	} else {
		copy(header[124:], fmt.Sprintf("%011o\x00", size))
	}
	copy(header[136:], "00000001750\x00")
	header[156] = kind
	if kind == 'S' || kind == 'L' {
		copy(header[257:], "ustar  \x00")
	} else {
		copy(header[257:], "ustar\x0000")
	}
	return withChecksum(header)
}

func withChecksum(header []byte) []byte {
	copy(header[148:], "        ")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	return header
}

func padded(content []byte) []byte {
	return append(content, make([]byte, -len(content)&511)...)
}

// paxRecord is "length key=value\n", where the length counts itself.
func paxRecord(key, value string) string {
	rest := " " + key + "=" + value + "\n"
	length := len(rest) + len(strconv.Itoa(len(rest)))
	if digits := len(strconv.Itoa(length)); digits != len(strconv.Itoa(len(rest))) {
		length = len(rest) + digits
	}
	return strconv.Itoa(length) + rest
}

// sparseOld is an old GNU sparse file with data at one place.
func sparseOld(size, at int64, data string) []byte {
	header := rawHeader('S', "sparse", len(data))
	copy(header[386:], fmt.Sprintf("%011o\x00%011o\x00", at, len(data)))
	copy(header[483:], base256(size))
	return concat(withChecksum(header), padded([]byte(data)))
}

// base256 is how GNU writes numbers too long for octal digits.
func base256(n int64) []byte {
	field := make([]byte, 12)
	for i := range 8 {
		field[11-i] = byte(n >> (8 * i))
	}
	field[0] = 0x80
	return field
}

// sparsePAX is a sparse file of one of the PAX formats.
func sparsePAX(records string, data []byte) []byte {
	return concat(
		rawHeader('x', "pax", len(records)), padded([]byte(records)),
		rawHeader('0', "GNUSparseFile.0/sparse", len(data)), padded(data),
	)
}

// pax1x0 has its map in front of its data.
func pax1x0(t *testing.T, size int64, sparseMap func(*bytes.Buffer)) []byte {
	t.Helper()
	var content bytes.Buffer
	sparseMap(&content)
	records := paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") +
		paxRecord("GNU.sparse.name", "sparse") + paxRecord("GNU.sparse.realsize", strconv.FormatInt(size, 10))
	return sparsePAX(records, content.Bytes())
}

// TestSparse reads a file of 1 MiB that has 512 bytes at 4,096 and 3 bytes at its end, in each format that GNU tar
// ever wrote.
func TestSparse(t *testing.T) {
	const size = 1 << 20
	first, last := strings.Repeat("x", 512), "end"
	data := []byte(first + last)
	want := strings.Repeat("\x00", 4096) + first + strings.Repeat("\x00", size-4096-512-3) + last
	gnu := func(version string) string {
		return paxRecord("GNU.sparse.major", "0") + paxRecord("GNU.sparse.minor", version)
	}
	old := rawHeader('S', "sparse", len(data))
	copy(old[386:], fmt.Sprintf("%011o\x00%011o\x00%011o\x00%011o\x00", 4096, 512, size-3, 3))
	copy(old[483:], fmt.Sprintf("%011o\x00", size))

	// An extension block has what four entries in the header cannot.
	extended := rawHeader('S', "sparse", len(data))
	for i := range 4 {
		copy(extended[386+24*i:], fmt.Sprintf("%011o\x00%011o\x00", 4096+128*i, 128))
	}
	extended[482] = 1
	copy(extended[483:], fmt.Sprintf("%011o\x00", size))
	extension := make([]byte, 512)
	copy(extension, fmt.Sprintf("%011o\x00%011o\x00", size-3, 3))

	sparseMap := "2\n4096\n512\n" + strconv.Itoa(size-3) + "\n3\n"
	for name, blob := range map[string][]byte{
		"old GNU":                   concat(withChecksum(old), padded(data)),
		"old GNU with an extension": concat(withChecksum(extended), extension, padded(data)),
		"PAX 0.0":                   sparsePAX(paxRecord("GNU.sparse.size", strconv.Itoa(size))+paxRecord("GNU.sparse.numblocks", "2")+paxRecord("GNU.sparse.offset", "4096")+paxRecord("GNU.sparse.numbytes", "512")+paxRecord("GNU.sparse.offset", strconv.Itoa(size-3))+paxRecord("GNU.sparse.numbytes", "3")+paxRecord("path", "sparse"), data),
		"PAX 0.1":                   sparsePAX(gnu("1")+paxRecord("GNU.sparse.name", "sparse")+paxRecord("GNU.sparse.size", strconv.Itoa(size))+paxRecord("GNU.sparse.numblocks", "2")+paxRecord("GNU.sparse.map", fmt.Sprintf("4096,512,%d,3", size-3)), data),
		"PAX 1.0":                   pax1x0(t, size, func(content *bytes.Buffer) { content.Write(padded([]byte(sparseMap))); content.Write(data) }),
	} {
		t.Run(name, func(t *testing.T) {
			blob := concat(blob, make([]byte, 1024))
			store := &memory{}
			diff, err := Read(context.Background(), bytes.NewReader(blob), spec(blob, true), store)
			if err != nil {
				t.Fatal(err)
			}
			node := diff.Root().Children["sparse"]
			if node == nil {
				t.Fatalf("it is not there: %v", diff.Root().Names())
			}
			if store.content(node) != want {
				t.Error("the holes did not become zeros, or the data is elsewhere")
			}
		})
	}
}

func TestSparseWithoutData(t *testing.T) {
	blob := concat(pax1x0(t, 8192, func(content *bytes.Buffer) { content.Write(padded([]byte("0\n"))) }), make([]byte, 1024))
	store := &memory{}
	diff, err := Read(context.Background(), bytes.NewReader(blob), spec(blob, true), store)
	if err != nil {
		t.Fatal(err)
	}
	if got := store.content(diff.Root().Children["sparse"]); got != string(make([]byte, 8192)) {
		t.Errorf("got %d bytes that are not all zero", len(got))
	}
}
