package snapshot

import (
	"testing"

	"github.com/opencontainers/go-digest"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/image"
)

func TestContentHash(t *testing.T) {
	resolve := func(spec larderv1alpha1.ImageCacheSnapshotSpec) []image.Image {
		var images []image.Image
		for _, one := range spec.Images {
			resolved, err := (&registry{}).Resolve(t.Context(), one.Image, platformsOf(spec))
			if err != nil {
				t.Fatal(err)
			}
			images = append(images, *resolved)
		}
		return images
	}
	base := specOf("a", "b")
	reference := contentHash(base, resolve(base))
	if len(reference) != 64 {
		t.Errorf("want 64 characters, which fit a status and a tag, got %q", reference)
	}
	both := specOf("a", "b")
	both.Platforms = []larderv1alpha1.Platform{"linux/amd64", "linux/arm64"}
	swapped := specOf("a", "b")
	swapped.Platforms = []larderv1alpha1.Platform{"linux/arm64", "linux/amd64"}
	sized := specOf("a", "b")
	sized.VolumeSize = gibibytes(20)
	files := specOf("a", "b")
	files.Format = larderv1alpha1.FormatFiles
	pushed := resolve(base)
	pushed[0].Target.Digest = digest.FromString("another")
	rebuilt := resolve(base)
	rebuilt[0].Manifests[0].Descriptor.Digest = digest.FromString("another")
	renamed := resolve(base)
	renamed[0].Tag = "2"

	cases := map[string]struct {
		reason string
		hash   string
		same   bool
	}{
		"again":              {"the same images are not built twice", contentHash(base, resolve(base)), true},
		"other order":        {"a node finds the same", contentHash(specOf("b", "a"), resolve(specOf("b", "a"))), true},
		"fewer images":       {"an image is missing", contentHash(specOf("a"), resolve(specOf("a"))), false},
		"more platforms":     {"other nodes find theirs", contentHash(both, resolve(both)), false},
		"a size":             {"the volume is another", contentHash(sized, resolve(base)), false},
		"another format":     {"the volume is for other nodes, or none", contentHash(files, resolve(files)), false},
		"a moved tag":        {"the tag means something else", contentHash(base, pushed), false},
		"a moved manifest":   {"one platform's image changed", contentHash(base, rebuilt), false},
		"another name":       {"pods find it under another name", contentHash(base, renamed), false},
		"moved tag and size": {"a spec without a size is not one of 0 GiB of other images", contentHash(sized, pushed), false},
	}
	for name, tc := range cases {
		if got := tc.hash == reference; got != tc.same {
			t.Errorf("%s: %s: same hash is %v", name, tc.reason, got)
		}
	}
	if contentHash(both, resolve(both)) != contentHash(swapped, resolve(swapped)) {
		t.Error("the order of platforms changes the hash")
	}
}
