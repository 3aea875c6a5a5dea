package ext4

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/larder-dev/larder/internal/tree"
)

// entry is an inode about to be written.
type entry struct {
	node   *tree.Node
	number uint32
	links  uint32
	// names are a directory's, in byte order.
	names []string
	// up and name are the first way that led here; up is nil for a root.
	up   *entry
	name string
}

// path is for messages.
func (e *entry) path() string {
	if e.up == nil {
		return "/"
	}
	if e.up.up == nil {
		return "/" + e.name
	}
	return e.up.path() + "/" + e.name
}

// plan is a tree in the order of its inodes: parents before children, the children of a directory side by
// side in byte order.
type plan struct {
	entries []*entry
	byNode  map[*tree.Node]*entry
	// parent is the inode number of the root's "..".
	parent uint32
	// anchor is the directory whose children may be roots written before, and roots are those; both are nil
	// in a region's tree.
	anchor *tree.Node
	roots  map[*tree.Node]uint32
	linked map[*tree.Node]bool
}

func newPlan(root, anchor *tree.Node, roots map[*tree.Node]uint32) (*plan, error) {
	p := &plan{byNode: map[*tree.Node]*entry{}, anchor: anchor, roots: roots, linked: map[*tree.Node]bool{}}
	if !root.IsDirectory() {
		return nil, errors.New("the root of a tree has to be a directory")
	}
	e, err := p.add(root, nil, "")
	if err != nil {
		return nil, err
	}
	return p, p.addChildren(e)
}

func (p *plan) add(n *tree.Node, up *entry, name string) (*entry, error) {
	e := &entry{node: n, up: up, name: name, links: 1}
	if n.IsDirectory() {
		e.links = 2
		e.names = n.Names()
	}
	p.entries = append(p.entries, e)
	p.byNode[n] = e
	return e, checkNode(e)
}

func (p *plan) addChildren(dir *entry) error {
	var directories []*entry
	for _, name := range dir.names {
		if err := checkName(name); err != nil {
			return fmt.Errorf("%s: %w", dir.path(), err)
		}
		child := dir.node.Children[name]
		if child.IsDirectory() {
			dir.links++
		}
		if _, written := p.roots[child]; written {
			if err := p.link(child, dir, name); err != nil {
				return err
			}
			continue
		}
		if e, seen := p.byNode[child]; seen {
			e.links++
			if child.IsDirectory() || e.links > maxFileLinks {
				return fmt.Errorf("%s/%s: %s has too many links", dir.path(), name, e.path())
			}
			continue
		}
		e, err := p.add(child, dir, name)
		if err != nil {
			return err
		}
		if child.IsDirectory() {
			directories = append(directories, e)
		}
	}
	for _, e := range directories {
		if err := p.addChildren(e); err != nil {
			return err
		}
	}
	return nil
}

// link notes that a root written before has its name.
func (p *plan) link(root *tree.Node, dir *entry, name string) error {
	if dir.node != p.anchor || p.linked[root] {
		return fmt.Errorf("%s/%s: the root of a region can only be linked once, in the anchor directory", dir.path(), name)
	}
	p.linked[root] = true
	return nil
}

// numberOf returns the inode number of a child.
func (p *plan) numberOf(child *tree.Node) uint32 {
	if e, planned := p.byNode[child]; planned {
		return e.number
	}
	return p.roots[child]
}

// parentOf returns the inode number for "..".
func (p *plan) parentOf(e *entry) uint32 {
	if e.up == nil {
		return p.parent
	}
	return e.up.number
}

// number gives entries their inode numbers, in order.
func number(entries []*entry, numbers []Range) {
	for _, r := range numbers {
		for i := range r.Count {
			entries[i].number = r.Start + i
		}
		entries = entries[r.Count:]
	}
}

// sortByNumber brings entries into the order in which inodes are written.
func (p *plan) sortByNumber() {
	slices.SortFunc(p.entries, func(a, b *entry) int { return cmp.Compare(a.number, b.number) })
}

// checkNode refuses what ext4 cannot hold, and extents that do not belong to the size.
func checkNode(e *entry) error {
	n := e.node
	switch n.Type() {
	case tree.TypeRegular:
		if have := int64(blockCount(n.Extents)); have != (n.Size+BlockSize-1)/BlockSize {
			return fmt.Errorf("%s: a file of %d bytes has %d blocks", e.path(), n.Size, have)
		}
	case tree.TypeSymlink:
		return checkTarget(e)
	case tree.TypeDirectory, tree.TypeFIFO, tree.TypeCharDev, tree.TypeBlockDev:
	default:
		return fmt.Errorf("%s: unknown file type %#o", e.path(), n.Type())
	}
	return nil
}
