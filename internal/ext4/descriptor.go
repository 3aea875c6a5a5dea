package ext4

import (
	"math/bits"
	"slices"
)

// groupDescriptor is the 32 bytes of struct ext4_group_desc in Linux's fs/ext4/ext4.h, without the feature 64bit.
type groupDescriptor []byte

// descriptors encodes the group descriptors and adds up what is free.
//
// The feature uninit_bg, which their checksums are for, lets a kernel that grows the filesystem leave the new inode
// tables for later, and e2fsck leave out the unused end of every table. No group has its flags for bitmaps that are
// not there (EXT4_BG_BLOCK_UNINIT, EXT4_BG_INODE_UNINIT): those of sixteen groups are one chunk, which is written
// anyway.
func (w *Writer) descriptors(blocks, inodes bitmap) (table []byte, freeBlocks, freeInodes uint32) {
	table = make([]byte, w.geometry.descriptorBlocks()*BlockSize)
	for group := range w.geometry.groups {
		groupBlocks, groupInodes := unset(blocks.group(group)), unset(inodes.group(group))
		freeBlocks += groupBlocks
		freeInodes += groupInodes
		var directories uint32
		for t := range w.trees() {
			directories += t.Directories[group]
		}
		d := groupDescriptor(table[group*descriptorSize : (group+1)*descriptorSize])
		le.PutUint32(d[0:], blockBitmap(group))
		le.PutUint32(d[4:], inodeBitmap(group))
		le.PutUint32(d[8:], inodeTable(group))
		le.PutUint16(d[12:], uint16(groupBlocks))
		le.PutUint16(d[14:], uint16(groupInodes))
		le.PutUint16(d[16:], uint16(directories))
		le.PutUint16(d[18:], groupInodesZeroed)
		le.PutUint16(d[28:], uint16(unusedEnd(inodes.group(group))))
		d.putChecksum(w.options.UUID, group)
	}
	return table, freeBlocks, freeInodes
}

// unusedEnd returns how many inodes of a group come after the last one in use, by its block of a bitmap of inodes.
func unusedEnd(block []byte) (count int) {
	for _, b := range slices.Backward(block[:inodesPerGroup/8]) {
		count += bits.LeadingZeros8(b)
		if b != 0 {
			break
		}
	}
	return count
}

// putChecksum stores what Linux's ext4_group_desc_csum (fs/ext4/super.c) computes of all that is in front of it.
func (d groupDescriptor) putChecksum(uuid [16]byte, group uint32) {
	const offset = 30
	sum := crc16(allOnes, uuid[:])
	sum = crc16(sum, le.AppendUint32(nil, group))
	le.PutUint16(d[offset:], crc16(sum, d[:offset]))
}

// allOnes is the sum of nothing.
const allOnes = 0xFFFF

// crc16 goes on with a sum by the polynomial x¹⁶+x¹⁵+x²+1, lowest bit first, as Linux's lib/crc16.c does.
func crc16(sum uint16, content []byte) uint16 {
	const polynomial = 0xA001 // its bits in reverse
	for _, b := range content {
		sum ^= uint16(b)
		for range 8 {
			carry := sum & 1
			sum = sum>>1 ^ carry*polynomial
		}
	}
	return sum
}
