package ext4

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// entry is an inode about to be written. There may be millions: it holds what the tree does not say.
type entry struct {
	node *tree.Node
	// up and first are places in the plan: of the first directory that leads here, and of a directory's first
	// child. The root is its own up.
	up, first     int32
	links, number uint32
}

// plan is a tree in the order of its inodes: parents before children, the children of a directory side by
// side in byte order.
type plan struct {
	entries []entry
	// places has the places of all nodes that could be reached twice: of directories and of files with more links.
	places map[*tree.Node]int32
	// hot are the nodes that are numbered and written first; nil for none.
	hot map[*tree.Node]bool
	// parent is the inode number of the root's "..".
	parent uint32
	// anchor is the directory whose children may be roots written before, and roots are those; both are nil
	// in a region's tree.
	anchor *tree.Node
	roots  map[*tree.Node]uint32
	linked map[*tree.Node]bool
	// names are of the directory that is looked at.
	names []dirent
}

func newPlan(root, anchor *tree.Node, roots map[*tree.Node]uint32) (*plan, error) {
	p := &plan{anchor: anchor, roots: roots, linked: map[*tree.Node]bool{}}
	if !root.IsDirectory() {
		return nil, errors.New("the root of a tree has to be a directory")
	}
	// To grow would take twice as much, at the moment at which a build needs the most memory.
	directories := map[*tree.Node]bool{}
	p.entries = make([]entry, 0, 1+p.countNames(root, directories))
	p.places = make(map[*tree.Node]int32, len(directories))
	if err := p.add(root, 0); err != nil {
		return nil, err
	}
	return p, p.addChildren(0)
}

// countNames counts the names below a directory that are not in seen: there may be circles, which add refuses.
func (p *plan) countNames(directory *tree.Node, seen map[*tree.Node]bool) int {
	if _, written := p.roots[directory]; written || seen[directory] {
		return 0
	}
	seen[directory] = true
	count := len(directory.Children)
	for _, child := range directory.Children {
		if child.IsDirectory() {
			count += p.countNames(child, seen)
		}
	}
	return count
}

func (p *plan) add(n *tree.Node, up int32) error {
	e := entry{node: n, up: up, links: 1}
	if n.IsDirectory() {
		e.links = 2
	}
	place := int32(len(p.entries))
	p.entries = append(p.entries, e)
	if n.IsDirectory() || n.Links != 1 {
		p.places[n] = place
	}
	return p.checkNode(place)
}

func (p *plan) addChildren(dir int32) error {
	node, first := p.entries[dir].node, int32(len(p.entries))
	p.entries[dir].first = first
	for _, d := range p.sortedNames(node) {
		if err := checkName(d.name); err != nil {
			return p.unstorable(dir, err)
		}
		child := node.Children[d.name]
		if child.IsDirectory() {
			p.entries[dir].links++
		}
		if _, written := p.roots[child]; written {
			if err := p.link(child, dir, d.name); err != nil {
				return err
			}
			continue
		}
		if place, seen := p.places[child]; seen {
			e := &p.entries[place]
			if child.IsDirectory() {
				return fmt.Errorf("the directory %s has a second name in %s", p.path(place), p.path(dir))
			}
			if e.links++; e.links > maxFileLinks {
				return p.unstorable(place, fmt.Errorf("it has more than %d names", maxFileLinks))
			}
			continue
		}
		if err := p.add(child, dir); err != nil {
			return err
		}
	}
	for place, end := first, int32(len(p.entries)); place < end; place++ {
		if p.entries[place].node.IsDirectory() {
			if err := p.addChildren(place); err != nil {
				return err
			}
		}
	}
	return nil
}

// sortedNames returns a directory's names in byte order. They are valid until the next call.
func (p *plan) sortedNames(n *tree.Node) []dirent {
	p.names = p.names[:0]
	for name := range n.Children {
		p.names = append(p.names, dirent{name: name})
	}
	slices.SortFunc(p.names, func(a, b dirent) int { return strings.Compare(a.name, b.name) })
	return p.names
}

// link notes that a root written before has its name.
func (p *plan) link(root *tree.Node, dir int32, name string) error {
	if p.entries[dir].node != p.anchor || p.linked[root] {
		return fmt.Errorf("%s/%s: the root of a region can only be linked once, in the anchor directory", p.path(dir), name)
	}
	p.linked[root] = true
	return nil
}

// dirents returns a directory's names in byte order, with inode numbers. They are valid until the next call.
func (p *plan) dirents(dir int32) []dirent {
	node, next := p.entries[dir].node, p.entries[dir].first
	names := p.sortedNames(node)
	for i := range names {
		d := &names[i]
		child := node.Children[d.name]
		d.fileType = child.Type()
		if number, written := p.roots[child]; written {
			d.inode = number
			continue
		}
		place, shared := p.places[child]
		if !shared {
			place = next
		}
		// What came first under this name is the next of the directory's children in the plan.
		if place == next {
			next++
		}
		d.inode = p.entries[place].number
	}
	return names
}

// parentOf returns the inode number for "..".
func (p *plan) parentOf(dir int32) uint32 {
	if dir == 0 {
		return p.parent
	}
	return p.entries[p.entries[dir].up].number
}

// path is for messages.
func (p *plan) path(place int32) string {
	if place == 0 {
		return "/"
	}
	e := p.entries[place]
	directory := p.path(e.up)
	for _, d := range p.sortedNames(p.entries[e.up].node) {
		if p.entries[e.up].node.Children[d.name] == e.node {
			return strings.TrimSuffix(directory, "/") + "/" + d.name
		}
	}
	return directory
}

// unstorable says that an entry is what ext4 cannot hold.
func (p *plan) unstorable(place int32, err error) error {
	return &UnstorableError{Path: p.path(place), Err: err}
}

// checkNode refuses what ext4 cannot hold, and extents that do not belong to the size.
func (p *plan) checkNode(place int32) error {
	n := p.entries[place].node
	switch n.Type() {
	case tree.TypeRegular:
		if have := int64(blockCount(n.Extents.List())); have != (n.Size+BlockSize-1)/BlockSize {
			return fmt.Errorf("%s: a file of %d bytes has %d blocks", p.path(place), n.Size, have)
		}
	case tree.TypeSymlink:
		if target := n.Target(); target == "" || len(target) >= BlockSize || strings.ContainsRune(target, 0) {
			return p.unstorable(place, fmt.Errorf("a symbolic link's target has to have 1 to %d bytes, none of them zero", BlockSize-1))
		}
	case tree.TypeCharDev, tree.TypeBlockDev:
		if err := checkDevice(n.Device()); err != nil {
			return p.unstorable(place, err)
		}
	case tree.TypeDirectory, tree.TypeFIFO:
	default:
		return p.unstorable(place, fmt.Errorf("unknown file type %#o", n.Type()))
	}
	return nil
}

// inOrder yields the places of the entries in the order of their numbers: the hot ones come first.
func (p *plan) inOrder() iter.Seq[int32] {
	passes := []bool{true, false}
	if len(p.hot) == 0 {
		passes = passes[1:]
	}
	return func(yield func(int32) bool) {
		for _, hot := range passes {
			for place := range p.entries {
				if p.hot[p.entries[place].node] == hot && !yield(int32(place)) {
					return
				}
			}
		}
	}
}

// number gives the next inode number to each entry that has none.
func (p *plan) number(numbers []Range) {
	for place := range p.inOrder() {
		if e := &p.entries[place]; e.number == 0 {
			next := &numbers[0]
			e.number = next.Start
			next.Start++
			next.Count--
			if next.Count == 0 {
				numbers = numbers[1:]
			}
		}
	}
}
