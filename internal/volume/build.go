package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/larder-dev/larder/internal/ctrstore"
	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/tree"
)

// epoch is the time of everything on a volume that has none of its own.
var epoch = time.Unix(1_700_000_000, 0).UTC()

// Layers opens the compressed bytes of layers; image.Client is one.
type Layers interface {
	OpenLayer(ctx context.Context, repository string, layer image.Layer) (io.ReadCloser, error)
}

// LayerError says which layer of which image could not be put on the volume.
type LayerError struct {
	Repository string
	Layer      digest.Digest
	Err        error
}

func (e *LayerError) Error() string {
	return fmt.Sprintf("layer %s of %s: %v", e.Layer, e.Repository, e.Err)
}

func (e *LayerError) Unwrap() error { return e.Err }

// build is one build in progress.
type build struct {
	plan   *Plan
	layers Layers
	writer *ext4.Writer
	target *partition
	// progress is told the compressed bytes read so far, and how many there are; from several goroutines.
	progress    func(read, total int64)
	read, total atomic.Int64

	// kept are the parent's regions that stay, or a part of them.
	kept    []LayoutRegion
	regions []*ext4.Region
	// meta is the last region: what is not a layer.
	meta      *ext4.Region
	snapshots []snapshotState
}

// snapshotState is what becomes of a snapshot; all but done is for others to use once done is closed.
type snapshotState struct {
	// parent is the index of the snapshot below, -1 at the bottom.
	parent int
	done   chan struct{}
	// kept says that the layer stays where the parent has it.
	kept bool
	// lower is the layer for those above it, and heirs counts those that have not looked at it yet.
	lower layer.Lower
	heirs atomic.Int64
	// root is the snapshotter's directory of the snapshot: fs and work. standIn is what a kept one has for it.
	root, standIn *tree.Node
	record        LayoutLayer
}

// write writes the planned volume to disk. After an error the disk holds a part of a volume and is worth nothing.
// Errors: LayerError, ParentError, FormatError, ext4's out of blocks and out of inodes, and those of layers and disk.
func write(ctx context.Context, plan *Plan, layers Layers, disk Disk, progress func(read, total int64)) (*Result, error) {
	b := &build{plan: plan, layers: layers, progress: progress}
	b.total.Store(plan.LayerBytes)
	b.target = &partition{delta: newDelta(disk, plan.parent()), start: plan.kind.start() / BlockSize}
	if err := b.begin(); err != nil {
		return nil, err
	}
	if err := b.reserve(); err != nil {
		return nil, err
	}
	if err := b.writeLayers(ctx); err != nil {
		return nil, err
	}
	layout, err := b.layout(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.writeRoot(ctx, layout); err != nil {
		return nil, err
	}
	if err := b.writeEnds(ctx); err != nil {
		return nil, err
	}
	result := &Result{Layout: layout, Blocks: b.target.written.Load(), Layers: len(b.snapshots), LayerBytes: b.read.Load()}
	for _, files := range plan.files {
		result.Layers += len(files.layers)
	}
	for i := range b.snapshots {
		if b.snapshots[i].kept {
			result.Kept++
		}
	}
	return result, nil
}

// begin starts the filesystem, and leaves in it what stays of the parent's.
func (b *build) begin() error {
	options := ext4.Options{
		Size:     b.plan.kind.filesystemSize(b.plan.Size),
		UUID:     b.plan.lineage.Filesystem,
		HashSeed: b.plan.lineage.HashSeed,
		Time:     epoch,
		Label:    b.plan.kind.label,
	}
	if b.plan.base != nil {
		options.Previous = b.plan.base.previous()
	}
	var err error
	if b.writer, err = ext4.NewWriter(b.target, options); err != nil {
		return err
	}
	b.prepareSnapshots()
	return b.keepRegions()
}

func (b *build) prepareSnapshots() {
	b.snapshots = make([]snapshotState, len(b.plan.contents.Snapshots))
	index := map[digest.Digest]int{"": -1}
	for i, snapshot := range b.plan.contents.Snapshots {
		state := &b.snapshots[i]
		state.parent, state.done = index[snapshot.Parent], make(chan struct{})
		index[snapshot.ChainID] = i
	}
	b.countHeirs()
	for i, kept := range b.plan.kept {
		if kept.layer != nil {
			b.snapshots[i].standIn = tree.NewDirectory(0, epoch)
		}
		if kept.sure {
			b.keep(i)
		}
	}
}

// reserve gives every region its first extent, in order, before anything is read. The parent's place for what is
// not a layer comes first, so that nothing takes it.
func (b *build) reserve() error {
	var at []tree.Extent
	if b.plan.base != nil {
		at = rangesOf[tree.Extent](b.plan.base.layout.Meta)
	}
	var err error
	if b.meta, err = b.writer.NewRegionAt(at, b.plan.meta); err != nil {
		return err
	}
	for _, planned := range b.plan.regions {
		region, err := b.writer.NewRegion(planned.reserve)
		if err != nil {
			return err
		}
		b.regions = append(b.regions, region)
	}
	return nil
}

// writeLayers reads several layers at once. Regions are begun in order, so the first that is not finished is
// always among those being read, and can always go on: the others may wait for it.
func (b *build) writeLayers(ctx context.Context) error {
	const minParallel = 4 // reading is more waiting than computing
	b.target.blind = true
	defer func() { b.target.blind = false }()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(minParallel, runtime.GOMAXPROCS(0)))
	for i := range b.regions {
		group.Go(func() error { return b.writeRegion(ctx, b.regions[i], b.plan.regions[i]) })
	}
	return group.Wait()
}

