package image_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

// TestResolveRefusesHostileDocuments edits a good manifest and config before they are pushed.
func TestResolveRefusesHostileDocuments(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*ocispec.Manifest, *ocispec.Image)
		says   string
	}{
		"foreign layer": {"its bytes are not in the registry", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[0].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		}, "layer 0: it has layers that its registry does not hold"},
		"non-distributable layer": {"so OCI calls a foreign one", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[1].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
			manifest.Layers[1].URLs = []string{"https://elsewhere.example/layer"}
		}, "layer 1: it has layers that its registry does not hold"},
		"encrypted layer": {"nobody has the key at build time", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[0].MediaType = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"
		}, "encrypted"},
		"no layer": {"a signature is no root filesystem", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[0].MediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
		}, "not the media type of an image layer"},
		"chart": {"an artifact has no config to run", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Config.MediaType = "application/vnd.cncf.helm.config.v1+json"
		}, "chart"},
		"gigantic layer": {"no volume could hold it", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[0].Size = 1 << 62
		}, "which is not between 0 and"},
		"negative size": {"sums of sizes must not go down", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[0].Size = -1
		}, "which is not between 0 and"},
		"gigantic config": {"it is read into memory", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Config.Size = 1 << 30
		}, "which is not between 0 and"},
		"bad digest": {"a digest becomes a file's name", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[0].Digest = "sha256:../../etc/passwd"
		}, "is not a digest"},
		"other algorithm": {"only SHA-256 is verified", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			manifest.Layers[0].Digest = digest.SHA512.FromString("layer")
		}, "is not SHA-256"},
		"diff id too few": {"every layer needs one", func(_ *ocispec.Manifest, config *ocispec.Image) {
			config.RootFS.DiffIDs = config.RootFS.DiffIDs[:1]
		}, "2 layers, but its config has 1 diff ids"},
		"bad diff id": {"it keys the volume's regions", func(_ *ocispec.Manifest, config *ocispec.Image) {
			config.RootFS.DiffIDs[0] = "sha256:short"
		}, "is not a digest"},
		"other root filesystem": {"only layers are unpacked", func(_ *ocispec.Manifest, config *ocispec.Image) {
			config.RootFS.Type = "blocks"
		}, `of type "blocks"`},
		"diff id too many": {"every one needs a layer", func(_ *ocispec.Manifest, config *ocispec.Image) {
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, config.RootFS.DiffIDs[0])
		}, "2 layers, but its config has more diff ids"},
		"too many layers": {"the kernel stacks no more, so no container would start", func(manifest *ocispec.Manifest, _ *ocispec.Image) {
			for len(manifest.Layers) < 501 {
				manifest.Layers = append(manifest.Layers, manifest.Layers[0])
			}
		}, "more than 500 layers"},
	}
	server := start(t, registry.Options{})
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			reference := pushEdited(t, server, "hostile/"+strings.ReplaceAll(title, " ", "-"), test.edit)
			_, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, []string{"linux/amd64"})
			checkError(t, err, image.Unsupported, reference, test.says)
		})
	}
}

// pushEdited keeps the digests right: it is the documents themselves that are hostile.
func pushEdited(t *testing.T, server *registry.Server, repository string, edit func(*ocispec.Manifest, *ocispec.Image)) string {
	t.Helper()
	built, err := registry.Build(registry.Image{Layers: layers("one", "two")})
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	var config ocispec.Image
	decode(t, built.Manifests[0].Content, &manifest)
	decode(t, built.Blobs[2].Content, &config)
	described := manifest.Config
	edit(&manifest, &config)
	content := encode(t, config)
	stored, err := server.PutBlob(t.Context(), repository, content)
	if err != nil {
		t.Fatal(err)
	}
	manifest.Config.Digest = stored.Digest
	if manifest.Config.Size == described.Size {
		manifest.Config.Size = stored.Size
	}
	if err := server.PutManifest(t.Context(), repository, "1", manifest.MediaType, encode(t, manifest)); err != nil {
		t.Fatal(err)
	}
	return server.Host() + "/" + repository + ":1"
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, document any) []byte {
	t.Helper()
	content, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestResolveRefusesWhatIsNoImage(t *testing.T) {
	const index, manifest = ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest
	cases := map[string]struct {
		reason             string
		mediaType, content string
		want               image.Reason
		says               string
	}{
		"schema 1": {"containerd dropped it", "application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1,"fsLayers":[]}`,
			image.Unsupported, "push it again with a current tool"},
		"schema 1 in disguise": {"the content tells", manifest, `{"schemaVersion":1,"fsLayers":[{"blobSum":"x"}]}`,
			image.Unsupported, "push it again with a current tool"},
		"index as manifest": {"one digest must not mean two things", manifest, `{"mediaType":"` + index + `","manifests":[{}]}`,
			image.Unsupported, "an index poses as"},
		"manifest as index": {"one digest must not mean two things", index, `{"config":{},"manifests":[]}`,
			image.Unsupported, "a manifest poses as"},
		"unknown type": {"it may be anything", "application/vnd.example.thing+json", `{}`,
			image.Unsupported, "neither an image nor an image index"},
		"more than JSON": {"what follows the document is not of it", manifest, `{} {}`, image.Unsupported, "parsing the manifest"},
		"no list": {"layers are a list", manifest, `{"config":{"mediaType":"` + ocispec.MediaTypeImageConfig + `","digest":"` + someDigest + `","size":1},"layers":{}}`,
			image.Unsupported, "where a list belongs"},
		"not JSON": {"a login page, say", manifest, `<html>`, image.Unsupported, "parsing the manifest"},
		"too large": {"containerd would not read it", manifest, `{"x":"` + strings.Repeat("x", 5<<20) + `"}`,
			image.Unsupported, "more than the 4393216 bytes"},
		"empty index": {"it has no platform at all", index, `{"schemaVersion":2,"mediaType":"` + index + `","manifests":[]}`,
			image.PlatformMissing, "it has: none"},
		"artifact in an index": {"what has no platform and is no image is passed over", index,
			`{"mediaType":"` + index + `","manifests":[{"mediaType":"application/vnd.example.thing+json","size":1,"digest":"` + someDigest + `"}]}`,
			image.PlatformMissing, "it has: none"},
		"generic header": {"the document's own type counts then", "application/json", `{"mediaType":"` + index + `","manifests":[]}`,
			image.PlatformMissing, "it has: none"},
	}
	server := start(t, registry.Options{})
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			repository := "no/" + strings.ToLower(strings.ReplaceAll(title, " ", "-"))
			if err := server.PutManifest(t.Context(), repository, "1", test.mediaType, []byte(test.content)); err != nil {
				t.Fatal(err)
			}
			reference := server.Host() + "/" + repository + ":1"
			_, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, []string{"linux/amd64"})
			checkError(t, err, test.want, reference, test.says)
		})
	}
}

