package layer

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
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

func TestACLsThatLinuxTakes(t *testing.T) {
	owner, group, mask, other := aclEntry{1, 7, noID}, aclEntry{4, 5, noID}, aclEntry{0x10, 7, noID}, aclEntry{0x20, 0, noID}
	user, named := aclEntry{2, 7, 1000}, aclEntry{8, 7, 1000}
	cases := map[string]struct {
		reason       string
		value, wants string
		refused      bool
	}{
		"all tags":              {reason: "named ones may come more than once", value: acl(owner, user, user, group, named, named, mask, other), wants: acl(owner, user, user, group, named, named, mask, other)},
		"ids without a meaning": {reason: "getxattr does not give them back", value: acl(aclEntry{1, 7, 9}, aclEntry{4, 5, 9}, aclEntry{0x20, 0, 9}), wants: acl(owner, group, other)},
		"nothing":               {reason: "it removes the list that there is", value: ""},
		"no entries":            {reason: "it removes the list that there is", value: acl()},
		"another version":       {reason: "the kernel does not support it, so containerd drops it", value: "\x01\x00\x00\x00", wants: acl(owner, other)},
		"cut in the version":    {reason: "there is no version to tell", value: "\x02\x00", refused: true},
		"cut in an entry":       {reason: "entries are whole", value: acl(owner, group, other) + "x", refused: true},
		"no owner":              {reason: "a mode needs it", value: acl(group, other), refused: true},
		"no group":              {reason: "a mode needs it", value: acl(owner, other), refused: true},
		"no others":             {reason: "a mode needs it", value: acl(owner, group), refused: true},
		"named without a mask":  {reason: "the mode's group bits would have no place", value: acl(owner, user, group, other), refused: true},
		"wrong order":           {reason: "the kernel does not sort", value: acl(user, owner, group, mask, other), refused: true},
		"two masks":             {reason: "one would count", value: acl(owner, group, mask, mask, other), refused: true},
		"an unknown tag":        {reason: "its meaning cannot be guessed", value: acl(owner, group, aclEntry{0x40, 0, noID}, other), refused: true},
		"more than rwx":         {reason: "there are three permissions", value: acl(aclEntry{1, 8, noID}, group, other), refused: true},
		"a user without an id":  {reason: "nobody is -1", value: acl(owner, aclEntry{2, 7, noID}, group, mask, other), refused: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			node := &tree.Node{Mode: tree.TypeDirectory, Xattrs: map[string]string{aclDefault: acl(owner, other)}}
			header := &tar.Header{PAXRecords: map[string]string{"SCHILY.xattr." + aclDefault: c.value}}
			err := setACLs(node, header)
			if refused := errors.Is(err, errACL); refused != c.refused || err != nil && !refused {
				t.Fatalf("%s: got error %v", c.reason, err)
			}
			if got := node.Xattrs[aclDefault]; err == nil && got != c.wants {
				t.Errorf("%s: got %x, want %x", c.reason, got, c.wants)
			}
		})
	}
}
