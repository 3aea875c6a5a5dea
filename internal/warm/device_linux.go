package warm

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func openDirect(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		return os.Open(path) // a file on a filesystem that cannot
	}
	return file, err
}

// DeviceOf returns the block device that holds the filesystem of an open file.
func DeviceOf(file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("finding the device of %s: %w", file.Name(), err)
	}
	number := info.Sys().(*syscall.Stat_t).Dev
	link := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(number), unix.Minor(number))
	name, err := deviceName(filepath.Join(link, "uevent"))
	if err != nil {
		return "", fmt.Errorf("finding the device of %s: %w", file.Name(), err)
	}
	return filepath.Join("/dev", name), nil
}

// deviceName reads the kernel's name of a device from its uevent file.
func deviceName(uevent string) (string, error) {
	file, err := os.Open(uevent)
	if err != nil {
		return "", fmt.Errorf("its filesystem is not on a block device: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, found := strings.CutPrefix(lines.Text(), "DEVNAME="); found {
			return name, nil
		}
	}
	return "", errors.Join(fmt.Errorf("%s has no DEVNAME", uevent), lines.Err())
}
