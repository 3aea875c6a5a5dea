package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"

	"github.com/larder-dev/larder/internal/ctrstore"
	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/tree"
)

// RawDisk is a disk that is only read, in blocks and by several goroutines.
type RawDisk interface {
	io.ReaderAt
	// Size is the disk's, in bytes.
	Size() int64
	// Has tells whether a block of BlockSize bytes may hold anything but zeros.
	Has(index int64) bool
}

// Parent is an earlier volume, whose unchanged layers stay where they are.
type Parent struct {
	// Name is the snapshot's id or the file's name, for messages.
	Name string
	// Open gives access to it. A parent that is gone is done without, as is any other that cannot be used.
	Open func(ctx context.Context) (RawDisk, error)
}

// ParentError says that an earlier volume cannot be built upon; a full build can do without it.
type ParentError struct {
	Err error
}

func (e *ParentError) Error() string { return fmt.Sprintf("cannot be built upon: %v", e.Err) }

func (e *ParentError) Unwrap() error { return e.Err }

// base is a parent that was found fit to be built upon.
type base struct {
	disk       RawDisk
	layout     *Layout
	filesystem *ext4.Reader
	partition  io.ReaderAt
	// snapshots is the path of the snapshotter's snapshots.
	snapshots string
}

// openBase reads a parent's layout record and refuses what is not as Larder left it: a volume that a node has
// mounted may hold anything.
func (k *kind) openBase(ctx context.Context, parent *Parent) (*base, error) {
	disk, err := parent.Open(ctx)
	if err != nil {
		return nil, &ParentError{Err: err}
	}
	b, err := k.readBase(disk)
	if err != nil {
		return nil, &ParentError{Err: err}
	}
	return b, nil
}

func (k *kind) readBase(disk RawDisk) (*base, error) {
	filesystem, partition, err := openFilesystem(disk, disk.Size())
	if err != nil {
		return nil, err
	}
	layout, err := readLayout(filesystem)
	if err != nil {
		return nil, err
	}
	_, at, _ := partition.Outer()
	super := filesystem.Superblock()
	switch {
	case layout.Format != k.name:
		return nil, fmt.Errorf("it has the format %s", layout.Format)
	case layout.Size != disk.Size():
		return nil, fmt.Errorf("its layout record is for a disk of %d bytes, and it has %d", layout.Size, disk.Size())
	case at != k.start():
		return nil, fmt.Errorf("its filesystem begins at byte %d, where this format has none", at)
	case super.MountCount != 0 || super.NeedsRecovery || !super.Written.Equal(epoch):
		return nil, errors.New("it was mounted since it was made")
	case super.UUID != layout.Lineage.Filesystem:
		return nil, errors.New("its layout record belongs to another filesystem")
	}
	return &base{
		disk: disk, layout: layout, filesystem: filesystem, partition: partition,
		snapshots: path.Join(k.containerdRoot, ctrstore.SnapshotsPath),
	}, nil
}

// checkTrace refuses a parent whose layers are laid out by another trace: those that stay would not be as the new one
// says, and to tell which those are, all of them would have to be read.
func (b *base) checkTrace(trace *Trace) error {
	switch {
	case b == nil || b.layout.Trace == trace.digest():
		return nil
	case b.layout.Trace == "":
		return errors.New("its files are laid out without a trace")
	case trace == nil:
		return errors.New("its files are laid out by a trace, and this build has none")
	}
	return errors.New("its files are laid out by another trace")
}

// layer returns a layer of the parent as what lies below another one.
func (b *base) layer(snapshot uint64) *baseLayer {
	return &baseLayer{base: b, root: path.Join(b.snapshots, strconv.FormatUint(snapshot, 10), "fs")}
}

// baseLayer implements layer.Lower.
type baseLayer struct {
	base *base
	// root is the path of the layer's "fs".
	root string
}

// Lookup implements layer.Lower.
func (l *baseLayer) Lookup(components []string) (*tree.Node, error) {
	node, err := l.base.filesystem.Stat(path.Join(append([]string{l.root}, components...)...))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &ParentError{Err: err}
	}
	return node, nil
}