func TestResolveRefusesHostileIndexes(t *testing.T) {
	server := start(t, registry.Options{})
	built, err := registry.Build(forPlatform("linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	push(t, server, "hostile/index:good", forPlatform("linux/amd64"))
	good := built.Descriptor
	// These are a valid index and a valid config, and an entry calls them manifests.
	empty, config := []byte(`{"manifests":[]}`), built.Blobs[2].Content
	for tag, content := range map[string][]byte{"empty": empty, "config": config} {
		if err := server.PutManifest(t.Context(), "hostile/index", tag, ocispec.MediaTypeImageManifest, content); err != nil {
			t.Fatal(err)
		}
	}
	describe := func(mediaType, architecture string, content []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content)),
			Platform: &ocispec.Platform{OS: "linux", Architecture: architecture}}
	}
	large := good
	large.Size = 5 << 20
	longer := good
	longer.Size++
	longer.Platform = &ocispec.Platform{OS: "linux", Architecture: "arm64"}
	cases := map[string]struct {
		reason  string
		entries []ocispec.Descriptor
		want    image.Reason
		says    string
	}{
		"too large a manifest": {"it would be read into memory", []ocispec.Descriptor{large}, image.Unsupported, "which is not between 0 and"},
		"index and manifest": {"one digest must not mean two things", []ocispec.Descriptor{
			describe(ocispec.MediaTypeImageIndex, "amd64", empty), describe(ocispec.MediaTypeImageManifest, "arm64", empty),
		}, image.Unsupported, "is said to be"},
		"config and manifest": {"nor is a config anything else", []ocispec.Descriptor{
			good, describe(ocispec.MediaTypeImageManifest, "arm64", config),
		}, image.Unsupported, "is said to be"},
		"two sizes": {"one digest has one size", []ocispec.Descriptor{good, longer}, image.DigestMismatch, "did not come with its"},
		"too many entries": {"containerd follows 10,000 references", slices.Repeat([]ocispec.Descriptor{good}, 10_001),
			image.Unsupported, "more than 10000 entries"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			tag := strings.ReplaceAll(title, " ", "-")
			content := encode(t, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: test.entries})
			if err := server.PutManifest(t.Context(), "hostile/index", tag, ocispec.MediaTypeImageIndex, content); err != nil {
				t.Fatal(err)
			}
			reference := server.Host() + "/hostile/index:" + tag
			_, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, []string{"linux/amd64", "linux/arm64"})
			checkError(t, err, test.want, reference, test.says)
		})
	}
}

// Each index has three entries and each is the same: followed one by one, that would be 6,561 manifests.
func TestResolveReadsWhatIsNamedOftenOnce(t *testing.T) {
	server := start(t, registry.Options{})
	built, err := registry.Build(forPlatform("linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	push(t, server, "fan:1", forPlatform("linux/amd64"))
	entry := built.Descriptor
	for range 8 {
		content := encode(t, ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: slices.Repeat([]ocispec.Descriptor{entry}, 3)})
		entry = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(content), Size: int64(len(content))}
		if err := server.PutManifest(t.Context(), "fan", "1", entry.MediaType, content); err != nil {
			t.Fatal(err)
		}
	}
	resolved := resolve(t, server.Host()+"/fan:1", "linux/amd64", "linux/386")
	checkConsistent(t, resolved)
	if len(resolved.Blobs) != 10 || len(resolved.Manifests) != 1 {
		t.Errorf("%d blobs and %d manifests, want 8 indexes, one manifest and its config", len(resolved.Blobs), len(resolved.Manifests))
	}
	if got := manifestRequests(server); got != 9 {
		t.Errorf("%d indexes and manifests were read, want 9", got)
	}
}

func TestResolveBoundsTheDepthOfIndexes(t *testing.T) {
	var nested registry.Artifact = forPlatform("linux/amd64")
	for range 10 {
		nested = registry.Index{Entries: []registry.Artifact{nested}}
	}
	server := start(t, registry.Options{})
	reference := push(t, server, "deep:1", nested)
	_, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, []string{"linux/amd64"})
	checkError(t, err, image.Unsupported, reference, "nested more than 8 deep")
}
