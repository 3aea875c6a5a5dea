//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/grow/report"
)

const (
	repart = "/usr/bin/systemd-repart"
	growfs = "/lib/systemd/systemd-growfs"
)

// grow does what Bottlerocket's repart-local.service does once the volume is mounted: the partition grows to the
// disk, then the filesystem to the partition; firstStep, if any, comes between.
func (v volume) grow(firstStep int64) ([]report.Growth, error) {
	if err := linkDevices(); err != nil {
		return nil, err
	}
	if err := execute(repart, "--dry-run=no", "/dev/"+v.partition); err != nil {
		return nil, err
	}
	var growths []report.Growth
	if firstStep != 0 {
		growth, err := v.measure(func() error { return resize(firstStep) })
		if err != nil {
			return nil, err
		}
		growths = append(growths, growth)
	}
	growth, err := v.measure(func() error { return execute(growfs, mountpoint) })
	if err != nil {
		return nil, err
	}
	return append(growths, growth), nil
}

// measure runs one step and returns what became of the filesystem and what it cost.
func (v volume) measure(step func() error) (report.Growth, error) {
	before, err := v.written()
	if err != nil {
		return report.Growth{}, err
	}
	start := time.Now()
	if err := step(); err != nil {
		return report.Growth{}, err
	}
	seconds := time.Since(start).Seconds()
	unix.Sync()
	after, err := v.written()
	if err != nil {
		return report.Growth{}, err
	}
	size, err := filesystem()
	if err != nil {
		return report.Growth{}, err
	}
	return report.Growth{Filesystem: size, Seconds: seconds, Written: after - before}, nil
}

// written returns how many bytes the kernel has written to the disk.
func (v volume) written() (int64, error) {
	stat, err := os.ReadFile(filepath.Join(blocks, v.disk, "stat"))
	if err != nil {
		return 0, fmt.Errorf("reading the disk's counters: %w", err)
	}
	const sectorsWritten, sectorSize = 6, 512 // Documentation/block/stat.rst
	fields := strings.Fields(string(stat))
	if len(fields) <= sectorsWritten {
		return 0, fmt.Errorf("reading the disk's counters: %q has too few", stat)
	}
	sectors, err := strconv.ParseInt(fields[sectorsWritten], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the disk's counters: %w", err)
	}
	return sectors * sectorSize, nil
}

// resize is systemd-growfs for a size that is not the partition's.
func resize(bytes int64) error {
	root, err := os.Open(mountpoint)
	if err != nil {
		return fmt.Errorf("opening the filesystem: %w", err)
	}
	defer root.Close()
	const (
		resizeFS  = 0x40086610 // EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64), fs/ext4/ext4.h
		blockSize = 4096
	)
	count := uint64(bytes / blockSize)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), resizeFS, uintptr(unsafe.Pointer(&count))); errno != 0 {
		return fmt.Errorf("growing the filesystem to %d blocks: %w", count, errno)
	}
	return nil
}

// linkDevices does udev's part: systemd opens devices by their numbers.
func linkDevices() error {
	devices, err := os.ReadDir(blocks)
	if err != nil {
		return fmt.Errorf("listing block devices: %w", err)
	}
	if err := os.MkdirAll("/dev/block", 0o755); err != nil {
		return fmt.Errorf("linking block devices: %w", err)
	}
	for _, device := range devices {
		numbers, err := os.ReadFile(filepath.Join(blocks, device.Name(), "dev"))
		if err != nil {
			return fmt.Errorf("linking block devices: %w", err)
		}
		link := filepath.Join("/dev/block", strings.TrimSpace(string(numbers)))
		if err := os.Symlink("../"+device.Name(), link); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("linking block devices: %w", err)
		}
	}
	return nil
}

func execute(path string, arguments ...string) error {
	command := exec.Command(path, arguments...)
	output, err := command.CombinedOutput()
	fmt.Printf("%s", output) // to the console
	if err != nil {
		return fmt.Errorf("running %s: %w: %s", command, err, output)
	}
	return nil
}
