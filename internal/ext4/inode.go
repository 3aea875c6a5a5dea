package ext4

import (
	"fmt"
	"time"

	"github.com/larder-dev/larder/internal/tree"
)

// inode is one as it is stored, with numbers in the units of its fields except blocks.
type inode struct {
	mode, uid, gid, links uint32
	size                  int64
	blocks                uint32 // 4 KiB blocks of content, extent tree and attributes
	flags                 uint32
	atime, mtime          tree.Time
	changed               tree.Time // ctime and crtime
	mapping               [mappingSize]byte
	xattrBlock            uint32
	inline                []byte
}

// encode writes the inode into zeros.
func (in *inode) encode(b []byte) {
	le.PutUint16(b[0:], uint16(in.mode))
	le.PutUint16(b[2:], uint16(in.uid))
	le.PutUint32(b[4:], uint32(in.size))
	putTime(b[8:], b[140:], in.atime)
	putTime(b[12:], b[132:], in.changed)
	putTime(b[16:], b[136:], in.mtime)
	le.PutUint16(b[24:], uint16(in.gid))
	le.PutUint16(b[26:], uint16(in.links))
	le.PutUint32(b[28:], uint32(in.sectors()))
	le.PutUint32(b[32:], in.flags)
	copy(b[mappingOffset:], in.mapping[:])
	le.PutUint32(b[104:], in.xattrBlock)
	le.PutUint32(b[108:], uint32(in.size>>32))
	le.PutUint16(b[116:], uint16(in.sectors()>>32))
	le.PutUint16(b[120:], uint16(in.uid>>16))
	le.PutUint16(b[122:], uint16(in.gid>>16))
	le.PutUint16(b[128:], extraInodeSize)
	putTime(b[144:], b[148:], in.changed)
	copy(b[128+extraInodeSize:], in.inline)
}

// sectors is the 512-byte count that st_blocks shows.
func (in *inode) sectors() uint64 { return uint64(in.blocks) * (BlockSize / 512) }

// putTime stores a time as 32 signed bits of seconds, two more bits above them, and 30 bits of nanoseconds.
func putTime(seconds, extra []byte, t tree.Time) {
	s, nanoseconds := t.Unix()
	le.PutUint32(seconds, uint32(s))
	epoch := uint32((s-int64(int32(s)))>>32) & 3
	le.PutUint32(extra, nanoseconds<<2|epoch)
}

func getTime(seconds, extra []byte) tree.Time {
	more := le.Uint32(extra)
	return tree.NewTime(time.Unix(int64(int32(le.Uint32(seconds)))+int64(more&3)<<32, int64(more>>2)))
}

func checkDevice(major, minor uint32) error {
	if major >= 1<<12 || minor >= 1<<20 {
		return fmt.Errorf("the device number %d:%d is larger than Linux's 12 and 20 bits", major, minor)
	}
	return nil
}

// putDevice stores a device number as the kernel does: small ones in the old form, in the first word, others
// in the second.
func putDevice(mapping []byte, major, minor uint32) {
	if major < 256 && minor < 256 {
		le.PutUint32(mapping, major<<8|minor)
	} else {
		le.PutUint32(mapping[4:], minor&0xff|major<<8|(minor&^0xff)<<12)
	}
}

func getDevice(mapping []byte) (major, minor uint32) {
	if old := le.Uint32(mapping); old != 0 {
		return old >> 8 & 0xff, old & 0xff
	}
	device := le.Uint32(mapping[4:])
	return device >> 8 & 0xfff, device&0xff | device>>12&0xfff00
}

// nodeInode fills in what an inode takes straight from its node.
func nodeInode(n *tree.Node, changed tree.Time) *inode {
	return &inode{mode: n.Mode, uid: n.UID, gid: n.GID, atime: n.Atime, mtime: n.Mtime, changed: changed}
}
