package image_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/registry"
)

func start(t *testing.T, options registry.Options) *registry.Server {
	t.Helper()
	server, err := registry.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func push(t *testing.T, server *registry.Server, name string, artifact registry.Artifact) string {
	t.Helper()
	reference, err := server.Push(t.Context(), name, artifact)
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

// layers makes as many layers as there are texts, each with one file.
func layers(texts ...string) []registry.Layer {
	made := make([]registry.Layer, 0, len(texts))
	for _, text := range texts {
		made = append(made, registry.Layer{Entries: []registry.Entry{{Name: "file", Content: []byte(text)}}})
	}
	return made
}

func forPlatform(platform string) registry.Image {
	return registry.Image{Platform: platform, Layers: layers("base", platform)}
}

func resolve(t *testing.T, reference string, wanted ...string) *image.Image {
	t.Helper()
	resolved, err := image.NewClient(image.Options{}).Resolve(t.Context(), reference, wanted)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

func platformsOf(resolved *image.Image) []string {
	var names []string
	for _, manifest := range resolved.Manifests {
		names = append(names, manifest.Platform)
	}
	return names
}

func TestResolveChoosesAsContainerdDoes(t *testing.T) {
	both := registry.Index{Entries: []registry.Artifact{forPlatform("linux/amd64"), forPlatform("linux/arm64")}}
	cases := map[string]struct {
		reason   string
		artifact registry.Artifact
		wanted   []string
		want     []string
		missing  []string
	}{
		"one of two": {"only wanted platforms are cached", both,
			[]string{"linux/arm64"}, []string{"linux/arm64"}, nil},
		"both, asked backwards": {"the index gives the order", both,
			[]string{"linux/arm64", "linux/amd64"}, []string{"linux/amd64", "linux/arm64"}, nil},
		"one missing": {"what is there is cached", both,
			[]string{"linux/s390x", "linux/amd64"}, []string{"linux/amd64"}, []string{"linux/s390x"}},
		"variant spelled out": {"arm64 and arm64/v8 are one platform",
			registry.Index{Entries: []registry.Artifact{forPlatform("linux/amd64"), forPlatform("linux/arm64/v8")}},
			[]string{"linux/arm64"}, []string{"linux/arm64"}, nil},
		"best variant": {"the exact platform wins over one that would run too",
			registry.Index{Entries: []registry.Artifact{forPlatform("linux/386"), forPlatform("linux/amd64")}},
			[]string{"linux/amd64"}, []string{"linux/amd64"}, nil},
		"lesser variant": {"containerd takes what would run when there is nothing better",
			registry.Index{Entries: []registry.Artifact{forPlatform("linux/386"), forPlatform("linux/s390x")}},
			[]string{"linux/amd64"}, []string{"linux/386"}, nil},
		"same manifest for two": {"a manifest is cached once",
			registry.Index{Entries: []registry.Artifact{forPlatform("linux/386")}},
			[]string{"linux/amd64", "linux/386"}, []string{"linux/386"}, nil},
		"first of equals": {"the index's order decides between equals",
			registry.Index{Entries: []registry.Artifact{
				registry.Image{Platform: "linux/amd64", Layers: layers("first")},
				registry.Image{Platform: "linux/amd64", Layers: layers("second")},
			}}, []string{"linux/amd64"}, []string{"linux/amd64"}, nil},
		"nested": {"an index within an index is followed",
			registry.Index{Entries: []registry.Artifact{forPlatform("linux/arm64"), registry.Index{Entries: []registry.Artifact{forPlatform("linux/amd64")}}}},
			[]string{"linux/amd64", "linux/arm64"}, []string{"linux/arm64", "linux/amd64"}, nil},
		"no platforms in the index": {"then the config tells",
			registry.Index{Entries: []registry.Artifact{forPlatform("linux/amd64")}, WithoutPlatforms: true},
			[]string{"linux/amd64", "linux/arm64/v8"}, []string{"linux/amd64"}, []string{"linux/arm64/v8"}},
		"manifest list": {"Docker's index is one too",
			registry.Index{Docker: true, Entries: []registry.Artifact{registry.Image{Docker: true, Layers: layers("a")}}},
			[]string{"linux/amd64"}, []string{"linux/amd64"}, nil},
		"single image": {"the config tells the platform", forPlatform("linux/arm64"),
			[]string{"linux/amd64", "linux/arm64"}, []string{"linux/arm64"}, []string{"linux/amd64"}},
	}
	server := start(t, registry.Options{})
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			name := "choice/" + strings.NewReplacer(" ", "-", ",", "").Replace(title) + ":1"
			resolved := resolve(t, push(t, server, name, test.artifact), test.wanted...)
			if diff := cmp.Diff(test.want, platformsOf(resolved)); diff != "" {
				t.Errorf("%s:\n%s", test.reason, diff)
			}
			if diff := cmp.Diff(test.missing, resolved.MissingPlatforms); diff != "" {
				t.Errorf("%s: missing:\n%s", test.reason, diff)
			}
			checkConsistent(t, resolved)
			checkPlatforms(t, resolved)
		})
	}
}

