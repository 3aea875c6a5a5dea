package bench

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
)

// Layer is one layer in the cache directory.
type Layer struct {
	Name   string        `json:"name"`
	Digest digest.Digest `json:"digest"`
	DiffID digest.Digest `json:"diffID"`
	// Size is the compressed one, in bytes.
	Size int64 `json:"size"`
}

// blobPath is where a blob is in the cache directory.
func blobPath(dir string, d digest.Digest) string {
	return filepath.Join(dir, d.Algorithm().String(), d.Encoded())
}

// countingWriter counts the bytes that pass.
type countingWriter struct {
	io.Writer
	written int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.written += int64(n)
	return n, err
}

// writeLayer makes a layer of the next entries, until it has about size bytes, and puts it into the cache directory.
// Files that are larger than the layer shall be are passed over.
func writeLayer(dir, name string, size int64, next func() (entry, error, bool)) (layer Layer, err error) {
	blob, err := os.CreateTemp(dir, "layer-*")
	if err != nil {
		return Layer{}, fmt.Errorf("making layer %s: %w", name, err)
	}
	defer func() { _ = os.Remove(blob.Name()) }() // gone already when all went well
	defer blob.Close()
	compressed, uncompressed := sha256.New(), sha256.New()
	counted := &countingWriter{Writer: io.MultiWriter(blob, compressed)}
	zip := gzip.NewWriter(counted)
	archive := tar.NewWriter(io.MultiWriter(zip, uncompressed))
	for counted.written < size {
		e, err, _ := next()
		if err != nil {
			return Layer{}, err
		}
		if e.info.Size() > size {
			continue
		}
		if err := e.write(archive); err != nil && !errors.Is(err, errUnreadable) {
			return Layer{}, fmt.Errorf("making layer %s: %w", name, err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close(), blob.Chmod(0o644)); err != nil {
		return Layer{}, fmt.Errorf("making layer %s: %w", name, err)
	}
	layer = Layer{
		Name:   name,
		Digest: digest.NewDigest(digest.SHA256, compressed),
		DiffID: digest.NewDigest(digest.SHA256, uncompressed),
		Size:   counted.written,
	}
	if err := os.Rename(blob.Name(), blobPath(dir, layer.Digest)); err != nil {
		return Layer{}, fmt.Errorf("making layer %s: %w", name, err)
	}
	return layer, nil
}
