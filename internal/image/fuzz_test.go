package image_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
)

// library is a registry in memory of documents that know one another. They are written one after the other, each
// ended by a line feed; the first byte tells the kind that the last one is served as. In a document, "@0" to "@9"
// stand for the digest of an earlier one and "#0" to "#9" for its size: no fuzzer finds a digest by itself.
type library struct {
	documents map[digest.Digest][]byte
	mediaType string
	target    []byte
	requests  int
}

var servedAs = []string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, "application/json", "application/vnd.docker.distribution.manifest.list.v2+json"}

func newLibrary(text []byte) *library {
	made := &library{documents: map[digest.Digest][]byte{}, mediaType: servedAs[0]}
	if len(text) > 0 {
		made.mediaType = servedAs[int(text[0])%len(servedAs)]
		text = text[1:]
	}
	var known []string
	for number, document := range bytes.Split(text, []byte("\n")) {
		made.target = []byte(strings.NewReplacer(known...).Replace(string(document)))
		sum := digest.FromBytes(made.target)
		made.documents[sum] = made.target
		if number < 10 {
			known = append(known, fmt.Sprintf("@%d", number), sum.String(), fmt.Sprintf("#%d", number), fmt.Sprint(len(made.target)))
		}
	}
	return made
}

func (l *library) RoundTrip(request *http.Request) (*http.Response, error) {
	l.requests++
	response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: request}
	_, name, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/v2/app/"), "/")
	content, found := l.documents[digest.Digest(name)]
	switch {
	case name == "tag":
		content = l.target
		response.Header.Set("Content-Type", l.mediaType)
	case request.URL.Path != "/v2/" && !found:
		response.StatusCode = http.StatusNotFound
	}
	response.Body = io.NopCloser(bytes.NewReader(content))
	response.ContentLength = int64(len(content))
	return response, nil
}

// FuzzManifest reads what a registry may have been fed: an index, a manifest, a config, and what refers to them.
func FuzzManifest(f *testing.F) {
	const (
		config   = `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + someDigest + `"]}}`
		manifest = `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":{"mediaType":"` + ocispec.MediaTypeImageConfig +
			`","digest":"@0","size":#0},"layers":[{"mediaType":"` + ocispec.MediaTypeImageLayerGzip + `","digest":"` + someDigest + `","size":1}]}`
		entry = `{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"@1","size":#1,"platform":{"os":"linux","architecture":"amd64"}}`
		index = `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[` + entry + `]}`
		outer = `{"manifests":[{"mediaType":"` + ocispec.MediaTypeImageIndex + `","digest":"@2","size":#2},` + entry + `]}`
	)
	f.Add([]byte("\x01" + config + "\n" + manifest))
	f.Add([]byte("\x00" + config + "\n" + manifest + "\n" + index))
	f.Add([]byte("\x02" + config + "\n" + manifest + "\n" + index + "\n" + outer))
	f.Add([]byte("\x00" + config + "\n" + manifest + "\n" + strings.ReplaceAll(index, "@1", "@0")))
	f.Add([]byte("\x00{\"manifests\":[]}\n" + `{"manifests":[{"mediaType":"` + ocispec.MediaTypeImageIndex + `","digest":"@0","size":#0,"platform":{"os":"linux","architecture":"amd64"}},` +
		`{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"@0","size":#0,"platform":{"os":"linux","architecture":"arm64"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		held := newLibrary(text)
		resolved, err := image.NewClient(image.Options{Transport: held}).
			Resolve(t.Context(), "registry.example/app:tag", []string{"linux/amd64", "linux/arm64"})
		// The handshake, the target, and for each platform eight indexes, a manifest and a config.
		if held.requests > 2+2*10 {
			t.Errorf("%d requests for one image", held.requests)
		}
		if err != nil {
			if image.ReasonOf(err) == "" {
				t.Errorf("an error without a reason: %v", err)
			}
			return
		}
		checkConsistent(t, resolved)
		if got := len(resolved.Manifests) + len(resolved.MissingPlatforms); len(resolved.Manifests) == 0 || got > 2 {
			t.Errorf("%d manifests and %d missing platforms for two", len(resolved.Manifests), len(resolved.MissingPlatforms))
		}
		for _, manifest := range resolved.Manifests {
			for _, layer := range manifest.Layers {
				if layer.DiffID.Validate() != nil || layer.Descriptor.Digest.Validate() != nil || layer.Descriptor.Size < 0 {
					t.Errorf("this layer was accepted: %+v", layer)
				}
			}
		}
	})
}
