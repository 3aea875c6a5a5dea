package volume

import (
	"context"
	"crypto/sha256"
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

// seLinuxLabel is what Bottlerocket gives containerd's directories; files without a label would be
// local_t, which containers may write (bottlerocket-core-kit, packages/selinux-policy).
const seLinuxLabel = "system_u:object_r:cache_t:s0"

// epoch is the time of everything on a volume that has none of its own.
var epoch = time.Unix(1_700_000_000, 0).UTC()

// Layers opens the compressed bytes of layers; image.Client is one.
type Layers interface {
	OpenLayer(ctx context.Context, repository string, layer image.Layer) (io.ReadCloser, error)
}

// Result says what a build wrote.
type Result struct {
	Layout *Layout
	// Blocks counts the blocks of 512 KiB that were written.
	Blocks int64
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

// Build writes the planned volume to disk and reports the compressed bytes read so far to progress, which may
// be called from several goroutines. After an error the disk holds a part of a volume and is worth nothing.
// Errors: LayerError, ext4's out of blocks and out of inodes, and those of layers and disk.
func Build(ctx context.Context, plan *Plan, layers Layers, disk Disk, progress func(read int64)) (*Result, error) {
	target := &partition{disk: disk, start: partitionStart / BlockSize, sums: map[int64][sha256.Size]byte{}}
	writer, err := ext4.NewWriter(target, ext4.Options{
		Size:     partitionSize(plan.Size),
		UUID:     plan.lineage.Filesystem,
		HashSeed: plan.lineage.HashSeed,
		Time:     epoch,
		Label:    seLinuxLabel,
	})
	if err != nil {
		return nil, err
	}
	b := &build{plan: plan, layers: layers, writer: writer, progress: progress}
	if err := b.reserve(); err != nil {
		return nil, err
	}
	if err := b.writeLayers(ctx); err != nil {
		return nil, err
	}
	layout := b.layout(target)
	if err := b.writeRoot(ctx, layout); err != nil {
		return nil, err
	}
	if err := writePartitionTable(ctx, disk, plan.Size, plan.lineage.Disk.String()); err != nil {
		return nil, err
	}
	const tableBlocks = 2
	return &Result{Layout: layout, Blocks: target.written.Load() + tableBlocks}, nil
}

// build is one build in progress.
type build struct {
	plan     *Plan
	layers   Layers
	writer   *ext4.Writer
	progress func(int64)
	read     atomic.Int64

	regions []*ext4.Region
	// meta is the last region: what is not a layer.
	meta  *ext4.Region
	diffs []snapshotDiff
	// parents are the snapshots' parents by index, -1 at the bottom.
	parents []int
}

// snapshotDiff is a layer's tree, to be used once done is closed.
type snapshotDiff struct {
	done chan struct{}
	diff *layer.Diff
	// root is the snapshotter's directory of the snapshot: fs and work.
	root *tree.Node
}

// reserve gives every region its first extent, in order, before anything is read.
func (b *build) reserve() error {
	for _, planned := range b.plan.regions {
		region, err := b.writer.NewRegion(planned.reserve)
		if err != nil {
			return err
		}
		b.regions = append(b.regions, region)
	}
	meta, err := b.writer.NewRegion(0)
	if err != nil {
		return err
	}
	b.meta = meta

	snapshots := b.plan.contents.Snapshots
	b.diffs = make([]snapshotDiff, len(snapshots))
	b.parents = make([]int, len(snapshots))
	index := map[digest.Digest]int{"": -1}
	for i, snapshot := range snapshots {
		b.diffs[i].done = make(chan struct{})
		b.parents[i] = index[snapshot.Parent]
		index[snapshot.ChainID] = i
	}
	return nil
}

// writeLayers reads several layers at once. Regions are begun in order, so the first that is not finished is
// always among those being read, and can always go on: the others may wait for it.
func (b *build) writeLayers(ctx context.Context) error {
	const minParallel = 4 // reading is more waiting than computing
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(minParallel, runtime.GOMAXPROCS(0)))
	for i := range b.regions {
		group.Go(func() error { return b.writeRegion(ctx, b.regions[i], b.plan.regions[i].snapshots) })
	}
	return group.Wait()
}

func (b *build) writeRegion(ctx context.Context, region *ext4.Region, snapshots []int) error {
	for _, i := range snapshots {
		if err := b.writeSnapshot(ctx, region, i); err != nil {
			source := b.source(i)
			return &LayerError{Repository: source.repository, Layer: source.layer.Descriptor.Digest, Err: err}
		}
	}
	return region.Close(ctx)
}

func (b *build) writeSnapshot(ctx context.Context, region *ext4.Region, i int) error {
	diff, err := b.readLayer(ctx, region, i)
	if err != nil {
		return err
	}
	lower, err := b.lowerDiffs(ctx, i)
	if err != nil {
		return err
	}
	if err := diff.Inherit(lower); err != nil {
		return err
	}
	root := ctrstore.NewSnapshotDirectory(diff.Root(), epoch)
	if _, err := region.WriteTree(ctx, root); err != nil {
		return err
	}
	snapshot := &b.plan.contents.Snapshots[i]
	if snapshot.Size, snapshot.Inodes, err = b.writer.UsageOf(diff.Root()); err != nil {
		return err
	}
	b.diffs[i].diff, b.diffs[i].root = diff, root
	close(b.diffs[i].done)
	return nil
}

func (b *build) readLayer(ctx context.Context, region *ext4.Region, i int) (*layer.Diff, error) {
	source := b.source(i)
	blob, err := b.layers.OpenLayer(ctx, source.repository, source.layer)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	counted := &countingReader{Reader: blob, count: func(n int64) { b.progress(b.read.Add(n)) }}
	diff, err := layer.Read(ctx, counted, layer.Spec{
		DiffID: source.layer.DiffID, Bottom: b.parents[i] < 0, Limit: b.plan.Size,
	}, region)
	if errors.Is(err, layer.ErrContent) {
		// A blob that was altered seldom decompresses either. Its own digest, at its end, says which it is.
		if _, blobErr := io.Copy(io.Discard, blob); blobErr != nil {
			return nil, blobErr
		}
	}
	return diff, err
}

// lowerDiffs waits for the layers below, nearest first. They are in earlier regions, or before this one in
// its own.
func (b *build) lowerDiffs(ctx context.Context, i int) ([]layer.Lower, error) {
	var lower []layer.Lower
	for parent := b.parents[i]; parent >= 0; parent = b.parents[parent] {
		select {
		case <-b.diffs[parent].done:
			lower = append(lower, b.diffs[parent].diff)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return lower, nil
}

func (b *build) source(i int) source {
	return b.plan.sources[b.plan.contents.Snapshots[i].ChainID]
}

// layout records where the layers are.
func (b *build) layout(target *partition) *Layout {
	layout := &Layout{
		Version: layoutVersion,
		Format:  "Bottlerocket",
		Size:    b.plan.Size,
		Lineage: b.plan.lineage,
		Images:  b.plan.layoutImages(),
	}
	for i, region := range b.regions {
		placed := region.Layout()
		entry := LayoutRegion{Digest: hexDigest(target.digest(placed.Chunks()))}
		for _, blocks := range placed.Blocks {
			entry.Blocks = append(entry.Blocks, LayoutRun(blocks))
		}
		for _, inodes := range placed.Inodes {
			entry.Inodes = append(entry.Inodes, LayoutRun(inodes))
		}
		for _, s := range b.plan.regions[i].snapshots {
			snapshot, source := b.plan.contents.Snapshots[s], b.source(s)
			entry.Layers = append(entry.Layers, LayoutLayer{
				Blob:      source.layer.Descriptor.Digest,
				DiffID:    source.layer.DiffID,
				Bottom:    b.parents[s] < 0,
				Inherited: b.diffs[s].diff.Inherited(),
				Bytes:     snapshot.Size,
				Inodes:    snapshot.Inodes,
			})
		}
		layout.Regions = append(layout.Regions, entry)
	}
	return layout
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
