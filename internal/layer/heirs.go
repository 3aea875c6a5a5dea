package layer

import (
	"archive/tar"
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

// aclHeir is a directory that inherits access control lists which depend on the layers below: an implicit directory
// gets its default list from there, and what is made in it gets that list in turn.
type aclHeir struct {
	node *tree.Node
	// made are the files that were made in it: those of a layer that lists no directories are all here.
	made []*tree.Node
	// above is the heir that the node was made in; nil for an implicit directory in one whose list was known.
	above *aclHeir
	// implicit is set for an implicit directory.
	implicit *implicitDirectory
	// list is the default list that it hands on, as long as no entry gives it another: first the one of the
	// directory that it was made in, then the one from below.
	list string
	// ownDefault says that an entry gave it a default list, or took it.
	ownDefault bool
}

// heirCost is what an heir needs in memory with its place in a map, and madeCost what a file made in it does, in bytes.
const (
	heirCost = 160
	madeCost = 16
)

// giveACLs gives a new node the lists of the directory that it is made in, or notes that it will get them.
func (a *applier) giveACLs(directory, node *tree.Node) {
	if node.Type() == tree.TypeSymlink {
		return
	}
	if heir := a.heirs[directory]; heir != nil && !heir.ownDefault {
		if node.IsDirectory() {
			a.addHeir(&aclHeir{node: node, above: heir})
			return
		}
		heir.made = append(heir.made, node)
		a.cost += madeCost
		return
	}
	list := directory.Xattrs[aclDefault]
	a.cost += listCost(list)
	inheritACLs(node, list)
}

// listCost is what a node's inherited lists need in memory, in bytes: its access list is its own.
func listCost(list string) int64 {
	if list == "" {
		return 0
	}
	return xattrCost + int64(len(list))
}

// giveImplicitACLs does the same for an implicit directory, which may have lists below.
func (a *applier) giveImplicitACLs(directory *tree.Node, made *implicitDirectory) {
	if a.bottom {
		a.giveACLs(directory, made.node)
		applyModeToACL(made.node)
		return
	}
	heir := &aclHeir{node: made.node, implicit: made}
	if above := a.heirs[directory]; above != nil && !above.ownDefault {
		heir.above = above
	} else {
		heir.list = directory.Xattrs[aclDefault]
	}
	a.addHeir(heir)
}

func (a *applier) addHeir(heir *aclHeir) {
	a.heirs[heir.node] = heir
	a.heirOrder = append(a.heirOrder, heir)
	a.cost += heirCost
}

// noteACLs keeps the lists that an entry gives a node from being inherited over.
func (a *applier) noteACLs(node *tree.Node, header *tar.Header) {
	if len(a.heirs) == 0 {
		return
	}
	if _, own := aclOf(header, aclAccess); own {
		a.ownAccess[node] = true
	}
	if heir := a.heirs[node]; heir != nil {
		if _, own := aclOf(header, aclDefault); own {
			heir.ownDefault = true
		}
	}
}

// settleACLs gives the heirs, and what was made in them, their lists, when implicit directories have their origins.
func (d *Diff) settleACLs() error {
	inherit := func(node *tree.Node, access string) {
		if !d.ownAccess[node] && access != "" {
			putXattr(node, aclAccess, access)
			applyModeToACL(node)
		}
	}
	for _, heir := range d.heirs {
		access := heir.settle()
		d.cost += listCost(heir.list) * int64(1+len(heir.made))
		if err := checkCost(d.cost); err != nil {
			return fmt.Errorf("inheriting access control lists: %w", err)
		}
		inherit(heir.node, access)
		for _, node := range heir.made {
			inherit(node, heir.list)
		}
	}
	d.heirs, d.ownAccess = nil, nil
	return nil
}

// settle gives a directory its default list and returns its access list, when the heir above has its own.
func (h *aclHeir) settle() (access string) {
	if h.above != nil {
		h.list = h.above.list
	}
	access = h.list
	if h.implicit != nil && h.implicit.origin != nil {
		// The kernel replaces a list even if it is told to create the attribute (XATTR_CREATE), as containerd does.
		if below := h.implicit.origin.Xattrs[aclAccess]; below != "" {
			access = below
		}
		if below := h.implicit.origin.Xattrs[aclDefault]; below != "" {
			h.list = below
		}
	}
	if !h.ownDefault {
		putXattr(h.node, aclDefault, h.list)
	}
	return access
}
