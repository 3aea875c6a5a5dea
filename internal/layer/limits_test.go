package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestLongerThanTheVolume(t *testing.T) {
	const limit = 64 << 10
	zeros := string(make([]byte, limit))
	small := tarOf(t, file("a", "1"))
	cases := map[string]struct {
		reason string
		blob   []byte
		// inEntry says that one file alone is too long.
		inEntry bool
	}{
		"a file":                  {reason: "its header says so", blob: tarOf(t, file("a", zeros+"x")), inEntry: true},
		"a sparse file":           {reason: "its holes take blocks", blob: sparseOld(1<<40, 0, "data"), inEntry: true},
		"the longest sparse file": {reason: "the sum must not overflow", blob: concat(small[:1024], sparseOld(math.MaxInt64, 0, "data")), inEntry: true},
		"two sparse files":        {reason: "each alone would fit", blob: concat(small[:1024], sparseOld(limit*3/4, 0, "data"), sparseOld(limit*3/4, 0, "data")), inEntry: true},
		"headers":                 {reason: "a volume has no room for so many inodes either", blob: tarOf(t, many(200)...)},
		"a gzip bomb":             {reason: "1 KiB may hold 1 MiB", blob: gzipped(t, small, make([]byte, limit))},
		"a zstd bomb":             {reason: "a few bytes may hold 1 MiB", blob: zstandard(t, concat(small, make([]byte, limit)))},
		"padding":                 {reason: "what follows the tar's end counts too", blob: concat(small, make([]byte, limit))},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			store := &memory{}
			_, err := Read(context.Background(), bytes.NewReader(c.blob), Spec{DiffID: spec(nil, true).DiffID, Bottom: true, Limit: limit}, store)
			var long *LimitError
			if !errors.As(err, &long) || long.Limit != limit || errors.Is(err, ErrContent) {
				t.Fatalf("%s: got error %v, want a LimitError of %d", c.reason, err, limit)
			}
			if inEntry := errors.As(err, new(*EntryError)); inEntry != c.inEntry {
				t.Errorf("%s: got error %v", c.reason, err)
			}
			if len(store.blocks) > limit {
				t.Errorf("%d bytes were stored", len(store.blocks))
			}
		})
	}
}

func TestLimitIsInGiB(t *testing.T) {
	err := &LimitError{Limit: 20 << 30}
	if !strings.Contains(err.Error(), "20 GiB") {
		t.Errorf("got %q", err)
	}
}

func TestAsLongAsTheLimit(t *testing.T) {
	blob := tarOf(t, many(20)...)
	exact := spec(blob, true)
	exact.Limit = int64(len(blob))
	if _, err := Read(context.Background(), bytes.NewReader(gzipped(t, blob)), exact, &memory{}); err != nil {
		t.Error(err)
	}
}

// many are files without bytes.
func many(n int) []entry {
	entries := make([]entry, n)
	for i := range entries {
		entries[i] = file(strconv.Itoa(i), "")
	}
	return entries
}

// TestAbsurdHeaders are archives that archive/tar refuses: no entry could be named.
func TestAbsurdHeaders(t *testing.T) {
	start := tarOf(t, file("before", "1"))[:1024]
	pax := func(records string) []byte {
		header := rawHeader('x', "pax", len(records))
		return concat(header, padded([]byte(records)), rawHeader('0', "file", 0))
	}
	cases := map[string]struct {
		reason string
		blob   []byte
	}{
		"negative size":               {"a file has no less than nothing", rawHeader('0', "file", -1)},
		"negative size in PAX":        {"a file has no less than nothing", pax(paxRecord("size", "-512"))},
		"size of more than 63 bits":   {"no file is so long", pax(paxRecord("size", "9223372036854775808"))},
		"PAX header beyond 1 MiB":     {"it would have to be in memory", pax(paxRecord("comment", strings.Repeat("x", 1<<20)))},
		"PAX header without a length": {"it has no meaning", pax("size=1\n")},
		"name beyond 1 MiB":           {"it would have to be in memory", concat(rawHeader('L', "long", 1<<20+1), padded(bytes.Repeat([]byte("n"), 1<<20+1)), rawHeader('0', "file", 0))},
		"sparse map beyond 1 MiB": {
			"it would have to be in memory",
			pax1x0(t, 0, func(sparse *bytes.Buffer) {
				fmt.Fprintln(sparse, 1<<20)
				for range 1 << 20 {
					sparse.WriteString("0\n0\n")
				}
			}),
		},
		"sparse map of exabytes":    {"the map is counted before it is read", pax1x0(t, 0, func(sparse *bytes.Buffer) { fmt.Fprintln(sparse, math.MaxInt64/4) })},
		"sparse map that goes back": {"data overlaps", pax1x0(t, 8192, func(sparse *bytes.Buffer) { sparse.WriteString("2\n4096\n512\n0\n512\n") })},
		"sparse beyond its size":    {"data is behind the end", pax1x0(t, 100, func(sparse *bytes.Buffer) { sparse.WriteString("1\n4096\n512\n") })},
		"negative sparse size":      {"a file has no less than nothing", pax1x0(t, -1, func(sparse *bytes.Buffer) { sparse.WriteString("0\n") })},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			blob := concat(start, c.blob, make([]byte, 1024))
			_, err := Read(context.Background(), bytes.NewReader(blob), spec(blob, true), &memory{})
			if !errors.Is(err, ErrContent) || !strings.Contains(err.Error(), `after "before"`) {
				t.Errorf("%s: got error %v, want ErrContent with the name of the entry before", c.reason, err)
			}
		})
	}
}

