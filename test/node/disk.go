//go:build linux

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	// PartitionName is the label by which Bottlerocket finds its data partition.
	PartitionName = "BOTTLEROCKET-DATA"
	// ContainerdRoot is where the partition has what a node mounts at /var/lib/containerd.
	ContainerdRoot = "var/lib/containerd"
	// sectorSize in bytes is the unit of partx.
	sectorSize = 512
	// dataMountFlags are those with which Bottlerocket mounts its data partition.
	dataMountFlags = unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV
)

// Disk is a raw disk file whose data partition is mounted.
type Disk struct {
	// Mountpoint is the root directory of the partition's filesystem.
	Mountpoint string

	file     string
	detached bool
}

// AttachDisk checks the filesystem in a disk file's data partition and mounts it, writable, as a node does. At the
// end of the test it is detached, if Detach was not called before.
func AttachDisk(t testing.TB, file string) *Disk {
	t.Helper()
	CheckFilesystem(t, file)
	disk := &Disk{Mountpoint: t.TempDir(), file: file}
	if err := disk.mount(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Detach(t) })
	return disk
}

// ContainerdRoot returns the directory to start a node on.
func (d *Disk) ContainerdRoot() string { return filepath.Join(d.Mountpoint, ContainerdRoot) }

func (d *Disk) mount() error {
	device, err := openPartition(d.file)
	if err != nil {
		return err
	}
	defer device.Close()
	if err := unix.Mount(device.Name(), d.Mountpoint, "ext4", dataMountFlags, ""); err != nil {
		return fmt.Errorf("mounting the data partition of %s: %w", d.file, err)
	}
	return nil
}

// Detach unmounts the disk and checks its filesystem again. A second call does nothing.
func (d *Disk) Detach(t testing.TB) {
	t.Helper()
	if d.detached {
		return
	}
	d.detached = true
	if err := unix.Unmount(d.Mountpoint, 0); err != nil {
		t.Errorf("unmounting the data partition of %s: %v", d.file, err)
		return
	}
	CheckFilesystem(t, d.file)
}

// CheckFilesystem has e2fsck read the data partition of a disk file; whatever it would mend fails the test.
func CheckFilesystem(t testing.TB, file string) {
	t.Helper()
	device, err := openPartition(file)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if output, err := exec.CommandContext(context.Background(), "e2fsck", "-f", "-n", device.Name()).CombinedOutput(); err != nil {
		t.Errorf("e2fsck -fn of the data partition of %s: %v\n%s", file, err, output)
	}
}

// NewEmptyDisk makes a plain filesystem of the given size in bytes, without a partition table, mounts it as a data
// partition is mounted, and returns its mount point: what a node without Larder pulls to.
func NewEmptyDisk(t testing.TB, size int64) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "empty.img")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), "mke2fs", "-q", "-t", "ext4", file).CombinedOutput(); err != nil {
		t.Fatalf("making a filesystem in %s: %v\n%s", file, err, output)
	}
	device, err := openLoop(file, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	mountpoint := t.TempDir()
	if err := unix.Mount(device.Name(), mountpoint, "ext4", dataMountFlags, ""); err != nil {
		t.Fatalf("mounting the filesystem in %s: %v", file, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mountpoint, 0); err != nil {
			t.Errorf("unmounting the filesystem in %s: %v", file, err)
		}
	})
	return mountpoint
}

// openPartition finds the data partition as udev does, by its name in the partition table (whose checksums libblkid
// verifies), and opens a device of exactly its extent.
func openPartition(file string) (*os.File, error) {
	output, err := run("partx", "--raw", "--noheadings", "--output", "START,SECTORS,NAME", file)
	if err != nil {
		return nil, fmt.Errorf("reading the partition table of %s: %w", file, err)
	}
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != PartitionName {
			continue
		}
		start, startErr := strconv.ParseInt(fields[0], 10, 64)
		sectors, sectorsErr := strconv.ParseInt(fields[1], 10, 64)
		if err := errors.Join(startErr, sectorsErr); err != nil {
			return nil, fmt.Errorf("reading the partition table of %s: %w", file, err)
		}
		return openLoop(file, start*sectorSize, sectors*sectorSize)
	}
	return nil, fmt.Errorf("%s has no partition named %s: partx lists %q", file, PartitionName, output)
}

// openLoop attaches an extent of a file, in bytes, to a loop device. The device goes away by itself when it is
// neither open nor mounted any more.
func openLoop(file string, offset, size int64) (*os.File, error) {
	output, err := run("losetup", "--find", "--show",
		"--offset", strconv.FormatInt(offset, 10), "--sizelimit", strconv.FormatInt(size, 10), file)
	if err != nil {
		return nil, fmt.Errorf("attaching %s to a loop device: %w", file, err)
	}
	name := strings.TrimSpace(output)
	device, openErr := os.OpenFile(name, os.O_RDWR, 0)
	if _, err := run("losetup", "--detach", name); err != nil { // when its last user is gone
		openErr = errors.Join(openErr, err)
	}
	if openErr != nil {
		return nil, fmt.Errorf("opening the loop device of %s: %w", file, openErr)
	}
	return device, nil
}

func run(name string, arguments ...string) (string, error) {
	command := exec.CommandContext(context.Background(), name, arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(output), nil
}
