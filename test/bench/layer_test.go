package bench

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
)

// machine is a tree like a machine's, whose files have different times each time.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for i := range 20 {
		directory := filepath.Join(root, fmt.Sprint("directory", i%3))
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
		content := strings.Repeat(fmt.Sprint("line ", i, "\n"), 100*i)
		if err := os.WriteFile(filepath.Join(directory, fmt.Sprint("file", i)), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("file0", filepath.Join(root, "directory0", "link")); err != nil {
		t.Fatal(err)
	}
	return root
}

// makeLayer makes a layer of the tree, in a directory of its own.
func makeLayer(t *testing.T, root string, size int64) (string, Layer) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(entries([]string{root}))
	defer stop()
	layer, err := writeLayer(dir, "layer", size, next)
	if err != nil {
		t.Fatal(err)
	}
	return dir, layer
}

// names lists what a layer has, without the tree's own directory.
func names(t *testing.T, dir string, layer Layer, root string) []string {
	t.Helper()
	blob, err := os.Open(blobPath(dir, layer.Digest))
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	unzipped, err := gzip.NewReader(blob)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, strings.Replace(header.Name, strings.TrimPrefix(root, "/"), "tree", 1))
	}
}

func TestLayersAreFilledByStartingOver(t *testing.T) {
	root := machine(t)
	const size = 12 << 10
	dir, layer := makeLayer(t, root, size)
	if layer.Size < size || layer.Size > 2*size {
		t.Errorf("the layer has %d bytes, want about %d", layer.Size, size)
	}
	all := names(t, dir, layer, root)
	seen := map[string]bool{}
	for _, name := range all {
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
	}
	if !seen["tree/directory0/link"] || !seen["opt/2/tree/directory0/link"] {
		t.Errorf("the layer lacks the tree, or the tree once more, and has %q", all)
	}
}

func TestLayersAreTheSameEveryTime(t *testing.T) {
	root := machine(t)
	_, first := makeLayer(t, root, 4<<10)
	_, second := makeLayer(t, root, 4<<10)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
}

func TestRegistryCountsWhatItServes(t *testing.T) {
	dir, layer := makeLayer(t, machine(t), 4<<10)
	layers := map[string]Layer{}
	for _, r := range recipes {
		layers[r.name] = layer
	}
	registry, err := NewRegistry(dir, layers)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		registry.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		return answer
	}
	manifest := get("/v2/shop/manifests/1")
	blob := get("/v2/shop/blobs/" + layer.Digest.String())
	if manifest.Code != http.StatusOK || blob.Code != http.StatusOK || int64(blob.Body.Len()) != layer.Size {
		t.Fatalf("manifest: %d, blob: %d with %d bytes of %d", manifest.Code, blob.Code, blob.Body.Len(), layer.Size)
	}
	got := Served{Layers: registry.layerBytes.Load(), Documents: registry.other.Load()}
	if diff := cmp.Diff(Served{Layers: layer.Size, Documents: int64(manifest.Body.Len())}, got); diff != "" {
		t.Error(diff)
	}
}

func TestChangesNameTheirLayers(t *testing.T) {
	layersOf := func(images []Image) map[string]bool {
		layers := map[string]bool{}
		for _, image := range images {
			for _, layer := range image.Layers {
				layers[layer] = true
			}
		}
		return layers
	}
	without := func(layers, others map[string]bool) map[string]bool {
		rest := map[string]bool{}
		for layer := range layers {
			if !others[layer] {
				rest[layer] = true
			}
		}
		return rest
	}
	set := func(layers []string) map[string]bool { return layersOf([]Image{{Layers: layers}}) }
	before := layersOf(Images())
	for _, change := range Changes() {
		after := layersOf(change.Images)
		if diff := cmp.Diff(set(change.New), without(after, before)); diff != "" {
			t.Errorf("%s: new layers:\n%s", change.Name, diff)
		}
		if diff := cmp.Diff(set(change.Removed), without(before, after)); diff != "" {
			t.Errorf("%s: removed layers:\n%s", change.Name, diff)
		}
	}
}
