package layer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	for _, part := range parts {
		writer := gzip.NewWriter(&buffer)
		if _, err := writer.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return buffer.Bytes()
}

func zstandard(t testing.TB, content []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var buffer bytes.Buffer
	writer, err := zstd.NewWriter(&buffer, options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// sample is an uncompressed layer of more than one buffer's length.
func sample(t testing.TB) []byte {
	t.Helper()
	return tarOf(t, file("a", strings.Repeat("0123456789abcdef", 20000)), file("b", "2"))
}

func TestCompressions(t *testing.T) {
	plain := sample(t)
	half := len(plain) / 2
	skippable := []byte{0x5a, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}
	cases := map[string]struct {
		reason string
		blob   []byte
	}{
		"plain":                   {"a tar may come as it is", plain},
		"gzip":                    {"the usual", gzipped(t, plain)},
		"gzip of several members": {"pigz, and estargz's layers, are such", gzipped(t, plain[:half], plain[half:])},
		"zstd":                    {"nerdctl and BuildKit can write it", zstandard(t, plain)},
		"zstd of several frames":  {"zstd:chunked layers are such", concat(zstandard(t, plain[:half]), skippable, zstandard(t, plain[half:]))},
		"zstd after a skippable":  {"a skippable frame may come first", concat(skippable, zstandard(t, plain))},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			blob, store := bytes.NewReader(c.blob), &memory{}
			// Half of what is asked for, so that no reader depends on full reads.
			diff, err := Read(context.Background(), iotest.HalfReader(blob), spec(plain, true), store)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if blob.Len() != 0 {
				t.Errorf("%d bytes of the blob were left unread: the caller's digest check would never end", blob.Len())
			}
			want := strings.Repeat("0123456789abcdef", 20000)
			if got := store.content(diff.Root().Children["a"]); got != want {
				t.Errorf("%s: the file's content differs", c.reason)
			}
		})
	}
}

func TestEmptyBlobIsAnEmptyLayer(t *testing.T) {
	diff, err := Read(context.Background(), strings.NewReader(""), spec(nil, true), &memory{})
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(map[string]string{".": emptyRoot}, list(diff.Root(), nil)); difference != "" {
		t.Error(difference)
	}
}

func TestDataAfterTheTarCountsForTheDiffID(t *testing.T) {
	padded := concat(sample(t), []byte("what some tools leave behind"))
	if _, err := Read(context.Background(), bytes.NewReader(gzipped(t, padded)), spec(padded, true), &memory{}); err != nil {
		t.Error(err)
	}
}

func TestDamagedContent(t *testing.T) {
	plain := sample(t)
	zipped, frame := gzipped(t, plain), zstandard(t, plain)
	cases := map[string]struct {
		reason string
		blob   []byte
	}{
		"another DiffID":             {"the stream is sound but not the layer", gzipped(t, tarOf(t, file("c", "3")))},
		"plain, cut in a file":       {"a file has fewer bytes than its header says", plain[:100_000]},
		"plain, cut after an entry":  {"a tar without its end marker parses, the digest tells", plain[:len(plain)-1024]},
		"gzip, cut":                  {"the stream ends early", zipped[:len(zipped)/2]},
		"gzip, cut in its trailer":   {"the checksum is missing", zipped[:len(zipped)-3]},
		"gzip, cut in its header":    {"no header, no stream", zipped[:5]},
		"gzip, flipped":              {"the checksum is wrong", flip(zipped, len(zipped)-6)},
		"gzip, trailing bytes":       {"something was appended", concat(zipped, []byte("more"))},
		"gzip, trailing zeros":       {"containerd's own reader refuses them as well", concat(zipped, make([]byte, 512))},
		"zstd, cut":                  {"the stream ends early", frame[:len(frame)-5]},
		"zstd, trailing bytes":       {"something was appended", concat(frame, []byte("trailing bytes"))},
		"zstd with a gigantic frame": {"its window would need more memory than a layer may have", hugeWindow},
		"no tar":                     {"text is no layer", bytes.Repeat([]byte("text "), 1000)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Read(context.Background(), bytes.NewReader(c.blob), spec(plain, true), &memory{})
			if !errors.Is(err, ErrContent) {
				t.Errorf("%s: got error %v, want ErrContent", c.reason, err)
			}
		})
	}
}

