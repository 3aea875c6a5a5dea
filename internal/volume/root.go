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
	snapshots := make([]*tree.Node, len(b.diffs))
	for i := range b.diffs {
		snapshots[i] = b.diffs[i].root
	}
	containerd, err := b.plan.contents.NewRoot(ctx, b.meta, snapshots, epoch)
	if err != nil {
		return err
	}
	record, err := b.storeLayout(ctx, layout)
	if err != nil {
		return err
	}
	for _, plugin := range containerd.Directory.Children {
		label(plugin, containerd.Snapshots)
	}
	// What the next build trusts must not be for containers to write either.
	label(record, nil)

	root := tree.NewDirectory(0o755, epoch)
	place(root, containerdRoot, containerd.Directory)
	place(root, path.Dir(LayoutPath), record)
	return b.writer.Finish(ctx, b.meta, root, containerd.Snapshots)
}

// storeLayout returns the layout record's directory.
func (b *build) storeLayout(ctx context.Context, layout *Layout) (*tree.Node, error) {
	data, err := json.Marshal(layout)
	if err != nil {
		return nil, fmt.Errorf("encoding the layout record: %w", err)
	}
	extents, err := b.meta.Store(ctx, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("storing the layout record: %w", err)
	}
	directory := tree.NewDirectory(0o700, epoch)
	directory.Children[path.Base(LayoutPath)] = &tree.Node{
		Mode: tree.TypeRegular | 0o600, Mtime: epoch, Atime: epoch, Size: int64(len(data)), Extents: extents, Links: 1,
	}
	return directory, nil
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
