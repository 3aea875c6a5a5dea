package ext4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// ChunkWriter receives a filesystem.
type ChunkWriter interface {
	// WriteChunk takes the ChunkSize bytes at index times ChunkSize. It is called at most once for every index,
	// in any order and from several goroutines. A chunk that is never written is as it was in Options.Previous, or
	// all zero. The data is valid only during the call.
	WriteChunk(ctx context.Context, index int64, data []byte) error
}

// Options are what a filesystem is besides its content.
type Options struct {
	// Size is the filesystem's size in bytes, a multiple of ChunkSize, from 1 GiB to 2,032 GiB.
	Size int64
	// UUID and HashSeed are constant for a lineage of volumes.
	UUID, HashSeed [16]byte
	// Time is when everything was made, as the filesystem and each inode (ctime and crtime) say.
	Time time.Time
	// Label is the security.selinux attribute of every inode written by Region.WriteTree, without a
	// terminating zero; empty for none. In the tree given to Finish only the nodes' own attributes count.
	Label string
	// Previous is the filesystem that this one is a child of; nil if nothing was written before.
	Previous *Previous
}

// Previous is a filesystem whose bytes are there unless they are written again. It may be smaller than the new
// one, and must not have been mounted.
type Previous struct {
	// Bytes are the filesystem's. Only chunks that must be changed in a part are read.
	Bytes io.ReaderAt
	// Inodes are the whole chunks of inodes that its regions had, those of the last region included.
	Inodes []Range
}

// Writer makes one filesystem.
//
// Regions of a previous filesystem that stay are kept first, then all new ones are created, in manifest order. Then each is driven by one goroutine (any number of Store
// and WriteTree calls, one Close), several regions at a time. Finish, through the last region, completes it.
//
// What depends on the order of events happens in the order of regions: a region that needs space beyond its
// reservation, inodes, or to be closed waits for its turn, which comes when all earlier regions are closed.
// This cannot deadlock as long as regions are started in their order: the earliest one that is not closed
// never waits, so it gets closed, and so on by induction. A caller whose context ends, or any failure in any
// region, releases all waiters; after an error the filesystem is lost.
type Writer struct {
	to       ChunkWriter
	options  Options
	geometry geometry
	// xattrs are of regions' trees.
	xattrs xattrEncoder
	// regions are in the order of their turns; last tells whether the one for Finish is among them.
	regions []*Region
	last    bool
	start   sync.Once
	writing atomic.Bool

	// failed ends with the first error of any region as its cause.
	failed context.Context
	fail   context.CancelCauseFunc

	// These belong to the region whose turn it is.
	chunks      pool
	inodeChunks pool
	// roots are the inode numbers of the trees written so far.
	roots map[*tree.Node]uint32

	// kept are regions of the previous filesystem, stale are the chunks of inodes that it had, and erased the
	// inodes of removed trees in chunks that a kept region has.
	kept          []Layout
	stale, erased []span
	pruned        bool
}

// NewWriter starts a filesystem. Of the errors about its size, one is *TooSmall.
func NewWriter(to ChunkWriter, o Options) (*Writer, error) {
	g, err := newGeometry(o.Size)
	if err != nil {
		return nil, err
	}
	xattrs, err := newXattrEncoder(o.Label)
	if err != nil {
		return nil, fmt.Errorf("labelling files: %w", err)
	}
	w := &Writer{
		xattrs:      xattrs,
		to:          to,
		options:     o,
		geometry:    g,
		chunks:      pool{free: g.freeChunks()},
		inodeChunks: pool{free: g.freeInodeChunks()},
		roots:       map[*tree.Node]uint32{},
	}
	if o.Previous != nil {
		if w.stale, err = g.inodeChunks(o.Previous.Inodes); err != nil {
			return nil, fmt.Errorf("taking over the previous filesystem's inodes: %w", err)
		}
	}
	w.failed, w.fail = context.WithCancelCause(context.Background())
	return w, nil
}

// NewRegion adds a region and reserves its first space, in bytes, rounded up to whole chunks. It fails with
// *OutOfBlocks when there is not enough.
func (w *Writer) NewRegion(reserve int64) (*Region, error) {
	r, err := w.newRegion(nil, reserve)
	if err != nil {
		return nil, err
	}
	at := len(w.regions)
	if w.last {
		at--
	}
	w.regions = slices.Insert(w.regions, at, r)
	return r, nil
}

// NewRegionAt adds the last region, the one for Finish, which reserves the given chunks and, if they have less than
// reserve bytes, more as NewRegion does. The chunks have to be free: added before the other regions, it finds its
// place of the previous filesystem so. Its turn comes last all the same.
func (w *Writer) NewRegionAt(at []tree.Extent, reserve int64) (*Region, error) {
	if w.last {
		return nil, errors.New("there is a last region already")
	}
	r, err := w.newRegion(at, reserve)
	if err != nil {
		return nil, err
	}
	w.regions = append(w.regions, r)
	w.last = true
	return r, nil
}

func (w *Writer) newRegion(at []tree.Extent, reserve int64) (*Region, error) {
	if w.writing.Load() {
		return nil, errors.New("all regions have to be reserved before the first write")
	}
	given, err := wholeChunks(at)
	if err != nil {
		return nil, fmt.Errorf("reserving given space: %w", err)
	}
	wanted := (reserve+ChunkSize-1)/ChunkSize - (&pool{free: given}).available()
	if err := w.chunks.takeAt(given); err != nil {
		return nil, fmt.Errorf("reserving given space: %w", err)
	}
	if free := w.chunks.available(); wanted > free {
		return nil, fmt.Errorf("reserving space for a region: %w", &OutOfBlocks{Need: wanted * ChunkSize, Have: free * ChunkSize})
	}
	r := &Region{writer: w, turn: make(chan struct{}), reservation: given}
	for wanted > 0 {
		s := w.chunks.take(uint32(wanted))
		r.reservation = append(r.reservation, s)
		wanted -= int64(s.Count)
	}
	r.reserved = slices.Clone(r.reservation)
	return r, nil
}

// begin gives the first region its turn, when something is about to be written.
func (w *Writer) begin() {
	w.start.Do(func() {
		w.writing.Store(true)
		for i, r := range w.regions {
			r.number = i
		}
		close(w.regions[0].turn)
	})
}
