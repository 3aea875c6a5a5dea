package ext4

import (
	"fmt"

	"github.com/larder-dev/larder/internal/tree"
)

const (
	// BlockSize is the filesystem's block size in bytes.
	BlockSize = 4096
	// ChunkSize is the unit in which a filesystem is written, in bytes: a block of an EBS snapshot (EBS direct
	// APIs, GetSnapshotBlock).
	ChunkSize = 512 << 10

	blocksPerChunk = ChunkSize / BlockSize
	blocksPerGroup = 8 * BlockSize
	chunksPerGroup = blocksPerGroup / blocksPerChunk
	groupsPerFlex  = 1 << logGroupsPerFlex
	// logGroupsPerFlex is mke2fs's default. It must never be 31, which kernels read as "no flex groups".
	logGroupsPerFlex = 4

	inodeSize        = 256
	inodesPerGroup   = 8192
	inodesPerChunk   = ChunkSize / inodeSize
	inodeTableBlocks = inodesPerGroup * inodeSize / BlockSize

	descriptorSize           = 32
	descriptorsPerBlock      = BlockSize / descriptorSize
	reservedDescriptorBlocks = 1024
	// windowBlocks hold one superblock, the descriptors and the reserved descriptor blocks. It is a constant,
	// so that what follows does not move when the number of descriptor blocks changes.
	windowBlocks        = 9 * blocksPerChunk
	maxDescriptorBlocks = windowBlocks - 1 - reservedDescriptorBlocks

	// bitmapBlocks is the chunk in front of a flex group's inode tables: sixteen block bitmaps, sixteen inode
	// bitmaps and, in the first, the block that lists the reserved descriptor blocks.
	bitmapBlocks     = blocksPerChunk
	flexBlocks       = bitmapBlocks + groupsPerFlex*inodeTableBlocks
	resizeIndexBlock = windowBlocks + 2*groupsPerFlex

	// journalBlocks are 256 MiB. A journal cannot grow online, and one of zeros costs nothing to store.
	journalBlocks = 65536
	journalStart  = windowBlocks + flexBlocks

	minimumSize = 1 << 30
	// shortestLastGroup is the least that a last group must have to be worth it: a window, bitmaps and one
	// inode table fit. A shorter rest is left out of the filesystem, as mke2fs does, until it grows.
	shortestLastGroup = 2048
)

// geometry is what depends on the size: how much of everything there is, but not where.
type geometry struct {
	blocks, groups uint32
}

func newGeometry(size int64) (geometry, error) {
	if size < minimumSize {
		return geometry{}, &TooSmall{Need: minimumSize, Have: size}
	}
	if size%ChunkSize != 0 {
		return geometry{}, fmt.Errorf("filesystem size %d is not a multiple of %d bytes", size, ChunkSize)
	}
	const largest = maxDescriptorBlocks * descriptorsPerBlock * blocksPerGroup * BlockSize
	if size > largest {
		return geometry{}, fmt.Errorf("a filesystem of %d GiB is too large: at most %d GiB can be written", size/gibibyte, int64(largest/gibibyte))
	}
	blocks := uint32(size / BlockSize)
	if rest := blocks % blocksPerGroup; rest < shortestLastGroup {
		blocks -= rest
	}
	return geometry{blocks: blocks, groups: (blocks + blocksPerGroup - 1) / blocksPerGroup}, nil
}

// Capacity returns how many bytes (in whole chunks) and inodes a filesystem of the given size in bytes has for
// regions. The errors are those of NewWriter about the size.
func Capacity(size int64) (bytes, inodes int64, err error) {
	g, err := newGeometry(size)
	if err != nil {
		return 0, 0, err
	}
	chunks, inodeChunks := pool{free: g.freeChunks()}, pool{free: g.freeInodeChunks()}
	return chunks.available() * ChunkSize, inodeChunks.available() * inodesPerChunk, nil
}

func (g geometry) descriptorBlocks() uint32 {
	return (g.groups + descriptorsPerBlock - 1) / descriptorsPerBlock
}

// windowUsed is how many blocks of every window are in use.
func (g geometry) windowUsed() uint32 { return 1 + g.descriptorBlocks() + reservedDescriptorBlocks }

