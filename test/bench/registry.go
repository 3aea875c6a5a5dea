package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Served counts the bytes that a registry has sent: of layers, and of all else that images have.
type Served struct {
	Layers    int64 `json:"layers"`
	Documents int64 `json:"documents"`
}

// ServedPath is where a registry says how much it has Served.
const ServedPath = "/served"

// Registry serves the set and its changes out of the cache directory: go-containerregistry's handler above files.
type Registry struct {
	// Documents are the bytes of each image's manifest and config.
	Documents map[string]int64

	dir               string
	layers            map[string]Layer
	isLayer           map[string]bool
	store             http.Handler
	layerBytes, other atomic.Int64
}

// NewRegistry returns a registry with all images.
func NewRegistry(dir string, layers map[string]Layer) (*Registry, error) {
	r := &Registry{
		Documents: map[string]int64{},
		dir:       dir,
		layers:    layers,
		isLayer:   map[string]bool{},
		store:     registry.New(registry.WithBlobHandler(blobFiles(dir)), registry.Logger(log.New(io.Discard, "", 0))),
	}
	for _, layer := range layers {
		r.isLayer[layer.Digest.String()] = true
	}
	images := Images()
	for _, change := range Changes() {
		images = append(images, change.Images...)
	}
	for _, image := range images {
		if err := r.add(image); err != nil {
			return nil, fmt.Errorf("adding image %s: %w", image.Name, err)
		}
	}
	return r, nil
}

// add puts an image's config and manifest above layers that are there.
func (r *Registry) add(image Image) error {
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   ocispec.RootFS{Type: "layers"},
	}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, name := range image.Layers {
		layer := r.layers[name]
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.DiffID)
		manifest.Layers = append(manifest.Layers, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageLayerGzip, Digest: layer.Digest, Size: layer.Size,
		})
	}
	content, err := json.Marshal(config)
	if err != nil {
		return err
	}
	manifest.Config = ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(content), Size: int64(len(content)),
	}
	if err := os.WriteFile(blobPath(r.dir, manifest.Config.Digest), content, 0o644); err != nil {
		return err
	}
	document, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	repository, tag, _ := strings.Cut(image.Name, ":")
	request := httptest.NewRequestWithContext(context.Background(), http.MethodPut,
		"/v2/"+repository+"/manifests/"+tag, bytes.NewReader(document))
	request.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	answer := httptest.NewRecorder()
	if r.store.ServeHTTP(answer, request); answer.Code != http.StatusCreated {
		return fmt.Errorf("the registry answered %d: %s", answer.Code, answer.Body)
	}
	r.Documents[image.Name] = int64(len(content) + len(document))
	return nil
}

// ServeHTTP answers images' requests, and says what was served.
func (r *Registry) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	if request.URL.Path == ServedPath {
		// A client that is gone needs no answer.
		_ = json.NewEncoder(response).Encode(Served{Layers: r.layerBytes.Load(), Documents: r.other.Load()})
		return
	}
	count := &r.other
	if r.isLayer[path.Base(request.URL.Path)] {
		count = &r.layerBytes
	}
	r.store.ServeHTTP(&countedResponse{ResponseWriter: response, count: count}, request)
}

// countedResponse counts a body's bytes, and lets the kernel send files.
type countedResponse struct {
	http.ResponseWriter
	count *atomic.Int64
}

func (c *countedResponse) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.count.Add(int64(n))
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (c *countedResponse) ReadFrom(from io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, from)
	c.count.Add(n)
	return n, err
}

// blobFiles are blobs in the cache directory. go-containerregistry's own kind reads each file twice, to hash it
// before it is sent.
type blobFiles string

// Stat implements registry.BlobStatHandler.
func (b blobFiles) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	info, err := os.Stat(b.path(h))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, registry.ErrNotFound
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Get implements registry.BlobHandler.
func (b blobFiles) Get(_ context.Context, _ string, h v1.Hash) (io.ReadCloser, error) {
	file, err := os.Open(b.path(h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, registry.ErrNotFound
	}
	return file, err
}

func (b blobFiles) path(h v1.Hash) string { return filepath.Join(string(b), h.Algorithm, h.Hex) }
