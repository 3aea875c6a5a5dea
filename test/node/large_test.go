//go:build node && large

package node_test

import (
	"archive/tar"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/larder-dev/larder/test/node"
	"github.com/larder-dev/larder/test/registry"
)

// largeDiskSize in bytes has, by mke2fs's default of one inode for 16 KiB, inodes for more than a million files.
const largeDiskSize = 24 << 30

// TestNodeLargeVolumeIsWhatAPullMakes is TestNodeBuiltVolumeIsWhatAPullMakes for what takes minutes: each case alone
// on a volume of its own, with the newest containerd.
func TestNodeLargeVolumeIsWhatAPullMakes(t *testing.T) {
	cases := map[string]struct {
		reason string
		layer  registry.Layer
	}{
		"directory": {"a directory of 100,000 names needs an index", registry.Layer{Write: manyFiles(1, 100_000)}},
		"file":      {"a file above 4 GiB has a size of more than 32 bits", registry.Layer{Write: largeFile}},
		"files":     {"a million files need more inodes than the layer's bytes suggest", registry.Layer{Write: manyFiles(1000, 1000)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := startRegistry(t, registry.Options{})
			above := registry.Layer{Entries: []registry.Entry{
				registry.Whiteout("directory-0000/file-000007"), {Name: "directory-0000/above"},
			}}
			image := []string{push(t, server, "large:v1", registry.Image{Platform: platform, Layers: []registry.Layer{c.layer, above}})}
			started := time.Now()
			file := newUser(t).build(t, image, platform)
			t.Logf("larder build: %s", time.Since(started).Round(time.Second))
			disk := node.AttachDisk(t, file)
			started = time.Now()
			containerd := node.NewestContainerd(t)
			pulled, root := pullTo(t, containerd, node.NewEmptyDisk(t, largeDiskSize), "pause", image) // no pod runs
			pulled.Stop(t)
			t.Logf("pull: %s", time.Since(started).Round(time.Second))
			differences := node.Compare(node.ReadStore(t, root), node.ReadStore(t, disk.ContainerdRoot()))
			node.CheckDifferences(t, differences, slices.DeleteFunc(permissions(containerd, started), func(p node.Permission) bool {
				return p.Field == stargzLabels // no layer is of that form here
			}))
		})
	}
}

// manyFiles has so many directories of so many files, each with a few bytes in it.
func manyFiles(directories, files int) func(*tar.Writer) error {
	return func(writer *tar.Writer) error {
		for directory := range directories {
			for file := range files {
				content := fmt.Sprintf("%d %d\n", directory, file)
				header := &tar.Header{
					Typeflag: tar.TypeReg, Mode: 0o644, ModTime: registry.Epoch, Size: int64(len(content)),
					Name: fmt.Sprintf("directory-%04d/file-%06d", directory, file),
				}
				if err := writer.WriteHeader(header); err != nil {
					return err
				}
				if _, err := writer.Write([]byte(content)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// largeFile is a single one, of zeros that gzip makes a thousandth of, but for a byte near each end and beyond 4 GiB.
func largeFile(writer *tar.Writer) error {
	const chunk, size = 1 << 20, 5<<30 + 4097
	header := &tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, ModTime: registry.Epoch, Size: size, Name: "large"}
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	content := make([]byte, chunk)
	for offset := int64(0); offset < size; offset += chunk {
		content[0] = 0
		if offset == 0 || offset == 4<<30 || offset+chunk > size {
			content[0] = 1
		}
		if _, err := writer.Write(content[:min(chunk, size-offset)]); err != nil {
			return err
		}
	}
	return nil
}
