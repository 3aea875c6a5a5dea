//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/larder-dev/larder/test/grow/report"
)

const (
	// mountpoint and mountFlags are those of Bottlerocket's local.mount.
	mountpoint = "/local"
	mountFlags = unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV
	blocks     = "/sys/class/block"
)

// volume is a disk with a data partition.
type volume struct {
	// disk and partition are kernel names: nvme0n1, nvme0n1p1.
	disk, partition string
}

// findVolume waits for the data partition, since the kernel looks for disks while init runs already.
func findVolume() (volume, error) {
	const patience = time.Minute
	deadline := time.After(patience)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		found, err := lookForVolume()
		if found != (volume{}) || err != nil {
			return found, err
		}
		select {
		case <-again.C:
		case <-deadline:
			return volume{}, fmt.Errorf("no partition named %s after %v: the kernel needs NVMe and GPT built in",
				report.DataPartition, patience)
		}
	}
}

func lookForVolume() (volume, error) {
	events, err := filepath.Glob(filepath.Join(blocks, "*/uevent"))
	if err != nil {
		return volume{}, fmt.Errorf("listing block devices: %w", err)
	}
	for _, event := range events {
		properties, err := os.ReadFile(event)
		if err != nil || !bytes.Contains(properties, []byte("PARTNAME="+report.DataPartition+"\n")) {
			continue // a device may go away while it is looked at
		}
		directory, err := filepath.EvalSymlinks(filepath.Dir(event))
		if err != nil {
			return volume{}, fmt.Errorf("finding the partition's disk: %w", err)
		}
		return volume{disk: filepath.Base(filepath.Dir(directory)), partition: filepath.Base(directory)}, nil
	}
	return volume{}, nil
}

func (v volume) mount() error {
	if err := unix.Mount("/dev/"+v.partition, mountpoint, "ext4", mountFlags, ""); err != nil {
		return fmt.Errorf("mounting the data partition: %w", err)
	}
	return nil
}

func unmount() error {
	if err := unix.Unmount(mountpoint, 0); err != nil {
		return fmt.Errorf("unmounting the data partition: %w", err)
	}
	return nil
}

func filesystem() (report.Filesystem, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(mountpoint, &stat); err != nil {
		return report.Filesystem{}, fmt.Errorf("asking for the filesystem's size: %w", err)
	}
	return report.Filesystem{Bytes: int64(stat.Blocks) * stat.Bsize, Inodes: int64(stat.Files)}, nil
}
