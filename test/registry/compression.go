package registry

import (
	"bytes"
	"fmt"
	"io"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Compression is how a layer's tar is packed.
type Compression int

// The compressions that containerd unpacks.
const (
	Gzip Compression = iota
	// MultiGzip is many gzip streams one after the other, as parallel compressors write them: a reader that stops
	// after the first loses most of the layer without noticing.
	MultiGzip
	// EStargz is gzip in a stream for each file, with a table of contents as the tar's last entry, and an empty stream
	// that points at it at the end: what the stargz snapshotter reads lazily, and all others read whole.
	EStargz
	Zstd
	Uncompressed
)

func (c Compression) mediaType(docker bool) string {
	base, separator := ocispec.MediaTypeImageLayer, "+"
	if docker {
		base, separator = dockerLayer, "."
	}
	switch c {
	case Zstd:
		return base + separator + "zstd"
	case Uncompressed:
		return base
	}
	return base + separator + "gzip"
}

// pack returns what compresses to the given writer, until it is closed.
func (c Compression) pack(to io.Writer) (io.WriteCloser, error) {
	switch c {
	case Uncompressed:
		return unpacked{to}, nil
	case Zstd:
		// One goroutine, so that the frame's blocks end at the same places every time.
		return zstd.NewWriter(to, zstd.WithEncoderConcurrency(1))
	case MultiGzip:
		return &members{to: to, stream: gzip.NewWriter(to)}, nil
	}
	return gzip.NewWriter(to), nil
}

type unpacked struct{ io.Writer }

func (unpacked) Close() error { return nil }

// members writes a gzip stream for every write: tar headers and contents come in separate ones.
type members struct {
	to     io.Writer
	stream *gzip.Writer
}

func (m *members) Write(content []byte) (int, error) {
	m.stream.Reset(m.to)
	written, err := m.stream.Write(content)
	if err != nil {
		return written, err
	}
	return written, m.stream.Close()
}

func (m *members) Close() error { return nil }

// buildEStargz leaves the layer to the format's own library, which adds entries of its own.
func (l Layer) buildEStargz(docker bool) (*builtLayer, error) {
	var archive, content bytes.Buffer
	if err := l.writeTar(&archive); err != nil {
		return nil, err
	}
	writer := estargz.NewWriter(&content)
	if err := writer.AppendTar(&archive); err != nil {
		return nil, fmt.Errorf("packing a layer as eStargz: %w", err)
	}
	contents, err := writer.Close()
	if err != nil {
		return nil, fmt.Errorf("packing a layer as eStargz: %w", err)
	}
	descriptor := describe(l.Compression.mediaType(docker), content.Bytes())
	descriptor.Annotations = map[string]string{estargz.TOCJSONDigestAnnotation: contents.String()}
	return &builtLayer{descriptor: descriptor, diffID: digest.Digest(writer.DiffID()), content: content.Bytes()}, nil
}
