package main

import (
	"context"
	"strings"

	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/volume"
)

// isSnapshot takes "snap-…" for a snapshot's id; a file of such a name can be given as ./snap-….
func isSnapshot(name string) bool { return strings.HasPrefix(name, "snap-") }

// openDisk opens a snapshot or a raw disk file, or the block device that such a file was written to.
func openDisk(ctx context.Context, name string) (disk volume.RawDisk, closeDisk func(), err error) {
	if isSnapshot(name) {
		configuration, err := aws.Load(ctx)
		if err != nil {
			return nil, nil, err
		}
		snapshot, err := ebs.New(configuration, ebs.Options{}).Open(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		return snapshot, func() {}, nil
	}
	file, err := volume.OpenFile(name)
	if err != nil {
		return nil, nil, err
	}
	return file, func() { _ = file.Close() }, nil // it was only read
}
