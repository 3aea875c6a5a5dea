package layer

import (
	"archive/tar"
	"bufio"
	"context"
	_ "crypto/sha256" // for go-digest to verify with
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/tree"
)

// tarBuffer saves a call to the decompressor for every 512-byte header; in bytes.
const tarBuffer = 32 << 10

// Store keeps the bytes of regular files and says where. It is called in the order of the tar, for files
// that have bytes, and must read all of them: size is in bytes. The path is the file's in the layer's tree, without
// symbolic links on the way: "usr/bin/true". Hard links come later, as names of the same file.
type Store interface {
	Store(ctx context.Context, path string, r io.Reader, size int64) ([]tree.Extent, error)
}

// Diff is what one layer adds to those below it.
type Diff struct {
	root   *tree.Node
	bottom bool
	// implicit are the parents without an entry when they were first needed, upper ones first.
	implicit  []*implicitDirectory
	inherited bool
	// heirs, ownAccess and cost are the applier's.
	heirs     []*aclHeir
	ownAccess map[*tree.Node]bool
	cost      int64
}

// Root returns the directory that the overlayfs snapshotter calls "fs". It is complete after [Diff.Inherit].
func (d *Diff) Root() *tree.Node { return d.root }

// Spec says what a layer has to be.
type Spec struct {
	// DiffID is the digest of the uncompressed stream.
	DiffID digest.Digest
	// Bottom says that the layer has none below it.
	Bottom bool
	// Limit bounds the uncompressed stream and the sum of the files' sizes, each in bytes: sparse files are longer
	// than their part of the stream. The size of the volume is right, since no layer that fits is longer.
	Limit int64
}

// Read unpacks a layer blob, checks its DiffID, and reads the blob to its end. Files' bytes go to the store even
// if a later entry replaces the file.
//
// Errors are [ErrContent], an [*EntryError], a [*LimitError], or what the blob, the store or the context returned.
func Read(ctx context.Context, blob io.Reader, spec Spec, store Store) (*Diff, error) {
	if err := spec.DiffID.Validate(); err != nil {
		return nil, fmt.Errorf("checking the DiffID %q: %w", spec.DiffID, err)
	}
	stream, err := openStream(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer stream.close()

	limited := &limitedReader{stream: stream.uncompressed, limit: spec.Limit}
	verifier := spec.DiffID.Verifier()
	uncompressed := bufio.NewReaderSize(io.TeeReader(limited, verifier), tarBuffer)
	applier := newApplier(store, spec)
	if err := applier.applyAll(ctx, stream.source, tar.NewReader(uncompressed)); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, uncompressed); err != nil {
		return nil, stream.source.explain(err)
	}
	if err := stream.finish(); err != nil {
		return nil, err
	}
	if !verifier.Verified() {
		return nil, fmt.Errorf("%w: the uncompressed stream does not have the DiffID %s", ErrContent, spec.DiffID)
	}
	return &Diff{
		root: applier.root, bottom: spec.Bottom, implicit: applier.implicitOrder, inherited: spec.Bottom,
		heirs: applier.heirOrder, ownAccess: applier.ownAccess, cost: applier.cost,
	}, nil
}
