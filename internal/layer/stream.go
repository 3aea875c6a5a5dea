package layer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// blobBuffer is the read-ahead on the compressed stream in bytes, enough to look at its magic number.
const blobBuffer = 64 << 10

// maxZstdWindow bounds the memory of one zstd stream in bytes: the decoder keeps about one window. It is what
// "zstd --ultra -22" and "--long" need, and what the zstd tool itself reads unless told otherwise
// (ZSTD_WINDOWLOG_LIMIT_DEFAULT is 27); BuildKit, nerdctl, Docker and skopeo write 32 MiB at most. containerd takes
// 512 MiB.
const maxZstdWindow = 128 << 20

var (
	gzipMagic = []byte{0x1f, 0x8b, 0x08}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// source reads the blob, honours the context, and remembers whether it was the blob that failed: a broken
// connection must not look like broken content.
type source struct {
	ctx  context.Context
	blob io.Reader
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.blob.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// explain returns what made reading fail: the blob's own error, the limit, else damaged content.
func (s *source) explain(err error) error {
	if s.err != nil {
		return fmt.Errorf("reading the layer blob: %w", s.err)
	}
	if errors.As(err, new(*LimitError)) {
		return err
	}
	if err == io.EOF { //nolint:errorlint // a wrapped one says more than that the end came early
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrContent, err)
}

// limitedReader fails where the stream is longer than the limit in bytes.
type limitedReader struct {
	stream      io.Reader
	limit, read int64
}

func (r *limitedReader) Read(p []byte) (int, error) {
	n, err := r.stream.Read(p)
	if r.read += int64(n); r.read > r.limit {
		return 0, &LimitError{Limit: r.limit}
	}
	return n, err
}

// stream is the uncompressed layer.
type stream struct {
	source       *source
	compressed   *bufio.Reader
	uncompressed io.Reader
	close        func()
}

func openStream(ctx context.Context, blob io.Reader) (*stream, error) {
	s := &stream{source: &source{ctx: ctx, blob: blob}, close: func() {}}
	s.compressed = bufio.NewReaderSize(s.source, blobBuffer)
	// A short blob is no error here: containerd takes an empty one as an empty layer.
	magic, err := s.compressed.Peek(8)
	if err != nil && err != io.EOF {
		return nil, s.source.explain(err)
	}
	switch {
	case bytes.HasPrefix(magic, gzipMagic):
		// 4.4 CPU seconds for 1 GB of /usr on an EPYC with SHA-NI, where the standard library's takes 5.2 at best
		// (BenchmarkInflate). That is seven times what SHA-256 takes (0.6, with the standard library's own use of
		// SHA-NI), so neither another hash nor a goroutine for it would gain much: layers are read side by side, and
		// keep the cores busy as it is.
		reader, err := gzip.NewReader(s.compressed)
		if err != nil {
			return nil, s.source.explain(err)
		}
		s.uncompressed = reader
	case isZstd(magic):
		// One block in flight: 1.0 CPU seconds for 1 GB instead of 1.1 with the default's four, less memory, and layers
		// are read side by side anyway. More memory (WithDecoderLowmem) takes as long.
		reader, err := zstd.NewReader(s.compressed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, s.source.explain(err)
		}
		s.uncompressed, s.close = reader, reader.Close
	default:
		s.uncompressed = s.compressed
	}
	return s, nil
}

// isZstd recognises a frame and a skippable frame (RFC 8878, section 3.1), which may come first.
func isZstd(magic []byte) bool {
	if bytes.HasPrefix(magic, zstdMagic) {
		return true
	}
	return len(magic) >= 8 && binary.LittleEndian.Uint32(magic)&0xfffffff0 == 0x184d2a50
}

// finish reads the blob to its end, where the caller's own digest check happens.
func (s *stream) finish() error {
	switch _, err := s.compressed.ReadByte(); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("%w: data after the end of the compressed stream", ErrContent)
	default:
		return s.source.explain(err)
	}
}