func (b *build) writeRegion(ctx context.Context, region *ext4.Region, planned regionPlan) error {
	for _, i := range planned.snapshots {
		if planned.unsure {
			if kept, err := b.keepIfSame(ctx, i); kept || err != nil {
				return errors.Join(err, region.Close(ctx))
			}
		}
		if err := b.writeSnapshot(ctx, region, i); err != nil {
			source := b.source(i)
			return &LayerError{Repository: source.repository, Layer: source.layer.Descriptor.Digest, Err: err}
		}
	}
	return region.Close(ctx)
}

func (b *build) writeSnapshot(ctx context.Context, region *ext4.Region, i int) error {
	traced := tracedLayer{trace: b.plan.trace, whole: isSmall(b.source(i).layer.Descriptor)}
	diff, err := b.readLayer(ctx, layerStore{region, traced}, b.source(i), b.snapshots[i].parent < 0)
	if err != nil {
		return err
	}
	lower, err := b.lower(ctx, i)
	if err != nil {
		return err
	}
	if err := diff.Inherit(lower); err != nil {
		return err
	}
	state, source := &b.snapshots[i], b.source(i).layer
	state.root = ctrstore.NewSnapshotDirectory(diff.Root(), epoch)
	placed, err := region.WriteTree(ctx, state.root, traced.hotNodes(state.root, diff.Root()))
	if err != nil {
		return err
	}
	state.record = LayoutLayer{
		Blob:      source.Descriptor.Digest,
		DiffID:    source.DiffID,
		Bottom:    state.parent < 0,
		Inherited: diff.Inherited(),
	}
	state.record.place(placed)
	if state.record.Bytes, state.record.Files, err = b.writer.UsageOf(diff.Root()); err != nil {
		return err
	}
	state.lower = diff
	b.finish(i)
	return nil
}

// finish completes a snapshot's record and lets those who wait for it go on.
func (b *build) finish(i int) {
	state, snapshot := &b.snapshots[i], &b.plan.contents.Snapshots[i]
	state.record.Chain, state.record.Snapshot = snapshot.ChainID, snapshot.ID
	snapshot.Size, snapshot.Inodes = state.record.Bytes, state.record.Files
	close(state.done)
	b.looked(i)
}

func (b *build) readLayer(ctx context.Context, store layer.Store, source source, bottom bool) (*layer.Diff, error) {
	blob, err := b.layers.OpenLayer(ctx, source.repository, source.layer)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	counted := &countingReader{Reader: blob, count: func(n int64) { b.progress(b.read.Add(n), b.total.Load()) }}
	diff, err := layer.Read(ctx, counted, layer.Spec{
		DiffID: source.layer.DiffID, Bottom: bottom, Limit: b.plan.Size,
	}, store)
	if errors.Is(err, layer.ErrContent) {
		// A blob that was altered seldom decompresses either. Its own digest, at its end, says which it is.
		if _, blobErr := io.Copy(io.Discard, blob); blobErr != nil {
			return nil, blobErr
		}
	}
	return diff, err
}

// lower waits for the layers below, nearest first. They stay where they are, or are in earlier regions, or before
// this one in its own.
func (b *build) lower(ctx context.Context, i int) ([]layer.Lower, error) {
	var lower []layer.Lower
	for parent := b.snapshots[i].parent; parent >= 0; parent = b.snapshots[parent].parent {
		select {
		case <-b.snapshots[parent].done:
			lower = append(lower, b.snapshots[parent].lower)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return lower, nil
}

func (b *build) source(i int) source {
	return b.plan.sources[b.plan.contents.Snapshots[i].ChainID]
}

// countingReader reports the bytes that were read.
type countingReader struct {
	io.Reader
	count func(int64)
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.count(int64(n))
	return n, err
}
