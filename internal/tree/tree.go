// Package tree is a file tree in memory: names, inodes, and where on a volume each file's bytes are.
//
// It is what the layer reader produces and the filesystem writer consumes; neither knows the other.
package tree

import (
	"slices"
	"time"
)

// File types, the S_IFMT part of Node.Mode, as in Linux's <sys/stat.h> and in an ext4 inode.
const (
	TypeMask      = 0o170000
	TypeFIFO      = 0o010000
	TypeCharDev   = 0o020000
	TypeDirectory = 0o040000
	TypeBlockDev  = 0o060000
	TypeRegular   = 0o100000
	TypeSymlink   = 0o120000
)

// Node is one inode. Two names that lead to the same *Node are hard links.
//
// There may be millions: it has 80 bytes, and what few nodes need is behind a pointer.
type Node struct {
	// Mode is st_mode: one of the file types above and the twelve permission bits.
	Mode uint32
	// UID and GID are the numeric owner and group, all 32 bits.
	UID, GID uint32
	// Links is the number of names of a node that is not a directory.
	Links uint32
	// Mtime and Atime are when the content was changed and read last.
	Mtime, Atime Time
	// Xattrs maps full names ("security.capability") to raw values.
	Xattrs map[string]string
	// Size is a regular file's length in bytes.
	Size int64
	// Extents says where a regular file's bytes are: together they hold Size rounded up to whole 4 KiB blocks.
	Extents Extents
	// Children is nil for everything but directories.
	Children map[string]*Node
	// Special is nil for everything but symbolic links and devices other than 0:0.
	Special *Special
}

// Special is what only symbolic links and device nodes have.
type Special struct {
	// Target is a symbolic link's target.
	Target string
	// Major and Minor are a device node's numbers.
	Major, Minor uint32
}

// NewDirectory returns an empty directory with the given permission bits, owned by root.
func NewDirectory(permissions uint32, modified time.Time) *Node {
	return &Node{
		Mode:     TypeDirectory | permissions,
		Mtime:    NewTime(modified),
		Atime:    NewTime(modified),
		Children: map[string]*Node{},
	}
}

// Type returns the S_IFMT part of the mode.
func (n *Node) Type() uint32 { return n.Mode & TypeMask }

// IsDirectory tells whether the node can have children.
func (n *Node) IsDirectory() bool { return n.Type() == TypeDirectory }

// Target returns a symbolic link's target, which is empty for everything else.
func (n *Node) Target() string {
	if n.Special == nil {
		return ""
	}
	return n.Special.Target
}

// Device returns a device node's numbers, which are zero for everything else.
func (n *Node) Device() (major, minor uint32) {
	if n.Special == nil {
		return 0, 0
	}
	return n.Special.Major, n.Special.Minor
}

// SetDevice sets a device node's numbers.
func (n *Node) SetDevice(major, minor uint32) {
	n.Special = nil
	if major != 0 || minor != 0 {
		n.Special = &Special{Major: major, Minor: minor}
	}
}

// Names returns the names of a directory's children in byte order.
func (n *Node) Names() []string {
	names := make([]string, 0, len(n.Children))
	for name := range n.Children {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
