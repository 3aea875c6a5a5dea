//go:build linux

package grow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/larder-dev/larder/test/grow/report"
)

const sectorSize = 512

// CopyDisk makes a disk of size bytes out of a smaller one, as EBS makes a volume out of a snapshot: the backup
// partition table stays where the smaller one ended.
func CopyDisk(ctx context.Context, from, to string, size int64) error {
	if _, err := output(ctx, "cp", "--sparse=always", from, to); err != nil {
		return fmt.Errorf("copying the disk: %w", err)
	}
	if err := os.Truncate(to, size); err != nil {
		return fmt.Errorf("enlarging the disk: %w", err)
	}
	return nil
}

// Partition is where a disk file's data partition is, in bytes.
type Partition struct {
	File         string
	Offset, Size int64
}

// FindPartition finds the data partition by its name; libblkid verifies the table's checksums.
func FindPartition(ctx context.Context, file string) (Partition, error) {
	table, err := output(ctx, "partx", "--raw", "--noheadings", "--output", "START,SECTORS,NAME", file)
	if err != nil {
		return Partition{}, fmt.Errorf("reading the partition table: %w", err)
	}
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != report.DataPartition {
			continue
		}
		start, startErr := strconv.ParseInt(fields[0], 10, 64)
		sectors, sectorsErr := strconv.ParseInt(fields[1], 10, 64)
		if err := errors.Join(startErr, sectorsErr); err != nil {
			return Partition{}, fmt.Errorf("reading the partition table: %w", err)
		}
		return Partition{File: file, Offset: start * sectorSize, Size: sectors * sectorSize}, nil
	}
	return Partition{}, fmt.Errorf("%s has no partition named %s: partx lists %q", file, report.DataPartition, table)
}

// spec is how e2fsprogs name a filesystem within a file.
func (p Partition) spec() string { return p.File + "?offset=" + strconv.FormatInt(p.Offset, 10) }

// CheckFilesystem has e2fsck read all of the filesystem; what it would mend is an error.
func (p Partition) CheckFilesystem(ctx context.Context) error {
	said, err := output(ctx, "e2fsck", "-f", "-n", p.spec())
	if err != nil {
		return fmt.Errorf("checking the filesystem: %w\n%s", err, said)
	}
	return nil
}

// Superblock returns what dumpe2fs says of the filesystem, by its labels ("Filesystem features").
func (p Partition) Superblock(ctx context.Context) (map[string]string, error) {
	said, err := output(ctx, "dumpe2fs", "-h", p.spec())
	if err != nil {
		return nil, fmt.Errorf("reading the superblock: %w", err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(said) {
		if label, value, found := strings.Cut(line, ":"); found {
			fields[label] = strings.TrimSpace(value)
		}
	}
	return fields, nil
}

// packages has where commands come from that not every system has.
var packages = map[string]string{"e2fsck": "e2fsprogs", "dumpe2fs": "e2fsprogs", "partx": "util-linux", "cp": "coreutils"}

// output runs a command and returns its standard output, also beside an error.
func output(ctx context.Context, name string, arguments ...string) (string, error) {
	if _, err := exec.LookPath(name); err != nil {
		return "", fmt.Errorf("%w: install the package %s", err, packages[name])
	}
	command := exec.CommandContext(ctx, name, arguments...)
	var stderr strings.Builder
	command.Stderr = &stderr
	said, err := command.Output()
	if err != nil {
		return string(said), fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(said), nil
}
