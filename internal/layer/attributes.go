package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// The kernel's limits: a device's numbers have 12 and 20 bits (linux/kdev_t.h and the 32-bit dev_t of
// mknod), an extended attribute has a name of 255 and a value of 65,536 bytes (linux/limits.h).
const (
	maxMajor      = 1<<12 - 1
	maxMinor      = 1<<20 - 1
	maxXattrName  = 255
	maxXattrValue = 64 << 10
)

// permissions are the twelve bits of a mode that an entry sets.
const permissions = 0o7777

// paxXattr precedes an attribute's name in a PAX record's key.
const paxXattr = "SCHILY.xattr."

// selinux is a file's label, which a volume sets for all its files.
const selinux = "security.selinux"

// capability is dropped by the kernel whenever a file changes hands.
const capability = "security.capability"

var (
	minTime = time.Unix(0, 0).UTC()
	maxTime = time.Unix(0, math.MaxInt64).UTC()
)

func boundTime(t time.Time) tree.Time {
	if t.Before(minTime) || t.After(maxTime) {
		t = minTime
	}
	return tree.NewTime(t)
}

func modTime(header *tar.Header) tree.Time { return boundTime(header.ModTime) }

func accessTime(header *tar.Header) tree.Time {
	if header.AccessTime.Before(header.ModTime) {
		return modTime(header)
	}
	return boundTime(header.AccessTime)
}

// setAttributes does what chown, setxattr, chmod and utimes would, in that order.
func (a *applier) setAttributes(node *tree.Node, header *tar.Header) error {
	uid, err := owner("uid", header.Uid)
	if err != nil {
		return err
	}
	gid, err := owner("gid", header.Gid)
	if err != nil {
		return err
	}
	node.UID, node.GID = uid, gid
	if !node.IsDirectory() {
		delete(node.Xattrs, capability)
	}
	if err := setXattrs(node, header.PAXRecords); err != nil {
		return err
	}
	if err := setACLs(node, header); err != nil {
		return err
	}
	a.noteACLs(node, header)
	node.Mode = node.Type() | uint32(header.Mode)&permissions
	if node.Type() == tree.TypeSymlink {
		node.Mode = tree.TypeSymlink | 0o777
	}
	node.Mtime, node.Atime = modTime(header), accessTime(header)
	applyModeToACL(node)
	return nil
}

// owner refuses -1 as well: chown would leave the owner as it is.
func owner(kind string, id int) (uint32, error) {
	if id < 0 || id >= math.MaxUint32 {
		return 0, fmt.Errorf("%s %d is out of range: Linux has 0 to %d", kind, id, uint32(math.MaxUint32-1))
	}
	return uint32(id), nil
}

func setXattrs(node *tree.Node, records map[string]string) error {
	for key, value := range records {
		name, found := strings.CutPrefix(key, paxXattr)
		if !found {
			continue
		}
		keep, err := keepsXattr(node, name)
		if err != nil {
			return err
		}
		if !keep {
			continue
		}
		if err := checkXattr(name, value); err != nil {
			return err
		}
		if node.Xattrs == nil {
			node.Xattrs = map[string]string{}
		}
		node.Xattrs[strings.Clone(name)] = strings.Clone(value)
	}
	return nil
}

func checkXattr(name, value string) error {
	if len(name) > maxXattrName || len(value) > maxXattrValue {
		return fmt.Errorf("the extended attribute %.300q has %d bytes: Linux allows names of %d and values of %d bytes",
			name, len(value), maxXattrName, maxXattrValue)
	}
	return nil
}

// keepsXattr tells whether containerd could set the attribute and Larder wants it.
func keepsXattr(node *tree.Node, name string) (bool, error) {
	namespace, rest, _ := strings.Cut(name, ".")
	switch namespace {
	case "user":
		if node.Type() != tree.TypeRegular && node.Type() != tree.TypeDirectory {
			return false, nil
		}
	case "security":
		if name == selinux {
			return false, nil
		}
	default: // "system" has access control lists alone, which setACLs sets
		return false, nil
	}
	if rest == "" || strings.ContainsRune(name, 0) {
		return false, fmt.Errorf("the extended attribute %q has no valid name", name)
	}
	return true, nil
}

func checkTarget(target string) error {
	switch {
	case target == "":
		return errors.New("the symbolic link has no target")
	case len(target) > maxPath:
		return fmt.Errorf("the symbolic link's target of %d bytes is longer than the %d bytes that Linux allows", len(target), maxPath)
	case strings.ContainsRune(target, 0):
		return errors.New("the symbolic link's target holds a NUL byte")
	}
	return nil
}

func newDevice(fileType uint32, header *tar.Header) (*tree.Node, error) {
	if header.Devmajor < 0 || header.Devmajor > maxMajor || header.Devminor < 0 || header.Devminor > maxMinor {
		return nil, fmt.Errorf("the device number %d:%d is out of range: Linux has up to %d:%d",
			header.Devmajor, header.Devminor, maxMajor, maxMinor)
	}
	node := &tree.Node{Mode: fileType}
	node.SetDevice(uint32(header.Devmajor), uint32(header.Devminor))
	return node, nil
}
