package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"github.com/larder-dev/larder/internal/ext4"
)

// Bottlerocket's data partition: bottlerocket-core-kit, packages/release, and twoliter's partyplanner.
const (
	partitionType  = "626F7474-6C65-6474-6861-726D61726B73"
	partitionGUID  = "5B94E8DF-28B8-485C-9D19-362263B5944C"
	partitionLabel = "BOTTLEROCKET-DATA"
)

const (
	sectorSize = 512
	// tableSignature begins the disk's second sector if it has a GPT (UEFI specification, 5.3.2).
	tableSignature = "EFI PART"
	// partitionStart is where the partition begins, in bytes, and endMargin what it leaves free before the end
	// of the disk, where the backup table is.
	partitionStart = 1 << 20
	endMargin      = 1 << 20
)

// partitionSize returns the bytes between the margins of a disk of size bytes.
func partitionSize(size int64) int64 { return size - partitionStart - endMargin }

// writeEnds writes the first and the last block of a disk with partitions, which hold the partition table and its
// backup, and erases the backup of a parent that was smaller.
func (b *build) writeEnds(ctx context.Context) error {
	if !b.plan.kind.partitioned {
		return nil
	}
	ends, err := newDiskEnds(b.plan.Size, b.plan.lineage.Disk.String())
	if err != nil {
		return err
	}
	if err := b.target.write(ctx, 0, ends.first); err != nil {
		return fmt.Errorf("writing the partition table: %w", err)
	}
	if err := b.target.write(ctx, b.plan.Size/BlockSize-1, ends.last); err != nil {
		return fmt.Errorf("writing the backup partition table: %w", err)
	}
	if b.plan.base == nil {
		return nil
	}
	if former := b.plan.base.layout.Size/BlockSize - 1; !b.target.came(former) {
		if err := b.target.write(ctx, former, zeroBlock[:]); err != nil {
			return fmt.Errorf("erasing the parent's backup partition table: %w", err)
		}
	}
	return nil
}

func newDiskEnds(size int64, diskGUID string) (*diskEnds, error) {
	table := gpt.Table{
		LogicalSectorSize:  sectorSize,
		PhysicalSectorSize: sectorSize,
		GUID:               diskGUID,
		ProtectiveMBR:      true,
		Partitions: []*gpt.Partition{{
			Index: 1,
			Start: partitionStart / sectorSize,
			End:   uint64(partitionStart+partitionSize(size))/sectorSize - 1,
			Size:  uint64(partitionSize(size)),
			Type:  partitionType,
			GUID:  partitionGUID,
			Name:  partitionLabel,
		}},
	}
	ends := &diskEnds{size: size, first: make([]byte, BlockSize), last: make([]byte, BlockSize)}
	if err := table.Write(ends, size); err != nil {
		return nil, fmt.Errorf("making the partition table: %w", err)
	}
	return ends, nil
}

// openFilesystem opens the filesystem on a disk of size bytes, in the data partition where there is a partition
// table, and returns where it is, too.
func openFilesystem(disk io.ReaderAt, size int64) (*ext4.Reader, *io.SectionReader, error) {
	place := io.NewSectionReader(disk, 0, size)
	signature := make([]byte, len(tableSignature))
	if _, err := place.ReadAt(signature, sectorSize); err != nil {
		return nil, nil, fmt.Errorf("looking for a partition table: %w", err)
	}
	if string(signature) == tableSignature {
		var err error
		if place, err = readPartition(disk, size); err != nil {
			return nil, nil, err
		}
	}
	filesystem, err := ext4.Open(place, place.Size())
	if err != nil {
		where := "the data partition"
		if string(signature) != tableSignature {
			where = "a disk without a partition table"
		}
		return nil, nil, fmt.Errorf("opening the filesystem of %s: %w", where, err)
	}
	return filesystem, place, nil
}

// readPartition finds the data partition of a disk of size bytes.
func readPartition(disk io.ReaderAt, size int64) (*io.SectionReader, error) {
	table, err := gpt.Read(&readOnlyDisk{SectionReader: io.NewSectionReader(disk, 0, size)}, sectorSize, sectorSize)
	if err != nil {
		return nil, fmt.Errorf("reading the partition table: %w", err)
	}
	for _, partition := range table.Partitions {
		if partition.Name != partitionLabel {
			continue
		}
		start, end := int64(partition.Start)*sectorSize, int64(partition.End+1)*sectorSize
		if start < partitionStart || end > size || start >= end {
			return nil, fmt.Errorf("reading the partition table: partition %s lies outside of the disk", partitionLabel)
		}
		return io.NewSectionReader(disk, start, end-start), nil
	}
	return nil, fmt.Errorf("reading the partition table: there is no partition named %s", partitionLabel)
}

// diskEnds lets the partition table writer write to a disk's first and last block, where everything it
// writes is.
type diskEnds struct {
	readOnlyDisk
	size        int64
	first, last []byte
}

func (d *diskEnds) WriteAt(data []byte, offset int64) (int, error) {
	block, start := d.first, int64(0)
	if offset >= d.size-BlockSize {
		block, start = d.last, d.size-BlockSize
	}
	if offset-start+int64(len(data)) > BlockSize {
		return 0, fmt.Errorf("%d bytes at %d are outside of the disk's first and last block", len(data), offset)
	}
	return copy(block[offset-start:], data), nil
}

// readOnlyDisk is a disk as the partition table reader wants it.
type readOnlyDisk struct {
	*io.SectionReader
}

func (*readOnlyDisk) Stat() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }
func (*readOnlyDisk) Close() error               { return nil }
