package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/ctrstore"
	"github.com/larder-dev/larder/internal/ext4"
	"github.com/larder-dev/larder/internal/volume"
)

// Where a volume has its filesystem, and the filesystem containerd's root: docs/volume-format.md.
const (
	partitionStart = 1 * mib
	partitionEnd   = 1 * mib
	containerdRoot = "var/lib/containerd"
)

// Snapshot is a volume that was sent.
type Snapshot struct {
	disk       *ebs.Reader
	filesystem *ext4.Reader
	layers     map[digest.Digest]volume.LayoutLayer
}

// client reaches the AWS double from this process.
func (a *AWSProcess) client(ctx context.Context) (*ebs.Client, error) {
	for _, variable := range a.Environment {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	configuration, err := aws.Load(ctx)
	if err != nil {
		return nil, err
	}
	return ebs.New(configuration, ebs.Options{}), nil
}

// Delete deletes a snapshot, and with it the blocks that no other one has.
func (a *AWSProcess) Delete(ctx context.Context, id string) error {
	client, err := a.client(ctx)
	if err != nil {
		return err
	}
	return client.Delete(ctx, id)
}

// Open reads a snapshot's layout record.
func (a *AWSProcess) Open(ctx context.Context, id string) (*Snapshot, error) {
	client, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{layers: map[digest.Digest]volume.LayoutLayer{}}
	if s.disk, err = client.Open(ctx, id); err != nil {
		return nil, err
	}
	size := s.disk.Size() - partitionStart - partitionEnd
	if s.filesystem, err = ext4.Open(io.NewSectionReader(s.disk, partitionStart, size), size); err != nil {
		return nil, fmt.Errorf("opening snapshot %s: %w", id, err)
	}
	file, err := s.filesystem.Open(volume.LayoutPath)
	if err != nil {
		return nil, fmt.Errorf("opening snapshot %s: %w", id, err)
	}
	var layout volume.Layout
	if err := json.NewDecoder(file).Decode(&layout); err != nil {
		return nil, fmt.Errorf("reading the layout record of snapshot %s: %w", id, err)
	}
	for _, region := range layout.Regions {
		for _, layer := range region.Layers {
			s.layers[layer.Blob] = layer
		}
	}
	return s, nil
}

// ChangedDatabaseBlocks counts the pieces of 512 KiB of containerd's databases that are not as in the parent.
func (s *Snapshot) ChangedDatabaseBlocks(parent *Snapshot) (changed int64, err error) {
	for _, database := range []string{
		path.Join(containerdRoot, ctrstore.MetadataPath),
		path.Join(containerdRoot, path.Dir(ctrstore.SnapshotsPath), "metadata.db"),
	} {
		now, err := s.read(database)
		if err != nil {
			return 0, err
		}
		before, err := parent.read(database)
		if err != nil {
			return 0, err
		}
		for start := 0; start < len(now); start += volume.BlockSize {
			end := min(start+volume.BlockSize, len(now))
			if end > len(before) || !bytes.Equal(now[start:end], before[start:end]) {
				changed++
			}
		}
	}
	return changed, nil
}

func (s *Snapshot) read(name string) ([]byte, error) {
	file, err := s.filesystem.Open(name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(file)
}