// overhead is how many blocks are the filesystem's own, as statfs leaves them out (Linux fs/ext4/super.c,
// ext4_calculate_overhead).
func (g geometry) overhead() uint32 {
	blocks := journalBlocks + g.groups*(2+inodeTableBlocks)
	for group := range g.groups {
		if hasSuperblock(group) {
			blocks += g.windowUsed()
		}
	}
	return blocks
}

// backupGroups are the groups with a copy of the superblock, without group 0.
func (g geometry) backupGroups() []uint32 {
	var groups []uint32
	for group := uint32(1); group < g.groups; group++ {
		if hasSuperblock(group) {
			groups = append(groups, group)
		}
	}
	return groups
}

// flexGroups returns the number of flex groups, the last one perhaps short.
func (g geometry) flexGroups() uint32 { return (g.groups + groupsPerFlex - 1) / groupsPerFlex }

// groupsOfFlex returns the first group of a flex group and the group after its last.
func (g geometry) groupsOfFlex(flex uint32) (first, end uint32) {
	return flex * groupsPerFlex, min((flex+1)*groupsPerFlex, g.groups)
}

// freeChunks are the chunks that regions may have: all but windows, flex group metadata and the journal.
func (g geometry) freeChunks() []span {
	fixed := pool{free: []span{{Start: 0, Count: g.blocks / blocksPerChunk}}}
	for group := range g.groups {
		if hasSuperblock(group) {
			fixed.remove(span{Start: group * chunksPerGroup, Count: windowBlocks / blocksPerChunk})
		}
		if group%groupsPerFlex == 0 {
			fixed.remove(span{Start: flexStart(group/groupsPerFlex) / blocksPerChunk, Count: flexBlocks / blocksPerChunk})
		}
	}
	for _, extent := range journalExtents() {
		fixed.remove(span{Start: extent.Start / blocksPerChunk, Count: extent.Count / blocksPerChunk})
	}
	return fixed.free
}

// freeInodeChunks are the chunks of inodes that regions may have. The first holds the filesystem's own.
func (g geometry) freeInodeChunks() []span {
	return []span{{Start: 1, Count: g.groups*(inodesPerGroup/inodesPerChunk) - 1}}
}

// hasSuperblock is sparse_super's rule.
func hasSuperblock(group uint32) bool {
	if group <= 1 {
		return true
	}
	for _, base := range []uint32{3, 5, 7} {
		power := base
		for power < group {
			power *= base
		}
		if power == group {
			return true
		}
	}
	return false
}

// flexStart is the first block of a flex group's metadata. Of all flex groups only the first begins with a
// window: the others' first groups are multiples of 16, which are no powers of 3, 5 or 7.
func flexStart(flex uint32) uint32 {
	if flex == 0 {
		return windowBlocks
	}
	return flex * groupsPerFlex * blocksPerGroup
}

func blockBitmap(group uint32) uint32 {
	return flexStart(group/groupsPerFlex) + group%groupsPerFlex
}

func inodeBitmap(group uint32) uint32 { return blockBitmap(group) + groupsPerFlex }

func inodeTable(group uint32) uint32 {
	return flexStart(group/groupsPerFlex) + bitmapBlocks + group%groupsPerFlex*inodeTableBlocks
}

// inodeChunkIndex is the index on the filesystem of the n-th 2,048 inodes.
func inodeChunkIndex(n uint32) int64 {
	const perGroup = inodesPerGroup / inodesPerChunk
	return int64(inodeTable(n/perGroup)/blocksPerChunk + n%perGroup)
}

// journalExtents are the journal's blocks, parted by the windows in their way and by the length of an extent.
func journalExtents() []tree.Extent {
	var extents []tree.Extent
	next, left := uint32(journalStart), uint32(journalBlocks)
	for left > 0 {
		if next%blocksPerGroup == 0 && hasSuperblock(next/blocksPerGroup) {
			next += windowBlocks
		}
		count := min(left, blocksPerGroup-next%blocksPerGroup)
		extents = appendRun(extents, tree.Extent{Start: next, Count: count})
		next += count
		left -= count
	}
	return extents
}