// hugeWindow starts a zstd frame whose window is 2 GiB (RFC 8878, section 3.1.1.1.2: exponent 21).
var hugeWindow = []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00}

func flip(content []byte, at int) []byte {
	flipped := bytes.Clone(content)
	flipped[at] ^= 0x10
	return flipped
}

func TestTheBlobsOwnErrorIsNotDamage(t *testing.T) {
	broken := errors.New("connection reset by peer")
	for name, blob := range map[string][]byte{"plain": sample(t), "gzip": gzipped(t, sample(t)), "zstd": zstandard(t, sample(t))} {
		for _, cut := range []int{0, 5, len(blob) / 2, len(blob)} {
			reader := io.MultiReader(bytes.NewReader(blob[:cut]), iotest.ErrReader(broken))
			_, err := Read(context.Background(), reader, spec(sample(t), true), &memory{})
			if !errors.Is(err, broken) || errors.Is(err, ErrContent) {
				t.Errorf("%s failing after %d bytes: got error %v, want the blob's own", name, cut, err)
			}
		}
	}
}

// cancelling cancels the context once some bytes have been read.
type cancelling struct {
	io.Reader
	cancel context.CancelFunc
}

func (c cancelling) Read(p []byte) (int, error) {
	c.cancel()
	return c.Reader.Read(p[:min(len(p), 4096)])
}

func TestReadStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	blob := bytes.NewReader(sample(t))
	_, err := Read(ctx, cancelling{blob, cancel}, spec(sample(t), true), &memory{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrContent) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if blob.Len() == 0 {
		t.Error("the whole blob was read although the context had ended")
	}
}

func TestStoreErrorNamesTheEntry(t *testing.T) {
	blob := sample(t)
	_, err := Read(context.Background(), bytes.NewReader(blob), spec(blob, true), &memory{limit: 100})
	if err == nil || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got error %v, want the store's, with the entry's name", err)
	}
	var bad *EntryError
	if errors.As(err, &bad) || errors.Is(err, ErrContent) {
		t.Errorf("a full store was taken for a bad layer: %v", err)
	}
}

func TestUnknownDigestAlgorithm(t *testing.T) {
	if _, err := Read(context.Background(), strings.NewReader(""), Spec{DiffID: "md5:00"}, &memory{}); err == nil {
		t.Error("a DiffID that cannot be checked was accepted")
	}
}

// TestEveryCut cuts a small layer at each of its bytes, and appends some: none may pass for the whole.
func TestEveryCut(t *testing.T) {
	plain := tarOf(t, file("a", "some content"), file("b", "2"))
	for kind, blob := range map[string][]byte{
		"plain": plain, "gzip": gzipped(t, plain), "gzip of two members": gzipped(t, plain[:700], plain[700:]),
		"zstd": zstandard(t, plain), "zstd of two frames": concat(zstandard(t, plain[:700]), zstandard(t, plain[700:])),
	} {
		for cut := range blob {
			_, err := Read(context.Background(), bytes.NewReader(blob[:cut]), spec(plain, true), &memory{})
			if !errors.Is(err, ErrContent) {
				t.Errorf("%s cut to %d of %d bytes: got error %v, want ErrContent", kind, cut, len(blob), err)
			}
		}
		for extra := 1; extra <= 20; extra++ {
			_, err := Read(context.Background(), bytes.NewReader(concat(blob, make([]byte, extra))), spec(plain, true), &memory{})
			if !errors.Is(err, ErrContent) {
				t.Errorf("%s with %d zeros behind it: got error %v, want ErrContent", kind, extra, err)
			}
		}
	}
}

func TestSkippableFrameAtTheEnd(t *testing.T) {
	plain := sample(t)
	blob := concat(zstandard(t, plain), []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4})
	if _, err := Read(context.Background(), bytes.NewReader(blob), spec(plain, true), &memory{}); err != nil {
		t.Errorf("zstd:chunked keeps its table there: %v", err)
	}
}
