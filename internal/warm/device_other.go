//go:build !linux

package warm

import (
	"errors"
	"os"
)

func openDirect(path string) (*os.File, error) { return os.Open(path) }

// DeviceOf returns the block device that holds the filesystem of an open file, on Linux.
func DeviceOf(*os.File) (string, error) {
	return "", errors.New("finding a filesystem's device: that is possible on Linux only")
}
