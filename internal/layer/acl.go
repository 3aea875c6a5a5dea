package layer

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// The form that getxattr gives and tars carry (linux/posix_acl_xattr.h): a version, then entries of a tag,
// permissions and an id. Tags are bits in the order in which a list has its entries.
const (
	aclVersion   = 2
	aclHeader    = 4
	aclEntrySize = 8
	aclNoID      = 0xFFFFFFFF

	aclOwner      = 0x01
	aclNamedUser  = 0x02
	aclGroup      = 0x04
	aclNamedGroup = 0x08
	aclMask       = 0x10
	aclOther      = 0x20

	aclNamed    = aclNamedUser | aclNamedGroup
	aclRequired = aclOwner | aclGroup | aclOther
)

var errACL = errors.New("is not an access control list that Linux takes")

// aclOf returns what an entry says about one of a node's lists. The kernel does not support other versions, so
// containerd drops those.
func aclOf(header *tar.Header, name string) (value string, found bool) {
	value, found = header.PAXRecords[paxXattr+name]
	if len(value) >= aclHeader && binary.LittleEndian.Uint32([]byte(value)) != aclVersion {
		return "", false
	}
	return value, found
}

// setACLs does what setxattr would with an entry's lists: an empty one removes what the node has.
// Symbolic links have none.
func setACLs(node *tree.Node, header *tar.Header) error {
	for _, name := range []string{aclAccess, aclDefault} {
		value, found := aclOf(header, name)
		if !found || node.Type() == tree.TypeSymlink {
			continue
		}
		if err := checkXattr(name, value); err != nil {
			return err
		}
		list, err := canonicalACL(value)
		if err != nil {
			return fmt.Errorf("the extended attribute %s %w", name, err)
		}
		if name == aclDefault && list != "" && !node.IsDirectory() {
			return fmt.Errorf("the extended attribute %s is for directories only", name)
		}
		putXattr(node, name, list)
	}
	return nil
}

// canonicalACL checks a list (fs/posix_acl.c, posix_acl_valid) and returns it as getxattr would, empty if it
// has no entries.
func canonicalACL(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	list := []byte(value)
	if len(list) < aclHeader || (len(list)-aclHeader)%aclEntrySize != 0 {
		return "", errACL
	}
	if len(list) == aclHeader {
		return "", nil
	}
	var last, seen uint16
	for entry := list[aclHeader:]; len(entry) > 0; entry = entry[aclEntrySize:] {
		tag, named := binary.LittleEndian.Uint16(entry), false
		switch tag {
		case aclNamedUser, aclNamedGroup:
			named = true
		case aclOwner, aclGroup, aclMask, aclOther:
		default:
			return "", errACL
		}
		if tag < last || tag == last && !named || binary.LittleEndian.Uint16(entry[2:]) > 0o7 {
			return "", errACL
		}
		if named && binary.LittleEndian.Uint32(entry[4:]) == aclNoID {
			return "", errACL
		}
		if !named {
			binary.LittleEndian.PutUint32(entry[4:], aclNoID)
		}
		last, seen = tag, seen|tag
	}
	if seen&aclRequired != aclRequired || seen&aclNamed != 0 && seen&aclMask == 0 {
		return "", errACL
	}
	return string(list), nil
}

// inheritACLs does what creating a node in a directory with a default list does (fs/posix_acl.c,
// posix_acl_create), apart from the mode, which applyModeToACL brings in: containerd always calls chmod with the
// mode that it created the node with, and that leaves nothing of what the creation made of it. With a default
// list no umask applies.
func inheritACLs(node *tree.Node, list string) {
	if list == "" || node.Type() == tree.TypeSymlink {
		return
	}
	putXattr(node, aclAccess, list)
	if node.IsDirectory() {
		putXattr(node, aclDefault, list)
	}
}

// applyModeToACL does what the kernel's chmod does to an access list (fs/posix_acl.c, posix_acl_chmod): the
// mode's group bits are the mask, if there is one. A list without a mask says no more than a mode and is not
// kept.
func applyModeToACL(node *tree.Node) {
	value, found := node.Xattrs[aclAccess]
	if !found {
		return
	}
	list, masked := []byte(value), false
	for entry := list[aclHeader:]; len(entry) > 0; entry = entry[aclEntrySize:] {
		bits := uint16(node.Mode)
		switch binary.LittleEndian.Uint16(entry) {
		case aclOwner:
			bits >>= 6
		case aclMask:
			bits >>= 3
			masked = true
		case aclOther:
		default:
			continue
		}
		binary.LittleEndian.PutUint16(entry[2:], bits&0o7)
	}
	if !masked {
		list = nil
	}
	putXattr(node, aclAccess, string(list))
}

// putXattr sets an attribute, or removes it if the value is empty.
func putXattr(node *tree.Node, name, value string) {
	if value == "" {
		delete(node.Xattrs, name)
		return
	}
	if node.Xattrs == nil {
		node.Xattrs = map[string]string{}
	}
	node.Xattrs[name] = value
}
