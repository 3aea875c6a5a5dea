package volume

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/larder-dev/larder/internal/image"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// testImage is an image of gzip layers with the given compressed sizes in bytes. Layers of the same size
// are the same layer.
func testImage(name string, sizes ...int64) image.Image {
	manifest := image.Manifest{
		Platform:   "linux/amd64",
		Descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("manifest " + name), Size: 1000},
		Config:     ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromString("config " + name), Size: 1000},
	}
	var diffIDs []digest.Digest
	for _, size := range sizes {
		diffID := digest.FromString(fmt.Sprint("tar", size))
		diffIDs = append(diffIDs, diffID)
		manifest.Layers = append(manifest.Layers, image.Layer{
			Descriptor: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString(fmt.Sprint("gzip", size)), Size: size},
			DiffID:     diffID,
		})
	}
	return image.Image{
		Reference:  "registry.example/" + name + ":v1",
		Repository: "registry.example/" + name,
		Tag:        "v1",
		Target:     manifest.Descriptor,
		Manifests:  []image.Manifest{manifest},
		Blobs: []image.Blob{
			{Descriptor: manifest.Descriptor, Content: make([]byte, 1000), Children: append([]ocispec.Descriptor{manifest.Config}, descriptors(manifest.Layers)...)},
			{Descriptor: manifest.Config, Content: make([]byte, 1000), Platform: "linux/amd64", ChainID: identity.ChainID(diffIDs)},
		},
	}
}

func descriptors(layers []image.Layer) []ocispec.Descriptor {
	var out []ocispec.Descriptor
	for _, l := range layers {
		out = append(out, l.Descriptor)
	}
	return out
}

func TestPlanComputesASizeThatGrowsInSteps(t *testing.T) {
	cases := map[string]struct {
		reason string
		layers []int64
		want   int64 // GiB
	}{
		"small":      {"the least is one step", []int64{10 * mib}, 8},
		"fills step": {"1.5 GiB reserve 4.5 GiB, and with headroom and tables stay in the first step", []int64{1536 * mib}, 8},
		"next step":  {"2.25 GiB reserve 6.75 GiB, which with headroom is more than 8", []int64{2304 * mib}, 16},
		"large":      {"10 GiB reserve 30 GiB", []int64{10 * gib}, 40},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan, err := newPlan(kinds[0], []image.Image{testImage("app", c.layers...)}, 0, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := plan.Size / gib; got != c.want {
				t.Errorf("%s: planned %d GiB, want %d", c.reason, got, c.want)
			}
		})
	}
}

func TestPlanPacksOnlyNeighbours(t *testing.T) {
	large, small := int64(50*mib), int64(10*kib)
	plan, err := newPlan(kinds[0], []image.Image{testImage("app", large, small, small+1, large+1, small+2)}, 0, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]int
	for _, region := range plan.regions {
		got = append(got, region.snapshots)
	}
	// A pack that skipped the large layer in between would wait for it while it waits for the pack.
	if diff := cmp.Diff([][]int{{0}, {1, 2}, {3}, {4}}, got); diff != "" {
		t.Errorf("regions (-want +got):\n%s", diff)
	}
}

func TestPlanCountsSharedLayersOnce(t *testing.T) {
	shared := int64(100 * mib)
	plan, err := newPlan(kinds[0], []image.Image{testImage("a", shared, 70*mib), testImage("b", shared, 80*mib)}, 0, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(250 * mib); plan.LayerBytes != want {
		t.Errorf("the layers have %d bytes, want %d: the shared one is one snapshot", plan.LayerBytes, want)
	}
}

func TestPlanRefusesWhatCannotFit(t *testing.T) {
	_, err := newPlan(kinds[0], []image.Image{testImage("app", 5*gib)}, 4, nil, nil)
	var tooSmall *TooSmallError
	if !errors.As(err, &tooSmall) {
		t.Fatalf("got %v, want a TooSmallError", err)
	}
	if tooSmall.Size != 4 || tooSmall.Need <= 5 {
		t.Errorf("got size %d and need %d GiB, want 4 and more than the 5 GiB of compressed layers", tooSmall.Size, tooSmall.Need)
	}
	for _, size := range []int64{-1, 1, MaxSize + 1} {
		if _, err := newPlan(kinds[0], []image.Image{testImage("app", mib)}, size, nil, nil); err == nil {
			t.Errorf("a volume of %d GiB was planned", size)
		}
	}
}

func TestPlanLeavesRoomInAGivenSize(t *testing.T) {
	plan, err := newPlan(kinds[0], []image.Image{testImage("app", gib, gib+1)}, 4, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var reserved int64
	for _, region := range plan.regions {
		if region.reserve%BlockSize != 0 || region.reserve == 0 {
			t.Errorf("a region reserves %d bytes: not whole blocks", region.reserve)
		}
		reserved += region.reserve
	}
	if reserved > 3*gib {
		t.Errorf("%d bytes of 4 GiB are reserved before any layer was read", reserved)
	}
}

func TestPlanIdentifiersDependOnContentsAndSizeAlone(t *testing.T) {
	lineageOf := func(size int64, images ...image.Image) lineage {
		t.Helper()
		plan, err := newPlan(kinds[0], images, size, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return plan.lineage
	}
	a, b := testImage("a", mib), testImage("b", 2*mib)
	first := lineageOf(8, a, b)
	if again := lineageOf(8, b, a); again != first {
		t.Error("the order of the images changed the identifiers")
	}
	if other := lineageOf(8, a); other == first {
		t.Error("other contents have the same identifiers: two volumes on one node would clash")
	}
	if other := lineageOf(16, a, b); other == first {
		t.Error("another size has the same identifiers")
	}
	if first.Filesystem == first.HashSeed || first.Filesystem == first.Disk {
		t.Error("two identifiers of one volume are equal")
	}
}
