package layer

import (
	"archive/tar"

	"github.com/larder-dev/larder/internal/tree"
)

// aclHeir is a node that inherits access control lists which depend on the layers below: an implicit directory
// gets its default list from there, and what is made in it gets that list in turn.
type aclHeir struct {
	node *tree.Node
	// above is the heir that the node was made in; nil for an implicit directory in one whose list was known.
	above *aclHeir
	// implicit is set for an implicit directory.
	implicit *implicitDirectory
	// list is the default list that a directory hands on, as long as no entry gives it another: first the one
	// of the directory that it was made in, then the one from below.
	list string
	// ownAccess and ownDefault say that an entry gave the node a list, or took it.
	ownAccess, ownDefault bool
}

// heirCost is what an heir needs in memory with its place in a map, in bytes.
const heirCost = 128

// giveACLs gives a new node the lists of the directory that it is made in, or notes that it will get them.
func (a *applier) giveACLs(directory, node *tree.Node) {
	if node.Type() == tree.TypeSymlink {
		return
	}
	if heir := a.heirs[directory]; heir != nil && !heir.ownDefault {
		a.addHeir(&aclHeir{node: node, above: heir})
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
	heir := a.heirs[node]
	if heir == nil {
		return
	}
	if _, own := aclOf(header, aclAccess); own {
		heir.ownAccess = true
	}
	if _, own := aclOf(header, aclDefault); own {
		heir.ownDefault = true
	}
}

// settle gives the node its lists, when the heir above has its own and an implicit directory has its origin.
func (h *aclHeir) settle() {
	if h.above != nil {
		h.list = h.above.list
	}
	access := h.list
	if h.implicit != nil && h.implicit.origin != nil {
		// The kernel replaces a list even if it is told to create the attribute (XATTR_CREATE), as containerd does.
		if below := h.implicit.origin.Xattrs[aclAccess]; below != "" {
			access = below
		}
		if below := h.implicit.origin.Xattrs[aclDefault]; below != "" {
			h.list = below
		}
	}
	if !h.ownAccess && access != "" {
		putXattr(h.node, aclAccess, access)
		applyModeToACL(h.node)
	}
	if !h.ownDefault && h.node.IsDirectory() {
		putXattr(h.node, aclDefault, h.list)
	}
}