// TestKeptNamesAreCopies keeps a few bytes of PAX headers of 512 KiB each.
func TestKeptNamesAreCopies(t *testing.T) {
	var blob bytes.Buffer
	for i := range 100 {
		records := paxRecord("path", fmt.Sprint("directory/file", i)) + paxRecord("SCHILY.xattr.user.k", "v") +
			paxRecord("comment", strings.Repeat("x", 512<<10)) + paxRecord("comment", "y")
		blob.Write(concat(rawHeader('x', "pax", len(records)), padded([]byte(records)), rawHeader('0', "file", 0)))
	}
	blob.Write(make([]byte, 1024))
	before := liveBytes()
	diff, err := Read(context.Background(), bytes.NewReader(blob.Bytes()), spec(blob.Bytes(), false), &memory{})
	if err != nil {
		t.Fatal(err)
	}
	if kept := liveBytes() - before; kept > 5<<20 {
		t.Errorf("100 small files keep %d MiB in memory", kept>>20)
	}
	if got := len(diff.Root().Children["directory"].Children); got != 100 {
		t.Errorf("%d files came out", got)
	}
	runtime.KeepAlive(&blob)
}

func liveBytes() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestNamesAtTheLimits(t *testing.T) {
	name := strings.Repeat("n", 255)
	deep := strings.Repeat(name[:127]+"/", 31) + strings.Repeat("f", 4095-31*128)
	notUTF8 := "latin-\xe9\xff\x01\n\\"
	diff, _ := mustRead(t, true,
		file(name+"/"+name, "1"), symlink("link", strings.Repeat("t", 4095)), file(deep, "2"), hardlink("deep", deep),
		file(notUTF8, "3").with(func(h *tar.Header) { h.Format = tar.FormatGNU }),
	)
	for path, want := range map[string]string{"long name": name + "/" + name, "path of 4,095 bytes": deep, "bytes": notUTF8} {
		if node, err := diff.Lookup(strings.Split(want, "/")); err != nil || node == nil || node.Size != 1 {
			t.Errorf("%s: got %v, error %v", path, node, err)
		}
	}
}

// TestZstdWindows reads what common tools write with their widest windows, and no more than that.
func TestZstdWindows(t *testing.T) {
	plain := sample(t)
	// A frame without a content size states its window: exponent and eighths (RFC 8878, section 3.1.1.1.2).
	frame := func(exponent byte) []byte { return rewindowed(zstandard(t, plain), exponent) }
	if _, err := Read(context.Background(), bytes.NewReader(frame(27-10)), spec(plain, true), &memory{}); err != nil {
		t.Errorf("a window of 128 MiB, which \"zstd --ultra -22 --long\" writes: %v", err)
	}
	for reason, blob := range map[string][]byte{
		"a window of 256 MiB":             frame(28 - 10),
		"one segment of 1 GiB":            {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 0x01, 0x00, 0x00},
		"one segment beyond all memory":   {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0x01, 0x00, 0x00},
		"a second frame that is too wide": concat(zstandard(t, plain), hugeWindow),
	} {
		_, err := Read(context.Background(), bytes.NewReader(blob), spec(plain, true), &memory{})
		if !errors.Is(err, zstd.ErrWindowSizeExceeded) && !errors.Is(err, zstd.ErrDecoderSizeExceeded) || !errors.Is(err, ErrContent) {
			t.Errorf("%s: got error %v", reason, err)
		}
	}
}

// rewindowed gives a frame without a content size another window.
func rewindowed(frame []byte, exponent byte) []byte {
	const descriptor, window = 4, 5
	if frame[descriptor]&^0x04 != 0 {
		panic("the frame is of another kind")
	}
	frame[window] = exponent << 3
	return frame
}

// TestEStargz reads a layer as eStargz has it: a gzip member for each part, a table of contents as the tar's last
// entry, and an empty member that says where it is.
func TestEStargz(t *testing.T) {
	entries := tarOf(t, file(".no.prefetch.landmark", "\x0f"), file("a", "1"), file("stargz.index.json", "{}"))
	var footer bytes.Buffer
	writer, err := gzip.NewWriterLevel(&footer, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	writer.Extra = []byte("SG\x16\x00" + "000000000000040cSTARGZ")
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	blob := concat(gzipped(t, entries[:1024], entries[1024:2048], entries[2048:]), footer.Bytes())
	diff, err := Read(context.Background(), bytes.NewReader(blob), spec(entries, true), &memory{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(diff.Root().Names(), " "); got != ".no.prefetch.landmark a stargz.index.json" {
		t.Errorf("got %q: containerd's overlayfs snapshotter leaves the table and the landmark where they are", got)
	}
}
