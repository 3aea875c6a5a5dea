package volume

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// selinuxXattr holds a file's label, which the kernel wants with its terminating zero.
const selinuxXattr = "security.selinux"

// writeRoot writes everything that is in no other region, through the last one.
func (b *build) writeRoot(ctx context.Context, layout *Layout) error {
	root, regions, err := b.plan.kind.fill(b, ctx, layout)
	if err != nil {
		return err
	}
	record, hot := newRecord(), newRecord()
	records := tree.NewDirectory(0o700, epoch)
	records.Children[path.Base(LayoutPath)] = record
	records.Children[path.Base(HotPath)] = hot
	// What the next build trusts must not be for containers to write either.
	label(records, nil, b.plan.kind.label)
	place(root, path.Dir(LayoutPath), records)

	inodes, err := b.meta.ReserveInodes(ctx, count(root, regions, map[*tree.Node]bool{}))
	if err != nil {
		return err
	}
	layout.MetaInodes = ranges(inodes)
	if err := b.storeLayout(ctx, layout, record); err != nil {
		return err
	}
	if regions == nil {
		regions = records // the filesystem wants such a directory, if only an empty one
	}
	if err := b.storeHot(ctx, layout, root, regions, hot); err != nil {
		return err
	}
	return b.writer.Finish(ctx, b.meta, root, regions)
}

// fillContainerd puts containerd's root directory around the layers.
func (b *build) fillContainerd(ctx context.Context, _ *Layout) (root, regions *tree.Node, err error) {
	snapshots := make([]*tree.Node, len(b.snapshots))
	for i := range b.snapshots {
		snapshots[i] = b.snapshots[i].root
	}
	containerd, err := b.plan.contents.NewRoot(ctx, b.meta, snapshots, epoch)
	if err != nil {
		return nil, nil, err
	}
	for _, plugin := range containerd.Directory.Children {
		label(plugin, containerd.Snapshots, b.plan.kind.label)
	}
	if b.plan.kind.containerdRoot == "." {
		return containerd.Directory, containerd.Snapshots, nil
	}
	root = tree.NewDirectory(0o755, epoch)
	place(root, b.plan.kind.containerdRoot, containerd.Directory)
	return root, containerd.Snapshots, nil
}

// newRecord is one of Larder's own files, still empty.
func newRecord() *tree.Node {
	return &tree.Node{Mode: tree.TypeRegular | 0o600, Mtime: tree.NewTime(epoch), Atime: tree.NewTime(epoch), Links: 1}
}

// storeLayout fills the layout record's file.
func (b *build) storeLayout(ctx context.Context, layout *Layout, file *tree.Node) error {
	data, err := json.Marshal(layout)
	if err != nil {
		return fmt.Errorf("encoding the layout record: %w", err)
	}
	file.Size = int64(len(data))
	extents, err := b.meta.Store(ctx, bytes.NewReader(data), file.Size)
	if err != nil {
		return fmt.Errorf("storing the layout record: %w", err)
	}
	file.Extents = tree.NewExtents(extents)
	return nil
}

// count returns the number of nodes in a tree, but for those below the given directory. linked has those of several
// names that were counted.
func count(node, without *tree.Node, linked map[*tree.Node]bool) int64 {
	if !node.IsDirectory() && node.Links != 1 {
		if linked[node] {
			return 0
		}
		linked[node] = true
	}
	nodes := int64(1)
	if node != without {
		for _, child := range node.Children {
			nodes += count(child, without, linked)
		}
	}
	return nodes
}

// label gives a tree an SELinux label, if that is not empty, but not what is below the given directory: the regions
// there carry it already.
func label(node, until *tree.Node, with string) {
	if with == "" {
		return
	}
	if node.Xattrs == nil {
		node.Xattrs = map[string]string{}
	}
	node.Xattrs[selinuxXattr] = with + "\x00"
	if node == until {
		return
	}
	for _, child := range node.Children {
		label(child, until, with)
	}
}

// place puts a directory into the tree at a path, and makes its parents.
func place(root *tree.Node, at string, directory *tree.Node) {
	names := strings.Split(at, "/")
	for _, name := range names[:len(names)-1] {
		if root.Children[name] == nil {
			root.Children[name] = tree.NewDirectory(0o755, epoch)
		}
		root = root.Children[name]
	}
	root.Children[names[len(names)-1]] = directory
}
