package layer

import (
	"archive/tar"
	"encoding/binary"
	"testing"
)

type aclEntry struct {
	tag, permissions uint16
	id               uint32
}

func acl(entries ...aclEntry) string {
	value := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range entries {
		value = binary.LittleEndian.AppendUint16(value, e.tag)
		value = binary.LittleEndian.AppendUint16(value, e.permissions)
		value = binary.LittleEndian.AppendUint32(value, e.id)
	}
	return string(value)
}

const noID = 0xffffffff

func TestModeChangesTheACL(t *testing.T) {
	named := aclEntry{0x02, 7, 1000}
	group := aclEntry{0x04, 5, noID}
	cases := map[string]struct {
		reason     string
		node       entry
		acl, wants string
	}{
		"with a mask": {
			reason: "the group bits of the mode are the mask, the group's own permissions stay",
			node:   file("f", ""),
			acl:    acl(aclEntry{0x01, 7, noID}, named, group, aclEntry{0x10, 7, noID}, aclEntry{0x20, 7, noID}),
			wants:  acl(aclEntry{0x01, 6, noID}, named, group, aclEntry{0x10, 4, noID}, aclEntry{0x20, 0, noID}),
		},
		"no more than a mode": {
			reason: "the kernel keeps it in the mode alone",
			node:   file("f", ""),
			acl:    acl(aclEntry{0x01, 7, noID}, group, aclEntry{0x20, 7, noID}),
		},
		"on a symbolic link": {
			reason: "links have no ACL",
			node:   symlink("f", "x"),
			acl:    acl(named),
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := c.node.xattr(aclAccess, c.acl).with(func(h *tar.Header) { h.Mode = 0o640 })
			diff, _ := mustRead(t, true, e)
			if got := diff.Root().Children["f"].Xattrs[aclAccess]; got != c.wants {
				t.Errorf("%s: got %x, want %x", c.reason, got, c.wants)
			}
		})
	}
}

func TestDefaultACLIsKeptAsItIs(t *testing.T) {
	value := acl(aclEntry{0x01, 7, noID}, aclEntry{0x04, 5, noID}, aclEntry{0x20, 0, noID})
	diff, _ := mustRead(t, true, directory("d", 0o755).xattr(aclDefault, value), file("d/f", ""))
	if got := diff.Root().Children["d"].Xattrs[aclDefault]; got != value {
		t.Errorf("got %x, want %x", got, value)
	}
	if got := diff.Root().Children["d"].Children["f"].Xattrs; got != nil {
		t.Errorf("a file in the directory has attributes that the tar does not give it: %v", got)
	}
}
