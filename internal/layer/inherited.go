package layer

import (
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// Inherited are the attributes that a directory without an entry in its layer took from below.
type Inherited struct {
	// Path is relative to the layer's root; bytes, since names need not be UTF-8.
	Path     []byte            `json:"path"`
	Mode     uint32            `json:"mode"`
	UID      uint32            `json:"uid"`
	GID      uint32            `json:"gid"`
	Modified time.Time         `json:"modified"`
	Accessed time.Time         `json:"accessed"`
	Xattrs   map[string][]byte `json:"xattrs,omitempty"`
}

// Inherited returns what [Diff.Inherit] took from the layers below, upper directories first. The same layer
// over layers that give it the same is the same tree.
func (d *Diff) Inherited() []Inherited {
	var all []Inherited
	for _, directory := range d.implicit {
		if directory.origin != nil {
			all = append(all, inheritedFrom(directory.path, directory.origin))
		}
	}
	return all
}

func inheritedFrom(path string, origin *tree.Node) Inherited {
	taken := Inherited{
		Path:     []byte(path),
		Mode:     origin.Mode,
		UID:      origin.UID,
		GID:      origin.GID,
		Modified: origin.Mtime.UTC(),
		Accessed: origin.Atime.UTC(),
	}
	for name, value := range origin.Xattrs {
		if !inheritable(name) {
			continue
		}
		if taken.Xattrs == nil {
			taken.Xattrs = map[string][]byte{}
		}
		taken.Xattrs[name] = []byte(value)
	}
	return taken
}
