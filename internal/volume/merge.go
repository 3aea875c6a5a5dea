package volume

import (
	"maps"

	"github.com/larder-dev/larder/internal/tree"
)

// Overlayfs's mark of a directory that hides those below it (linux Documentation/filesystems/overlayfs.rst).
const (
	opaqueXattr = "trusted.overlay.opaque"
	opaqueValue = "y"
)

// merge returns what an overlay of layers' trees shows, the lowest first. It takes the trees apart.
func merge(layers []*tree.Node) *tree.Node {
	merged := tree.NewDirectory(0o755, epoch)
	for _, upper := range layers {
		cover(merged, upper)
		merged = upper
	}
	return merged
}

// cover adds to a directory what shows through of the one below it, and takes from it what only overlayfs understands.
// lower is nil, or no directory, where nothing shows through.
func cover(lower, upper *tree.Node) {
	opaque := upper.Xattrs[opaqueXattr] == opaqueValue
	delete(upper.Xattrs, opaqueXattr)
	if lower == nil || !lower.IsDirectory() || opaque {
		release(lower)
		lower = &tree.Node{}
	}
	for name, node := range upper.Children {
		below := lower.Children[name]
		delete(lower.Children, name)
		switch {
		case node.IsDirectory():
			cover(below, node)
			continue
		case isWhiteout(node):
			delete(upper.Children, name)
		}
		release(below)
	}
	maps.Copy(upper.Children, lower.Children)
}

// isWhiteout tells overlayfs's mark of a removed file. A device of these numbers that a layer itself has is one too.
func isWhiteout(node *tree.Node) bool {
	major, minor := node.Device()
	return node.Type() == tree.TypeCharDev && major == 0 && minor == 0
}

// release takes away names, so that the link counts of files with others stay right.
func release(node *tree.Node) {
	if node == nil {
		return
	}
	if !node.IsDirectory() {
		node.Links--
	}
	for _, child := range node.Children {
		release(child)
	}
}
