package layer

import (
	"encoding/binary"
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// The form that getxattr gives and tars carry (linux/posix_acl_xattr.h): a version, then entries of a tag,
// permissions and an id.
const (
	aclVersion   = 2
	aclHeader    = 4
	aclEntrySize = 8

	aclOwner = 0x01
	aclUser  = 0x02
	aclGroup = 0x08
	aclMask  = 0x10
	aclOther = 0x20
)

// applyModeToACL does what the kernel's chmod does to an access ACL (fs/posix_acl.c, posix_acl_chmod): the
// mode's group bits are the mask, if there is one. An ACL that says no more than a mode is not kept.
func applyModeToACL(node *tree.Node) error {
	value, found := node.Xattrs[aclAccess]
	if !found {
		return nil
	}
	acl := []byte(value)
	if len(acl) < aclHeader || (len(acl)-aclHeader)%aclEntrySize != 0 || binary.LittleEndian.Uint32(acl) != aclVersion {
		return fmt.Errorf("the extended attribute %s is not an access control list", aclAccess)
	}
	extended := false
	for entry := acl[aclHeader:]; len(entry) > 0; entry = entry[aclEntrySize:] {
		bits := uint16(node.Mode)
		switch binary.LittleEndian.Uint16(entry) {
		case aclOwner:
			bits >>= 6
		case aclMask:
			bits >>= 3
			extended = true
		case aclOther:
		case aclUser, aclGroup:
			extended = true
			continue
		default:
			continue
		}
		binary.LittleEndian.PutUint16(entry[2:], bits&0o7)
	}
	if !extended {
		delete(node.Xattrs, aclAccess)
		return nil
	}
	node.Xattrs[aclAccess] = string(acl)
	return nil
}
