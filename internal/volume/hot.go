package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/tree"
	"github.com/larder-dev/larder/internal/warm"
)

// HotPath is where a volume keeps the list of what a node reads first, in the form of package warm.
const HotPath = ".larder/hot"

// storeHot fills the hot list's file. Nothing but directories is stored after it.
func (b *build) storeHot(ctx context.Context, layout *Layout, root, snapshots, file *tree.Node) error {
	list, err := b.hotList(layout, root, snapshots)
	if err != nil {
		return fmt.Errorf("listing what is read first: %w", err)
	}
	text := list.Encode()
	file.Size = int64(len(text))
	extents, err := b.meta.Store(ctx, bytes.NewReader(text), file.Size)
	if err != nil {
		return fmt.Errorf("storing the list of what is read first: %w", err)
	}
	file.Extents = tree.NewExtents(extents)
	return nil
}

// hotList has the blocks in the order of their use: for mounting, then containerd's databases and blobs, then the
// traced files with what finding them takes, then what finding files in the layers takes, then, without a trace, all
// files. With one they are left out: to read them would hold up the reads of what starts.
func (b *build) hotList(layout *Layout, root, snapshots *tree.Node) (warm.List, error) {
	blocks, err := ext4.MountChunks(b.plan.kind.filesystemSize(layout.Size))
	if err != nil {
		return nil, err
	}
	top := ext4.Layout{Blocks: filesBelow(root, snapshots), Inodes: rangesOf[ext4.Range](layout.MetaInodes)}
	blocks = append(blocks, top.Chunks()...)
	// The directories of containerd's root come behind its files, in what is left of the reservation.
	blocks = append(blocks, ext4.Layout{Blocks: rangesOf[tree.Extent](layout.Meta)}.Chunks()...)
	for _, region := range layout.Regions {
		var traced ext4.Layout
		for _, l := range region.Layers {
			traced.Blocks = append(traced.Blocks, rangesOf[tree.Extent](l.Hot)...)
			traced.Inodes = append(traced.Inodes, rangesOf[ext4.Range](l.HotInodes)...)
		}
		blocks = append(blocks, traced.Chunks()...)
	}
	for _, region := range layout.Regions {
		structure := ext4.Layout{Inodes: rangesOf[ext4.Range](region.Inodes)}
		for _, l := range region.Layers {
			structure.Blocks = append(structure.Blocks, rangesOf[tree.Extent](l.Structure)...)
		}
		blocks = append(blocks, structure.Chunks()...)
	}
	if b.plan.trace != nil {
		return warm.NewList(blocks), nil
	}
	for _, region := range layout.Regions {
		blocks = append(blocks, ext4.Layout{Blocks: rangesOf[tree.Extent](region.Blocks)}.Chunks()...)
	}
	return warm.NewList(blocks), nil
}

// filesBelow returns the blocks of all files in a tree but for those below the given directory.
func filesBelow(node, without *tree.Node) []tree.Extent {
	blocks := node.Extents.List()
	for _, name := range node.Names() {
		if child := node.Children[name]; child != without {
			blocks = append(blocks, filesBelow(child, without)...)
		}
	}
	return blocks
}

// ErrNoHotList says that a filesystem has no list of what is read first.
var ErrNoHotList = errors.New("there is no " + HotPath + ": nothing tells what is read first")

// ReadHotList reads the list of what is read first from a volume or from its data partition alone, and returns the
// filesystem's first byte on it: ErrNoHotList if the filesystem has none.
func ReadHotList(disk io.ReaderAt, size int64) (list warm.List, start int64, err error) {
	filesystem, err := ext4.Open(disk, size)
	if errors.Is(err, ext4.ErrUnsupported) {
		var partition *io.SectionReader
		if partition, err = readPartition(disk, size); err != nil {
			return nil, 0, err
		}
		_, start, size = partition.Outer()
		filesystem, err = ext4.Open(partition, size)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("opening the filesystem: %w", err)
	}
	file, err := filesystem.Open(HotPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrNoHotList
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the list of what is read first: %w", err)
	}
	list, err = ParseHotList(file, size)
	return list, start, err
}

// ParseHotList reads the list of what is read first of a filesystem of size bytes.
func ParseHotList(file io.Reader, size int64) (warm.List, error) {
	text, err := io.ReadAll(io.LimitReader(file, warm.MaxListSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the list of what is read first: %w", err)
	}
	list, err := warm.Parse(text, size)
	if err != nil {
		return nil, fmt.Errorf("reading the list of what is read first: %w", err)
	}
	return list, nil
}
