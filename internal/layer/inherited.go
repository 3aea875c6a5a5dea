package layer

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// Inherited is what a directory without an entry in its layer took from the layers below. With the layer's DiffID,
// and whether it is a bottom layer, the list of them says what the layer's tree is.
type Inherited struct {
	// Path is relative to the layer's root; bytes, since names need not be UTF-8.
	Path []byte `json:"path"`
	// Found says that there is such a directory below. All that follows is zero without it.
	Found    bool             `json:"found"`
	Mode     uint32           `json:"mode,omitempty"`
	UID      uint32           `json:"uid,omitempty"`
	GID      uint32           `json:"gid,omitempty"`
	Modified time.Time        `json:"modified,omitzero"`
	Accessed time.Time        `json:"accessed,omitzero"`
	Xattrs   []InheritedXattr `json:"xattrs,omitempty"`
}

// InheritedXattr is an extended attribute; its name need not be UTF-8 either.
type InheritedXattr struct {
	Name  []byte `json:"name"`
	Value []byte `json:"value"`
}

// Inherited returns what [Diff.Inherit] took from the layers below and what it did not find there, in the order in
// which the layer needed the directories. A bottom layer has no such list.
func (d *Diff) Inherited() []Inherited {
	if d.bottom {
		return nil
	}
	all := make([]Inherited, 0, len(d.implicit))
	for _, directory := range d.implicit {
		all = append(all, inheritedFrom([]byte(directory.path), directory.origin))
	}
	return all
}

// Reinherit returns what a layer that took before from the layers once below it would take from others. If that
// is equal, its tree is right above them too.
func Reinherit(before []Inherited, lower []Lower) ([]Inherited, error) {
	stack := newStack(lower)
	after := make([]Inherited, 0, len(before))
	var cost int64
	for _, taken := range before {
		origin, err := stack.nearest(string(taken.Path))
		if err != nil {
			return nil, err
		}
		if cost += inheritedCost(origin); checkCost(cost) != nil {
			return nil, fmt.Errorf("inheriting from lower layers: %w", checkCost(cost))
		}
		after = append(after, inheritedFrom(taken.Path, origin))
	}
	return after, nil
}

// EqualInherited tells whether a layer that takes either has the same tree.
func EqualInherited(a, b []Inherited) bool {
	return slices.EqualFunc(a, b, func(a, b Inherited) bool {
		return bytes.Equal(a.Path, b.Path) && a.Found == b.Found &&
			a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
			a.Modified.Equal(b.Modified) && a.Accessed.Equal(b.Accessed) &&
			slices.EqualFunc(a.Xattrs, b.Xattrs, func(a, b InheritedXattr) bool {
				return bytes.Equal(a.Name, b.Name) && bytes.Equal(a.Value, b.Value)
			})
	})
}

func inheritedFrom(path []byte, origin *tree.Node) Inherited {
	if origin == nil {
		return Inherited{Path: path}
	}
	taken := Inherited{
		Path:     path,
		Found:    true,
		Mode:     origin.Mode,
		UID:      origin.UID,
		GID:      origin.GID,
		Modified: origin.Mtime.Time(),
		Accessed: origin.Atime.Time(),
	}
	for _, name := range slices.Sorted(maps.Keys(origin.Xattrs)) {
		if inheritable(name) {
			taken.Xattrs = append(taken.Xattrs, InheritedXattr{[]byte(name), []byte(origin.Xattrs[name])})
		}
	}
	return taken
}

// inheritedCost is what the attributes of a directory below need in memory in the layer above, in bytes: many
// directories there may lead to one below.
func inheritedCost(origin *tree.Node) int64 {
	if origin == nil {
		return 0
	}
	var cost int64
	for name, value := range origin.Xattrs {
		if inheritable(name) {
			cost += xattrCost + int64(len(name)) + int64(len(value))
		}
	}
	return cost
}
