package layer

import (
	"errors"
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

// Lower is the finished tree of a layer below: a [*Diff] that has inherited, or one on an earlier volume, where
// its files carry the volume's label as well.
type Lower interface {
	// Lookup returns what has this name in the layer's own tree, the layer's root for no components. Symbolic
	// links are not followed. It returns nil and no error where nothing is, and where a component on the way is
	// absent or no directory. Children may be left out of what it returns; the components must not be kept.
	Lookup(components []string) (*tree.Node, error)
}

// Lookup makes the layer a [Lower] of those above it.
func (d *Diff) Lookup(components []string) (*tree.Node, error) {
	if !d.inherited {
		return nil, errors.New("looking into a layer: it must have inherited itself, from the bottom up")
	}
	node := d.root
	for _, component := range components {
		node = childOf(node, component)
	}
	return node, nil
}

// stack are the layers below, nearest first, as long as something is looked for in them.
type stack []*lowerView

func newStack(lower []Lower) stack {
	views := make(stack, len(lower))
	for i, below := range lower {
		views[i] = &lowerView{lower: below, found: map[edge]*tree.Node{}}
	}
	return views
}

// nearest returns the first directory at a path in the layers below, nil if there is none or if something else
// is in its place first.
func (s stack) nearest(path string) (*tree.Node, error) {
	for _, view := range s {
		found, err := view.resolve(path)
		switch {
		case errors.Is(err, errLinks):
			return nil, &EntryError{Entry: path, Err: fmt.Errorf("looking for the directory in the lower layers: %w", err)}
		case err != nil:
			return nil, fmt.Errorf("looking for the directory %q in the lower layers: %w", path, err)
		case found.blocked:
			return nil, nil
		case found.node == nil:
			continue
		case !found.node.IsDirectory():
			return nil, nil
		}
		return found.node, nil
	}
	return nil, nil
}

// lowerView remembers what was found in a lower layer: to ask costs a read if it is on a volume, and a walk from
// the root in any case. What is absent is not remembered, since that would need memory for names that only the
// layer above has.
type lowerView struct {
	lower Lower
	root  *tree.Node
	found map[edge]*tree.Node
}

// edge is a name in a directory.
type edge struct {
	directory *tree.Node
	name      string
}

func (v *lowerView) resolve(path string) (place, error) {
	if v.root == nil {
		root, err := v.lower.Lookup(nil)
		if err != nil {
			return place{}, err
		}
		v.root = root
	}
	return resolve(v.root, v.child, path)
}

func (v *lowerView) child(directory *tree.Node, components []string) (*tree.Node, error) {
	if directory == nil || !directory.IsDirectory() {
		return nil, nil
	}
	at := edge{directory, components[len(components)-1]}
	if node := v.found[at]; node != nil {
		return node, nil
	}
	node, err := v.lower.Lookup(components)
	if node != nil && err == nil {
		v.found[at] = node
	}
	return node, err
}