// checkConsistent holds what is true of every resolved image.
func checkConsistent(t *testing.T, resolved *image.Image) {
	t.Helper()
	position := map[digest.Digest]int{}
	for i, blob := range resolved.Blobs {
		if _, twice := position[blob.Descriptor.Digest]; twice {
			t.Errorf("%s is listed twice", blob.Descriptor.Digest)
		}
		position[blob.Descriptor.Digest] = i
		if digest.FromBytes(blob.Content) != blob.Descriptor.Digest || int64(len(blob.Content)) != blob.Descriptor.Size {
			t.Errorf("the content of %s is not what it should be", blob.Descriptor.Digest)
		}
	}
	for i, blob := range resolved.Blobs {
		for _, child := range blob.Children {
			if at, listed := position[child.Digest]; listed && at <= i {
				t.Errorf("%s comes before its parent %s", child.Digest, blob.Descriptor.Digest)
			}
		}
	}
	if resolved.Blobs[0].Descriptor.Digest != resolved.Target.Digest {
		t.Errorf("the first blob is %s, not the target %s", resolved.Blobs[0].Descriptor.Digest, resolved.Target.Digest)
	}
	for _, manifest := range resolved.Manifests {
		config, listed := position[manifest.Config.Digest]
		if !listed {
			t.Errorf("the config %s is not among the blobs", manifest.Config.Digest)
			continue
		}
		blob := resolved.Blobs[config]
		if blob.Children != nil || (blob.ChainID == "") != (len(manifest.Layers) == 0) {
			t.Errorf("the config's blob is %v, %q", blob.Children, blob.ChainID)
		}
	}
}

// checkPlatforms holds where index and configs agree.
func checkPlatforms(t *testing.T, resolved *image.Image) {
	t.Helper()
	for _, manifest := range resolved.Manifests {
		for _, blob := range resolved.Blobs {
			if blob.Descriptor.Digest == manifest.Config.Digest && blob.Platform != manifest.Platform {
				t.Errorf("the config of %s says that it is for %q", manifest.Platform, blob.Platform)
			}
		}
	}
}

func TestResolveReadsWhatARegistryHolds(t *testing.T) {
	server := start(t, registry.Options{})
	artifact := registry.Image{Docker: true, Layers: layers("one", "two")}
	built, err := registry.Build(artifact)
	if err != nil {
		t.Fatal(err)
	}
	reference := push(t, server, "team/app:1", artifact)
	got := resolve(t, reference, "linux/amd64")

	manifest := built.Manifests[0]
	first, second, config := built.Blobs[0], built.Blobs[1], built.Blobs[2]
	var parsed ocispec.Image
	if err := json.Unmarshal(config.Content, &parsed); err != nil {
		t.Fatal(err)
	}
	diffIDs := parsed.RootFS.DiffIDs
	want := &image.Image{
		Reference:  reference,
		Repository: server.Host() + "/team/app",
		Tag:        "1",
		Target:     manifest.Descriptor,
		Manifests: []image.Manifest{{
			Platform:   "linux/amd64",
			Descriptor: manifest.Descriptor,
			Config:     config.Descriptor,
			Layers: []image.Layer{
				{Descriptor: first.Descriptor, DiffID: diffIDs[0]},
				{Descriptor: second.Descriptor, DiffID: diffIDs[1]},
			},
		}},
		Blobs: []image.Blob{
			{
				Descriptor: manifest.Descriptor,
				Content:    manifest.Content,
				Children:   []ocispec.Descriptor{config.Descriptor, first.Descriptor, second.Descriptor},
			},
			{
				Descriptor: config.Descriptor,
				Content:    config.Content,
				Platform:   "linux/amd64",
				// The chain id's definition in the OCI image specification.
				ChainID: digest.FromString(diffIDs[0].String() + " " + diffIDs[1].String()),
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if slices.ContainsFunc(server.Requests(), func(request registry.Request) bool {
		return strings.Contains(request.Path, first.Descriptor.Digest.String())
	}) {
		t.Error("a layer was downloaded")
	}
}

func TestResolveByDigestKeepsNoTag(t *testing.T) {
	server := start(t, registry.Options{})
	tagged := resolve(t, push(t, server, "app:1", forPlatform("linux/amd64")), "linux/amd64")
	byDigest := resolve(t, server.Host()+"/app:gone@"+tagged.Target.Digest.String(), "linux/amd64")
	if byDigest.Tag != "" || byDigest.Target.Digest != tagged.Target.Digest {
		t.Errorf("got tag %q, digest %s, want none and %s", byDigest.Tag, byDigest.Target.Digest, tagged.Target.Digest)
	}
}

func TestIndexKeepsEntriesOfOtherPlatforms(t *testing.T) {
	server := start(t, registry.Options{})
	resolved := resolve(t, push(t, server, "app:1", registry.Index{Entries: []registry.Artifact{
		forPlatform("linux/amd64"), forPlatform("linux/arm64"), forPlatform("linux/s390x"),
	}}), "linux/arm64")
	if got := len(resolved.Blobs[0].Children); got != 3 {
		t.Errorf("the index refers to %d manifests, want all 3", got)
	}
	if got := len(resolved.Blobs); got != 3 {
		t.Errorf("%d blobs were kept, want index, manifest and config", got)
	}
}
