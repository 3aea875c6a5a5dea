package layer

import (
	"archive/tar"
	"errors"
	"strings"

	"github.com/larder-dev/larder/internal/tree"
)

// Names of the OCI image specification (layer.md, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
)

// Overlayfs's mark of a directory that hides those below it (linux Documentation/filesystems/overlayfs.rst).
const (
	opaqueXattr = "trusted.overlay.opaque"
	opaqueValue = "y"
)

// applyWhiteout carries the entry out if it is a whiteout, and tells whether it was. The entry's type does
// not matter: AUFS, where the names come from, made them hard links.
func (a *applier) applyWhiteout(directory *tree.Node, base string, header *tar.Header) (bool, error) {
	if base == opaqueMarker {
		if a.bottom {
			a.empty(directory)
			return true, nil
		}
		if directory.Xattrs == nil {
			directory.Xattrs = map[string]string{}
		}
		directory.Xattrs[opaqueXattr] = opaqueValue
		return true, nil
	}
	name, found := strings.CutPrefix(base, whiteoutPrefix)
	if !found {
		return false, nil
	}
	if name == "" || name == "." || name == ".." {
		return true, errors.New("the whiteout names no file")
	}
	if a.bottom {
		remove(directory, name)
		return true, nil
	}
	return true, a.addWhiteout(directory, name, header)
}

func (a *applier) addWhiteout(directory *tree.Node, name string, header *tar.Header) error {
	if err := checkComponent(name); err != nil {
		return err
	}
	if directory.Children[name] != nil {
		return errors.New("the whiteout comes after the same layer wrote the file: containerd fails on it too")
	}
	uid, err := owner("uid", header.Uid)
	if err != nil {
		return err
	}
	gid, err := owner("gid", header.Gid)
	if err != nil {
		return err
	}
	whiteout := &tree.Node{
		Mode: tree.TypeCharDev, UID: uid, GID: gid, Mtime: tree.NewTime(minTime), Atime: tree.NewTime(minTime), Links: 1,
	}
	a.giveACLs(directory, whiteout)
	applyModeToACL(whiteout)
	directory.Children[name] = whiteout
	return nil
}

// empty removes what is in a directory of the bottom layer without an entry of its own: with nothing below,
// only directories that were made for the sake of their children.
func (a *applier) empty(directory *tree.Node) {
	if a.emptied[directory] {
		return
	}
	a.emptied[directory] = true
	a.removeImplicit(directory)
}

func (a *applier) removeImplicit(directory *tree.Node) {
	for name, child := range directory.Children {
		if !child.IsDirectory() {
			continue
		}
		if note := a.implicit[child]; note != nil && !note.explicit {
			remove(directory, name)
			continue
		}
		a.removeImplicit(child)
	}
}
