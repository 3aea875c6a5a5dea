package ctrstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/internal/tree"
)

// memory is a Store that keeps each file under the number of its only extent.
type memory struct{ files [][]byte }

func (m *memory) Store(_ context.Context, r io.Reader, size int64) ([]tree.Extent, error) {
	content := make([]byte, size)
	if _, err := io.ReadFull(r, content); err != nil {
		return nil, err
	}
	m.files = append(m.files, content)
	return []tree.Extent{{Start: uint32(len(m.files) - 1), Count: 1}}, nil
}

func TestRoot(t *testing.T) {
	img := single("docker.io/library/a", "1", build("", "x", "y"))
	contents := mustPlan(t, img)
	var directories []*tree.Node
	for range contents.Snapshots {
		directories = append(directories, NewSnapshotDirectory(tree.NewDirectory(0o755, created), created))
	}
	store := &memory{}
	root, err := contents.NewRoot(t.Context(), store, directories, created)
	if err != nil {
		t.Fatal(err)
	}

	got := map[string]string{}
	files := map[string][]byte{}
	var walk func(node *tree.Node, path string)
	walk = func(node *tree.Node, path string) {
		got[path] = fmt.Sprintf("%06o", node.Mode)
		if !node.Mtime.Time().Equal(created) {
			t.Errorf("%s has the time %v, want %v", path, node.Mtime.Time(), created)
		}
		if !node.IsDirectory() {
			files[path] = store.files[node.Extents.List()[0].Start]
			if int64(len(files[path])) != node.Size || node.Links != 1 {
				t.Errorf("%s has size %d and %d links, want %d and 1", path, node.Size, node.Links, len(files[path]))
			}
		}
		for _, name := range node.Names() {
			walk(node.Children[name], strings.TrimPrefix(path+"/"+name, "./"))
		}
	}
	walk(root.Directory, ".")
	manifest, config := img.Target.Digest.Encoded(), img.Manifests[0].Config.Digest.Encoded()
	const content, overlayfs = "io.containerd.content.v1.content", "io.containerd.snapshotter.v1.overlayfs"
	want := map[string]string{
		".": "040700", content: "040755", content + "/ingest": "040755", content + "/blobs": "040755", content + "/blobs/sha256": "040755",
		content + "/blobs/sha256/" + manifest: "100444", content + "/blobs/sha256/" + config: "100444",
		"io.containerd.metadata.v1.bolt": "040711", "io.containerd.metadata.v1.bolt/meta.db": "100644",
		overlayfs: "040700", overlayfs + "/metadata.db": "100600", overlayfs + "/snapshots": "040700",
		overlayfs + "/snapshots/1": "040700", overlayfs + "/snapshots/1/fs": "040755", overlayfs + "/snapshots/1/work": "040711",
		overlayfs + "/snapshots/2": "040700", overlayfs + "/snapshots/2/fs": "040755", overlayfs + "/snapshots/2/work": "040711",
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("-want +got:\n%s", difference)
	}
	if root.Snapshots.Children["2"] != directories[1] {
		t.Error("the second snapshot's directory is not the one that was given")
	}
	if got := files[content+"/blobs/sha256/"+config]; !bytes.Equal(got, img.Blobs[1].Content) {
		t.Errorf("the config holds %q", got)
	}

	path := filepath.Join(t.TempDir(), "meta.db")
	if err := os.WriteFile(path, files[MetadataPath], 0o600); err != nil {
		t.Fatal(err)
	}
	if images, err := ReadImages(path); err != nil || len(images) != 3 {
		t.Errorf("the stored database has %d images and error %v, want 3", len(images), err)
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Store(context.Context, io.Reader, int64) ([]tree.Extent, error) { return nil, errFull }

func TestRootFailures(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	contents := mustPlan(t, single("r/a", "1", build("")))
	if _, err := contents.NewRoot(t.Context(), full{}, nil, created); !errors.Is(err, errFull) {
		t.Errorf("got error %v, want the store's", err)
	}
	contents.Blobs = nil
	if _, err := contents.NewRoot(t.Context(), full{}, nil, created); !errors.Is(err, errFull) {
		t.Errorf("got error %v, want the store's", err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
	if _, err := contents.NewRoot(t.Context(), &memory{}, []*tree.Node{nil}, created); err == nil {
		t.Error("a directory without a snapshot was taken")
	}
}
