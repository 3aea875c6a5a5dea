package layer

import (
	"archive/tar"
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/larder-dev/larder/internal/tree"
)

// benchLayer is 64 MiB of programs, libraries and texts, as images have them: the files of /usr.
func benchLayer(b *testing.B) []byte {
	b.Helper()
	const wanted = 64 << 20
	var blob bytes.Buffer
	writer := tar.NewWriter(&blob)
	err := filepath.WalkDir("/usr", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// No file may be most of the layer.
		content = content[:min(len(content), 4<<20)]
		header := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(path, "/"), Mode: 0o644, Size: int64(len(content))}
		if err := errors.Join(writer.WriteHeader(header), func() error { _, err := writer.Write(content); return err }()); err != nil {
			return err
		}
		if blob.Len() >= wanted {
			return fs.SkipAll
		}
		return nil
	})
	if err := errors.Join(err, writer.Close()); err != nil {
		b.Fatal(err)
	}
	if blob.Len() < wanted {
		b.Fatalf("/usr has only %d bytes", blob.Len())
	}
	return blob.Bytes()
}

// measure runs a benchmark over the layer's bytes and reports the CPU seconds that 1 GB of them takes, which a busy
// machine changes less than the time.
func measure(b *testing.B, layer []byte, run func() error) {
	b.SetBytes(int64(len(layer)))
	before := cpuSeconds(b)
	for b.Loop() {
		if err := run(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpuSeconds(b)-before)/float64(b.N)/float64(len(layer))*1e9, "cpu-s/GB")
}

func cpuSeconds(b *testing.B) float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// BenchmarkInflate compares the decompressors that stream.go could use.
func BenchmarkInflate(b *testing.B) {
	layer := benchLayer(b)
	zipped, frames := gzipped(b, layer), zstandard(b, layer)
	inflate := func(blob []byte, open func(io.Reader) (io.Reader, error)) func() error {
		return func() error {
			reader, err := open(bytes.NewReader(blob))
			if err != nil {
				return err
			}
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{reader}, make([]byte, tarBuffer))
			return err
		}
	}
	withZstd := func(options ...zstd.DOption) func(io.Reader) (io.Reader, error) {
		return func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, options...) }
	}
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"gzip/standard", inflate(zipped, func(r io.Reader) (io.Reader, error) { return stdgzip.NewReader(r) })},
		{"gzip/klauspost", inflate(zipped, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })},
		{"zstd/default", inflate(frames, withZstd())},
		{"zstd/one block", inflate(frames, withZstd(zstd.WithDecoderConcurrency(1)))},
		{"zstd/one block and more memory", inflate(frames, withZstd(zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(false)))},
	} {
		b.Run(c.name, func(b *testing.B) { measure(b, layer, c.run) })
	}
	b.Run("SHA-256", func(b *testing.B) {
		measure(b, layer, func() error { sha256.Sum256(layer); return nil })
	})
}

// BenchmarkRead unpacks the layer into a store that reads and forgets.
func BenchmarkRead(b *testing.B) {
	layer := benchLayer(b)
	for _, c := range []struct {
		name string
		blob []byte
	}{
		{"plain", layer},
		{"gzip", gzipped(b, layer)},
		{"zstd", zstandard(b, layer)},
	} {
		b.Run(c.name, func(b *testing.B) {
			spec := spec(layer, true)
			measure(b, layer, func() error {
				_, err := Read(context.Background(), bytes.NewReader(c.blob), spec, forget{})
				return err
			})
		})
	}
}

// forget is a Store that keeps nothing.
type forget struct{}

func (forget) Store(_ context.Context, _ string, r io.Reader, _ int64) ([]tree.Extent, error) {
	_, err := io.Copy(io.Discard, r)
	return nil, err
}
