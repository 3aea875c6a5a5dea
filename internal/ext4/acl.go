package ext4

import "errors"

const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"

	// The attribute of getxattr has version 2 and an id in every entry (linux/posix_acl_xattr.h); ext4's own
	// form has version 1 and an id only where one has a meaning (fs/ext4/acl.h).
	aclWireVersion   = 2
	aclStoredVersion = 1
	aclHeader        = 4
	aclShortEntry    = 4
	aclLongEntry     = 8
	// aclUndefinedID stands for no id in the attribute.
	aclUndefinedID = 0xFFFFFFFF
)

var errACL = errors.New("the value is not a POSIX access control list")

// aclEntrySize returns the stored size of an entry with this tag, zero for an unknown tag.
func aclEntrySize(tag uint16) int {
	switch tag {
	case 0x02, 0x08: // a named user, a named group
		return aclLongEntry
	case 0x01, 0x04, 0x10, 0x20: // owner, owning group, mask, others
		return aclShortEntry
	}
	return 0
}

func encodeACL(wire string) (string, error) {
	in := []byte(wire)
	if len(in) < aclHeader || (len(in)-aclHeader)%aclLongEntry != 0 || le.Uint32(in) != aclWireVersion {
		return "", errACL
	}
	out := le.AppendUint32(nil, aclStoredVersion)
	for in = in[aclHeader:]; len(in) > 0; in = in[aclLongEntry:] {
		size := aclEntrySize(le.Uint16(in))
		if size == 0 {
			return "", errACL
		}
		out = append(out, in[:size]...)
	}
	return string(out), nil
}

func decodeACL(stored string) (string, error) {
	in := []byte(stored)
	if len(in) < aclHeader || le.Uint32(in) != aclStoredVersion {
		return "", errACL
	}
	out := le.AppendUint32(nil, aclWireVersion)
	for in = in[aclHeader:]; len(in) > 0; {
		if len(in) < aclShortEntry {
			return "", errACL
		}
		size := aclEntrySize(le.Uint16(in))
		if size == 0 || size > len(in) {
			return "", errACL
		}
		out = append(out, in[:size]...)
		if size == aclShortEntry {
			out = le.AppendUint32(out, aclUndefinedID)
		}
		in = in[size:]
	}
	return string(out), nil
}
