//go:build node

package node_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/test/bench"
	"github.com/larder-dev/larder/test/registry"
)

// platform is the machine's own.
const platform = "linux/" + runtime.GOARCH

// imageServer is a registry with two images, which counts requests and can refuse them.
type imageServer struct {
	// pause keeps the pods' sandboxes; app has its program above all layers of the set.
	pause, app string
	// appBytes is the compressed size of app's layers.
	appBytes int64

	host     string
	blobs    string
	images   *bench.Registry
	closed   atomic.Bool
	requests atomic.Int64
}

// serveImages serves a set of megabytes MB until the end of the test.
func serveImages(t *testing.T, megabytes int64) *imageServer {
	t.Helper()
	directory, layers, err := bench.EnsureLayers(megabytes)
	if err != nil {
		t.Fatal(err)
	}
	s := &imageServer{blobs: filepath.Join(directory, digest.SHA256.String())}
	if s.images, err = bench.NewRegistry(directory, layers); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	s.addImages(t, layersOfSet(layers))
	return s
}

// ServeHTTP counts what a closed registry is asked, too.
func (s *imageServer) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	s.requests.Add(1)
	if s.closed.Load() {
		http.Error(response, "this registry is closed", http.StatusServiceUnavailable)
		return
	}
	s.images.ServeHTTP(response, request)
}

// layersOfSet returns each layer of the set's images once.
func layersOfSet(layers map[string]bench.Layer) []bench.Layer {
	var list []bench.Layer
	listed := map[string]bool{}
	for _, image := range bench.Images() {
		for _, name := range image.Layers {
			if !listed[name] {
				listed[name] = true
				list = append(list, layers[name])
			}
		}
	}
	return list
}

// addImages adds an image of nothing but a program that waits, and the same one above layers.
func (s *imageServer) addImages(t *testing.T, layers []bench.Layer) {
	t.Helper()
	content, err := os.ReadFile(program(t, "probe"))
	if err != nil {
		t.Fatal(err)
	}
	built, err := registry.Build(registry.Image{
		Platform:   platform,
		Layers:     []registry.Layer{{Entries: []registry.Entry{{Name: "probe", Mode: 0o755, Content: content}}}},
		Entrypoint: []string{"/probe", "pause"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range built.Blobs {
		s.putBlob(t, blob.Content)
	}
	var manifest ocispec.Manifest
	var config ocispec.Image
	s.decode(t, built.Manifests[0].Content, &manifest)
	s.pause = s.putImage(t, "pause:v1", manifest)

	read, err := os.ReadFile(filepath.Join(s.blobs, manifest.Config.Digest.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	s.decode(t, read, &config)
	var below []ocispec.Descriptor
	var diffIDs []digest.Digest
	for _, layer := range layers {
		below = append(below, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: layer.Digest, Size: layer.Size})
		diffIDs = append(diffIDs, layer.DiffID)
	}
	manifest.Layers = append(below, manifest.Layers...)
	config.RootFS.DiffIDs = append(diffIDs, config.RootFS.DiffIDs...)
	config.History = nil // it would have to name as many layers
	for _, layer := range manifest.Layers {
		s.appBytes += layer.Size
	}
	encoded := s.encode(t, config)
	manifest.Config.Digest, manifest.Config.Size = s.putBlob(t, encoded), int64(len(encoded))
	s.app = s.putImage(t, "app:v1", manifest)
}

// putBlob leaves a blob beside the layers, where the registry finds it.
func (s *imageServer) putBlob(t *testing.T, content []byte) digest.Digest {
	t.Helper()
	name := digest.FromBytes(content)
	if err := os.WriteFile(filepath.Join(s.blobs, name.Encoded()), content, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// putImage returns the image's reference.
func (s *imageServer) putImage(t *testing.T, name string, manifest ocispec.Manifest) string {
	t.Helper()
	repository, tag, _ := strings.Cut(name, ":")
	url := "http://" + s.host + "/v2/" + repository + "/manifests/" + tag
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(s.encode(t, manifest)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", manifest.MediaType)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Fatalf("adding image %s: the registry answered %s", name, answer.Status)
	}
	return s.host + "/" + name
}

func (s *imageServer) encode(t *testing.T, document any) []byte {
	t.Helper()
	content, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (s *imageServer) decode(t *testing.T, content []byte, document any) {
	t.Helper()
	if err := json.Unmarshal(content, document); err != nil {
		t.Fatal(err)
	}
}
