package builder_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/controllers/snapshot/builder"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

// pushSample returns the reference of an image in a registry that lives as long as the test.
func pushSample(t *testing.T) string {
	t.Helper()
	server, err := registry.Start(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	sample := registry.Samples()[0]
	reference, err := server.Push(t.Context(), sample.Name, sample.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

// TestBuildUponAParent is about what the operator's builds make of a parent.
func TestBuildUponAParent(t *testing.T) {
	reference := pushSample(t)
	double := fakeaws.NewForTest(t, fakeaws.Options{})
	builds := &builder.InProcess{
		Registries: &snapshot.PullSecrets{Options: image.Options{Keychain: authn.DefaultKeychain}},
		Snapshots:  ebs.New(double.Config(), ebs.Options{}),
	}
	registries, err := builds.Registries.Client(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := registries.Resolve(t.Context(), reference, []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	made := func(attempt int64, parent string) snapshot.BuildResult {
		t.Helper()
		result, err := builds.Build(t.Context(), snapshot.BuildRequest{
			Images: []image.Image{*resolved}, VolumeSize: 2, Parent: parent, Attempt: attempt,
			Started: func(string, int64) {}, Progress: func(int) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	first := made(1, "")
	puts := double.Calls("PutSnapshotBlock")
	second := made(2, first.SnapshotID)
	if second.WithoutParent != nil || double.Calls("PutSnapshotBlock") != puts {
		t.Errorf("%d blocks were sent for the same images, without the parent: %v", double.Calls("PutSnapshotBlock")-puts, second.WithoutParent)
	}
	third := made(3, "snap-0fffffffffffffff0")
	if third.WithoutParent == nil || third.SnapshotID == "" {
		t.Errorf("a parent that is gone: %+v", third)
	}
	if left := double.Snapshots(); len(left) != 3 {
		t.Errorf("%d snapshots are left of three builds", len(left))
	}
	if first.FetchedBytes == 0 || first.StoredBytes == 0 || first.WrittenBytes == 0 || second.FetchedBytes != 0 || second.WrittenBytes != 0 {
		t.Errorf("bytes of a first build and of one upon it: %+v, %+v", first, second)
	}
	for i, want := range []int64{first.StoredBytes, second.StoredBytes} {
		if got := ebs.ContentsOf(double.Snapshots()[i].Tags).StoredBytes; got != want || want == 0 {
			t.Errorf("the tags of snapshot %d tell of %d bytes, want %d", i, got, want)
		}
	}
	layout, err := builds.Layout(t.Context(), second.SnapshotID)
	if err != nil || len(layout.Images) != 1 || layout.Images[0].Reference != reference {
		t.Errorf("what is read back from a snapshot: %+v, %v", layout, err)
	}
}

// TestABuildDoesNotFailForATag: a snapshot is as good without the tag that is put on it once it is complete.
func TestABuildDoesNotFailForATag(t *testing.T) {
	reference := pushSample(t)
	double := fakeaws.NewForTest(t, fakeaws.Options{Denied: []string{"CreateTags"}})
	builds := &builder.InProcess{
		Registries: &snapshot.PullSecrets{Options: image.Options{Keychain: authn.DefaultKeychain}},
		Snapshots:  ebs.New(double.Config(), ebs.Options{}),
	}
	registries, err := builds.Registries.Client(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := registries.Resolve(t.Context(), reference, []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	made, err := builds.Build(t.Context(), snapshot.BuildRequest{
		Images: []image.Image{*resolved}, VolumeSize: 2, Attempt: 1, Started: func(string, int64) {}, Progress: func(int) {},
	})
	if err != nil || made.StoredBytes == 0 || len(double.Snapshots()) != 1 || double.Calls("CreateTags") == 0 {
		t.Errorf("got %+v, %v, and %d snapshots after %d attempts to tag", made, err, len(double.Snapshots()), double.Calls("CreateTags"))
	}
}
