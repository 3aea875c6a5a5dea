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

// containerdRoot is where containerd finds its own directory: Bottlerocket binds /local/var, on this partition,
// to /var (bottlerocket-core-kit, packages/release).
const containerdRoot = "var/lib/containerd"

// selinuxXattr holds a file's label, which the kernel wants with its terminating zero.
const selinuxXattr = "security.selinux"

// writeRoot writes everything that is not a layer, through the last region.
func (b *build) writeRoot(ctx context.Context, layout *Layout) error {
	snapshots := make([]*tree.Node, len(b.snapshots))
	for i := range b.snapshots {
		snapshots[i] = b.snapshots[i].root
	}
	containerd, err := b.plan.contents.NewRoot(ctx, b.meta, snapshots, epoch)
	if err != nil {
		return err
	}
	for _, plugin := range containerd.Directory.Children {
		label(plugin, containerd.Snapshots)
	}
	record := &tree.Node{Mode: tree.TypeRegular | 0o600, Mtime: epoch, Atime: epoch, Links: 1}
	records := tree.NewDirectory(0o700, epoch)
	records.Children[path.Base(LayoutPath)] = record
	// What the next build trusts must not be for containers to write either.
	label(records, nil)

	root := tree.NewDirectory(0o755, epoch)
	place(root, containerdRoot, containerd.Directory)
	place(root, path.Dir(LayoutPath), records)
	inodes, err := b.meta.ReserveInodes(ctx, count(root, containerd.Snapshots))
	if err != nil {
		return err
	}
	layout.MetaInodes = ranges(inodes)
	if err := b.storeLayout(ctx, layout, record); err != nil {
		return err
	}
	return b.writer.Finish(ctx, b.meta, root, containerd.Snapshots)
}

// storeLayout fills the layout record's file.
func (b *build) storeLayout(ctx context.Context, layout *Layout, file *tree.Node) error {
	data, err := json.Marshal(layout)
	if err != nil {
		return fmt.Errorf("encoding the layout record: %w", err)
	}
	file.Size = int64(len(data))
	if file.Extents, err = b.meta.Store(ctx, bytes.NewReader(data), file.Size); err != nil {
		return fmt.Errorf("storing the layout record: %w", err)
	}
	return nil
}

// count returns the number of nodes in a tree, but for those below the given directory.
func count(node, without *tree.Node) int64 {
	nodes := int64(1)
	if node != without {
		for _, child := range node.Children {
			nodes += count(child, without)
		}
	}
	return nodes
}

// label gives a tree containerd's SELinux label, but not what is below the given directory: the regions
// there carry it already.
func label(node, until *tree.Node) {
	if node.Xattrs == nil {
		node.Xattrs = map[string]string{}
	}
	node.Xattrs[selinuxXattr] = seLinuxLabel + "\x00"
	if node == until {
		return
	}
	for _, child := range node.Children {
		label(child, until)
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
