package image_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

func TestImageWithoutLayers(t *testing.T) {
	server := start(t, registry.Options{})
	resolved := resolve(t, push(t, server, "empty:1", registry.Image{}), "linux/amd64")
	checkConsistent(t, resolved)
	if len(resolved.Manifests) != 1 || len(resolved.Manifests[0].Layers) != 0 || len(resolved.Blobs) != 2 {
		t.Errorf("got %+v", resolved)
	}
}

// containerd keeps a snapshot for each of them, one above the other.
func TestTheSameLayerOftenInOneImage(t *testing.T) {
	server := start(t, registry.Options{})
	empty := registry.Layer{Tar: make([]byte, 1024)}
	artifact := registry.Image{Layers: append([]registry.Layer{empty, empty}, append(layers("one"), empty)...)}
	resolved := resolve(t, push(t, server, "same:1", artifact), "linux/amd64")
	checkConsistent(t, resolved)
	var got []int
	first := resolved.Manifests[0].Layers[0].DiffID
	for number, layer := range resolved.Manifests[0].Layers {
		if layer.DiffID == first {
			got = append(got, number)
		}
	}
	if diff := cmp.Diff([]int{0, 1, 3}, got); diff != "" {
		t.Errorf("the empty layers (-want +got):\n%s", diff)
	}
}

// In an index of gzip and zstd variants both fit; containerd looks at the first alone.
func TestFirstOfTwoManifestsForOnePlatform(t *testing.T) {
	server := start(t, registry.Options{})
	variant := func(compression registry.Compression) registry.Image {
		packed := layers("the same file")
		packed[0].Compression = compression
		return registry.Image{Layers: packed}
	}
	for name, order := range map[string][]registry.Compression{
		"gzip": {registry.Gzip, registry.Zstd},
		"zstd": {registry.Zstd, registry.Gzip},
	} {
		first, second := variant(order[0]), variant(order[1])
		resolved := resolve(t, push(t, server, "variants:"+name, registry.Index{Entries: []registry.Artifact{first, second}}), "linux/amd64")
		checkConsistent(t, resolved)
		if got := resolved.Manifests[0].Layers[0].Descriptor.MediaType; len(resolved.Manifests) != 1 || !strings.HasSuffix(got, "+"+name) {
			t.Errorf("%d manifests, the first with a layer of %s, want one of %s", len(resolved.Manifests), got, name)
		}
		if len(resolved.Blobs) != 3 || len(resolved.Blobs[0].Children) != 2 {
			t.Errorf("got %d blobs, of which the index has %d children", len(resolved.Blobs), len(resolved.Blobs[0].Children))
		}
	}
}

func TestNestedIndexesAreKeptAsTheyAre(t *testing.T) {
	server := start(t, registry.Options{})
	var nested registry.Artifact = forPlatform("linux/amd64")
	for range 8 {
		nested = registry.Index{Entries: []registry.Artifact{nested}}
	}
	built, err := registry.Build(nested)
	if err != nil {
		t.Fatal(err)
	}
	resolved := resolve(t, push(t, server, "nested:1", nested), "linux/amd64")
	checkConsistent(t, resolved)
	kept := map[string]string{}
	for _, blob := range resolved.Blobs {
		kept[blob.Descriptor.Digest.String()] = string(blob.Content)
	}
	for _, manifest := range built.Manifests {
		if kept[manifest.Descriptor.Digest.String()] != string(manifest.Content) {
			t.Errorf("%s is not kept as it was pushed", manifest.Descriptor.MediaType)
		}
	}
}

// What stands beside the images in an index stays in it, and is not read where the index says what it is.
func TestArtifactsBesideImages(t *testing.T) {
	server := start(t, registry.Options{})
	const repository = "beside"
	push(t, server, repository+":image", forPlatform("linux/amd64"))
	built, err := registry.Build(forPlatform("linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	artifact := func(config, layer string) ocispec.Descriptor {
		stored, err := server.PutBlob(t.Context(), repository, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		manifest := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: stored, Layers: []ocispec.Descriptor{stored}}
		manifest.Config.MediaType, manifest.Layers[0].MediaType = config, layer
		content := encode(t, manifest)
		if err := server.PutManifest(t.Context(), repository, "artifact", manifest.MediaType, content); err != nil {
			t.Fatal(err)
		}
		return describeManifest(content)
	}
	attestation := artifact(ocispec.MediaTypeImageConfig, "application/vnd.in-toto+json")
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	chart := artifact("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
	signature := artifact(ocispec.MediaTypeImageConfig, "application/vnd.dev.cosign.simplesigning.v1+json")
	cases := map[string]struct {
		reason string
		beside ocispec.Descriptor
		// reads is how many indexes and manifests are read.
		reads int
	}{
		"attestation": {"buildkit's have a platform that no node has", attestation, 2},
		"chart":       {"without a platform only reading tells what it is", chart, 3},
		"signature":   {"its config poses as an image's", signature, 3},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			content := encode(t, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{test.beside, built.Descriptor}})
			if err := server.PutManifest(t.Context(), repository, title, ocispec.MediaTypeImageIndex, content); err != nil {
				t.Fatal(err)
			}
			server.ForgetRequests()
			reference := server.Host() + "/" + repository + ":" + title
			resolved := resolve(t, reference, "linux/amd64", "linux/arm64")
			checkConsistent(t, resolved)
			if diff := cmp.Diff([]string{"linux/arm64"}, resolved.MissingPlatforms); diff != "" || len(resolved.Manifests) != 1 {
				t.Errorf("%s: %d manifests, missing (-want +got):\n%s", test.reason, len(resolved.Manifests), diff)
			}
			if len(resolved.Blobs) != 3 || len(resolved.Blobs[0].Children) != 2 {
				t.Errorf("%d blobs, of which the index has %d children", len(resolved.Blobs), len(resolved.Blobs[0].Children))
			}
			if got := manifestRequests(server); got != test.reads {
				t.Errorf("%s: %d indexes and manifests were read, want %d", test.reason, got, test.reads)
			}
			_, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, []string{"linux/arm64"})
			checkError(t, err, image.PlatformMissing, reference, "it has: linux/amd64")
		})
	}
}

func TestALayersAddressesAreNotFollowed(t *testing.T) {
	server := start(t, registry.Options{})
	reference := pushEdited(t, server, "addresses", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
		manifest.Layers[0].URLs = []string{"http://169.254.169.254/latest/meta-data"}
	})
	push(t, server, "addresses:layers", registry.Image{Layers: layers("one", "two")})
	client := image.NewClient(image.Options{})
	resolved, err := client.Resolve(t.Context(), reference, []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readLayer(t.Context(), client, resolved.Repository, resolved.Manifests[0].Layers[0]); err != nil {
		t.Errorf("the registry has the layer: %v", err)
	}
}

func describeManifest(content []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(content), Size: int64(len(content))}
}
