package ext4

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	xattrInodeSpace  = inodeSize - 128 - extraInodeSize
	xattrInodeHeader = 4
	xattrBlockHeader = 32
	xattrEntryHeader = 16
	// xattrEnd is the zero word that ends the list of entries.
	xattrEnd = 4

	selinuxXattr = "security.selinux"
)

// xattrNamespace is a prefix that ext4 stores as a number (EXT4_XATTR_INDEX_*).
type xattrNamespace struct {
	index  byte
	prefix string
}

// xattrNamespaces lists whole names before the prefixes that they begin with.
var xattrNamespaces = []xattrNamespace{
	{index: 2, prefix: aclAccess},
	{index: 3, prefix: aclDefault},
	{index: 1, prefix: "user."},
	{index: 4, prefix: "trusted."},
	{index: 6, prefix: "security."},
	{index: 7, prefix: "system."},
}

type xattr struct {
	index       byte
	name, value string
}

func (x xattr) size() int { return xattrEntryHeader + (len(x.name)+3)&^3 + (len(x.value)+3)&^3 }

// encodedXattrs is what follows an inode's fields, and the content of its extra block; nil when not needed.
type encodedXattrs struct {
	inline, block []byte
}

// xattrEncoder turns attributes into ext4's form. A label, unless empty, is the security.selinux attribute, stored
// with the terminating zero that setfilecon writes.
type xattrEncoder struct {
	label string
	// alone is what nearly all inodes have: the label and nothing else.
	alone encodedXattrs
}

func newXattrEncoder(label string) (xattrEncoder, error) {
	if label == "" {
		return xattrEncoder{}, nil
	}
	alone, err := encodeXattrs(nil, label)
	return xattrEncoder{label: label, alone: alone}, err
}

func (e xattrEncoder) encode(attributes map[string]string) (encodedXattrs, error) {
	if len(attributes) == 0 {
		return e.alone, nil
	}
	return encodeXattrs(attributes, e.label)
}

func encodeXattrs(attributes map[string]string, label string) (encodedXattrs, error) {
	list := make([]xattr, 0, len(attributes)+1)
	for name, value := range attributes {
		if name == selinuxXattr && label != "" {
			continue
		}
		x, err := newXattr(name, value)
		if err != nil {
			return encodedXattrs{}, err
		}
		list = append(list, x)
	}
	if label != "" {
		list = append(list, xattr{index: 6, name: strings.TrimPrefix(selinuxXattr, "security."), value: label + "\x00"})
	}
	inline, outside := partXattrs(list)
	var encoded encodedXattrs
	if len(inline) > 0 {
		encoded.inline = make([]byte, xattrInodeSpace)
		le.PutUint32(encoded.inline, xattrMagic)
		// Offsets of values count from the first entry here, and from the block's start in a block.
		putXattrs(encoded.inline, xattrInodeHeader, xattrInodeHeader, inline)
	}
	if len(outside) > 0 {
		size := xattrBlockHeader + xattrEnd
		for _, x := range outside {
			size += x.size()
		}
		if size > BlockSize {
			return encodedXattrs{}, fmt.Errorf("extended attributes take %d bytes besides those in the inode, and only %d fit", size, BlockSize)
		}
		encoded.block = make([]byte, BlockSize)
		le.PutUint32(encoded.block, xattrMagic)
		le.PutUint32(encoded.block[4:], 1) // references
		le.PutUint32(encoded.block[8:], 1) // blocks
		putXattrs(encoded.block, xattrBlockHeader, 0, outside)
		var hash uint32
		for _, x := range outside {
			hash = hash<<16 ^ hash>>16 ^ x.hash()
		}
		le.PutUint32(encoded.block[12:], hash)
	}
	return encoded, nil
}

func newXattr(name, value string) (xattr, error) {
	for _, namespace := range xattrNamespaces {
		suffix, found := strings.CutPrefix(name, namespace.prefix)
		if !found {
			continue
		}
		isACL := namespace.prefix == aclAccess || namespace.prefix == aclDefault
		switch {
		case isACL != (suffix == "") || len(suffix) > maxNameLength:
			return xattr{}, fmt.Errorf("%q cannot be the name of an extended attribute", name)
		case isACL:
			acl, err := encodeACL(value)
			if err != nil {
				return xattr{}, fmt.Errorf("converting %s: %w", name, err)
			}
			value = acl
		}
		return xattr{index: namespace.index, name: suffix, value: value}, nil
	}
	return xattr{}, fmt.Errorf("ext4 has no namespace for the extended attribute %q", name)
}

// partXattrs chooses what goes into the inode, the smallest first, and orders both parts as the kernel
// expects them in a block.
func partXattrs(list []xattr) (inline, outside []xattr) {
	byName := func(a, b xattr) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(len(a.name), len(b.name)), cmp.Compare(a.name, b.name))
	}
	slices.SortFunc(list, func(a, b xattr) int { return cmp.Or(cmp.Compare(a.size(), b.size()), byName(a, b)) })
	left := xattrInodeSpace - xattrInodeHeader - xattrEnd
	for _, x := range list {
		if x.size() <= left {
			left -= x.size()
			inline = append(inline, x)
		} else {
			outside = append(outside, x)
		}
	}
	slices.SortFunc(inline, byName)
	slices.SortFunc(outside, byName)
	return inline, outside
}

// putXattrs writes entries from first on and values from the end backwards; the caller made sure they fit.
func putXattrs(space []byte, first, offsetBase int, list []xattr) {
	entry, value := first, len(space)
	for _, x := range list {
		space[entry], space[entry+1] = byte(len(x.name)), x.index
		if len(x.value) > 0 {
			value -= (len(x.value) + 3) &^ 3
			le.PutUint16(space[entry+2:], uint16(value-offsetBase))
			copy(space[value:], x.value)
		}
		le.PutUint32(space[entry+8:], uint32(len(x.value)))
		le.PutUint32(space[entry+12:], x.hash())
		copy(space[entry+xattrEntryHeader:], x.name)
		entry += xattrEntryHeader + (len(x.name)+3)&^3
	}
}

// hash is the kernel's ext4_xattr_hash_entry.
func (x xattr) hash() uint32 {
	var hash uint32
	for i := range len(x.name) {
		hash = hash<<5 ^ hash>>27 ^ uint32(x.name[i])
	}
	padded := make([]byte, (len(x.value)+3)&^3)
	copy(padded, x.value)
	for ; len(padded) > 0; padded = padded[4:] {
		hash = hash<<16 ^ hash>>16 ^ le.Uint32(padded)
	}
	return hash
}
