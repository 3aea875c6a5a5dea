package layer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// setgid on a directory hands its group to what is made in it.
const setgid = 0o2000

// implicitDirectory is a directory that had to be made as a parent.
type implicitDirectory struct {
	node *tree.Node
	// path is relative to the layer's root, without symbolic links of its own layer.
	path string
	// parent is set if it was implicit itself when this directory was made: its group is then known only
	// after it has inherited.
	parent *implicitDirectory
	// explicit says that an entry came later, whose owner, mode and times count.
	explicit bool
	// timed says that it has an entry's times without being that entry's directory: a symbolic link took the
	// directory's place and leads here.
	timed bool
	// mode and gid are those that the directory was made with.
	mode, gid uint32
	// origin is the directory below that it inherited from, if there was one.
	origin *tree.Node
}

// ensureDirectory returns the directory at a path without symbolic links, and makes what is missing.
func (a *applier) ensureDirectory(components []string) (*tree.Node, error) {
	directory := a.root
	for i, component := range components {
		if child := directory.Children[component]; child != nil {
			if !child.IsDirectory() {
				return nil, fmt.Errorf("its parent %q is not a directory in this layer", strings.Join(components[:i+1], "/"))
			}
			directory = child
			continue
		}
		if err := checkComponent(component); err != nil {
			return nil, err
		}
		made := a.makeImplicit(directory, strings.Join(components[:i+1], "/"))
		directory.Children[component] = made
		directory = made
	}
	return directory, nil
}

func (a *applier) makeImplicit(parent *tree.Node, path string) *tree.Node {
	note := &implicitDirectory{node: tree.NewDirectory(0o755, minTime), path: path, mode: 0o755}
	if above := a.implicit[parent]; above != nil && !above.explicit {
		note.parent = above
	} else if parent.Mode&setgid != 0 {
		note.gid = parent.GID
		note.node.GID = parent.GID
	}
	a.giveImplicitACLs(parent, note)
	a.implicit[note.node] = note
	a.implicitOrder = append(a.implicitOrder, note)
	a.cost += entryCost + int64(len(path))
	return note.node
}

// Inherit gives the parents that the layer does not list the owner, mode, times and extended attributes that
// they have below. lower are the layers below, nearest first; there are none for a bottom layer, which needs no
// call.
func (d *Diff) Inherit(lower []Lower) error {
	if d.bottom != (len(lower) == 0) {
		return errors.New("inheriting from lower layers: the bottom layer has none, all others have some")
	}
	if d.bottom {
		return nil
	}
	if d.inherited {
		return errors.New("inheriting from lower layers: the layer has inherited already")
	}
	stack := newStack(lower)
	for _, directory := range d.implicit {
		origin, err := stack.nearest(directory.path)
		if err != nil {
			return err
		}
		directory.inherit(origin)
		if d.cost += inheritedCost(origin); checkCost(d.cost) != nil {
			return fmt.Errorf("inheriting from lower layers: %w", checkCost(d.cost))
		}
	}
	d.inherited = true
	return d.settleACLs()
}

func (i *implicitDirectory) inherit(origin *tree.Node) {
	if origin == nil {
		if i.parent != nil && i.parent.mode&setgid != 0 {
			i.gid = i.parent.gid
		}
		if !i.explicit {
			i.node.GID = i.gid
		}
		return
	}
	i.origin, i.mode, i.gid = origin, origin.Mode, origin.GID
	if !i.explicit {
		i.node.Mode, i.node.UID, i.node.GID = origin.Mode, origin.UID, origin.GID
		if !i.timed {
			i.node.Mtime, i.node.Atime = origin.Mtime, origin.Atime
		}
	}
	for name, value := range origin.Xattrs {
		// What an entry brought later stays. Access control lists have a way of their own: see aclHeir.
		if _, set := i.node.Xattrs[name]; set || !inheritable(name) || name == aclAccess || name == aclDefault {
			continue
		}
		if i.node.Xattrs == nil {
			i.node.Xattrs = map[string]string{}
		}
		i.node.Xattrs[name] = value
	}
}

// inheritable leaves out what overlayfs keeps for itself, since an opaque mark below must not hide what is below
// this layer, and the label that the volume gives every file.
func inheritable(xattr string) bool {
	return !strings.HasPrefix(xattr, "trusted.") && xattr != selinux
}
