package ctrstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// Directories below containerd's root are named after the plugins that own them.
const (
	contentPlugin     = "io.containerd.content.v1.content"
	metadataPlugin    = "io.containerd.metadata.v1.bolt"
	snapshotterPlugin = "io.containerd.snapshotter.v1." + snapshotter
)

// MetadataPath is where meta.db is, relative to containerd's root.
const MetadataPath = metadataPlugin + "/" + metadataFile

// SnapshotsPath is the directory of the snapshots' directories, relative to containerd's root.
const SnapshotsPath = snapshotterPlugin + "/snapshots"

// Store keeps the bytes of files and says where; size is in bytes.
type Store interface {
	Store(ctx context.Context, r io.Reader, size int64) ([]tree.Extent, error)
}

// Root is containerd's root directory.
type Root struct {
	Directory *tree.Node
	// Snapshots is the directory in it whose children are the snapshots, named by their ids.
	Snapshots *tree.Node
}

// NewSnapshotDirectory returns a snapshot's directory around the layer's files. Every one has a "work", as all
// were writable once: overlayfs wanted it while containerd unpacked.
func NewSnapshotDirectory(fs *tree.Node, modified time.Time) *tree.Node {
	directory := tree.NewDirectory(0o700, modified)
	directory.Children["fs"] = fs
	directory.Children["work"] = tree.NewDirectory(0o711, modified)
	return directory
}

// NewRoot puts containerd's root together: it stores blobs and databases, and takes in the snapshots'
// directories, which are in the order of c.Snapshots. created is the time of everything in it.
func (c *Contents) NewRoot(ctx context.Context, store Store, snapshots []*tree.Node, created time.Time) (*Root, error) {
	if len(snapshots) != len(c.Snapshots) {
		return nil, fmt.Errorf("making containerd's root: %d directories for %d snapshots", len(snapshots), len(c.Snapshots))
	}
	b := &rootBuilder{store: store, created: created}
	content, err := b.content(ctx, c.Blobs)
	if err != nil {
		return nil, err
	}
	root := &Root{Directory: b.directory(0o700), Snapshots: b.directory(0o700)}
	for i, snapshot := range c.Snapshots {
		root.Snapshots.Children[strconv.FormatUint(snapshot.ID, 10)] = snapshots[i]
	}
	metadata, overlayfs := b.directory(0o711), b.directory(0o700)
	if err := b.databases(ctx, c, metadata, overlayfs); err != nil {
		return nil, err
	}
	overlayfs.Children["snapshots"] = root.Snapshots
	root.Directory.Children[contentPlugin] = content
	root.Directory.Children[metadataPlugin] = metadata
	root.Directory.Children[snapshotterPlugin] = overlayfs
	return root, nil
}

type rootBuilder struct {
	store   Store
	created time.Time
}

func (b *rootBuilder) directory(permissions uint32) *tree.Node {
	return tree.NewDirectory(permissions, b.created)
}

func (b *rootBuilder) file(ctx context.Context, r io.Reader, size int64, permissions uint32) (*tree.Node, error) {
	node := &tree.Node{Mode: tree.TypeRegular | permissions, Mtime: tree.NewTime(b.created), Atime: tree.NewTime(b.created), Size: size, Links: 1}
	if size == 0 {
		return node, nil
	}
	extents, err := b.store.Store(ctx, r, size)
	node.Extents = tree.NewExtents(extents)
	return node, err
}

func (b *rootBuilder) content(ctx context.Context, blobs []Blob) (*tree.Node, error) {
	content, directory := b.directory(0o755), b.directory(0o755)
	content.Children["blobs"], content.Children["ingest"] = directory, b.directory(0o755)
	for _, blob := range blobs {
		algorithm := blob.Descriptor.Digest.Algorithm().String()
		if directory.Children[algorithm] == nil {
			directory.Children[algorithm] = b.directory(0o755)
		}
		file, err := b.file(ctx, bytes.NewReader(blob.Content), int64(len(blob.Content)), 0o444)
		if err != nil {
			return nil, fmt.Errorf("storing the blob %s: %w", blob.Descriptor.Digest, err)
		}
		directory.Children[algorithm].Children[blob.Descriptor.Digest.Encoded()] = file
	}
	return content, nil
}

func (b *rootBuilder) databases(ctx context.Context, c *Contents, metadata, overlayfs *tree.Node) (err error) {
	directory, err := os.MkdirTemp("", "larder-databases-")
	if err != nil {
		return fmt.Errorf("making a directory for containerd's databases: %w", err)
	}
	defer func() { err = cmp.Or(err, os.RemoveAll(directory)) }()
	if err := c.WriteDatabases(directory, b.created); err != nil {
		return err
	}
	if metadata.Children[metadataFile], err = b.copy(ctx, filepath.Join(directory, metadataFile), 0o644); err != nil {
		return err
	}
	overlayfs.Children[snapshotterFile], err = b.copy(ctx, filepath.Join(directory, snapshotterFile), 0o600)
	return err
}

func (b *rootBuilder) copy(ctx context.Context, path string, permissions uint32) (*tree.Node, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a database back: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a database back: %w", err)
	}
	node, err := b.file(ctx, file, info.Size(), permissions)
	if err != nil {
		return nil, fmt.Errorf("storing the database %s: %w", filepath.Base(path), err)
	}
	return node, nil
}
