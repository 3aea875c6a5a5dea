package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/fakeaws"
)

// built runs larder build with --json and returns its last line.
func built(t *testing.T, arguments ...string) event {
	t.Helper()
	status, out, messages := larder(t.Context(), append([]string{"build", "--json", "--volume-size", "2Gi"}, arguments...)...)
	if status != 0 {
		t.Fatalf("status %d, messages:\n%s", status, messages)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var result event
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil || result.Event != "result" {
		t.Fatalf("the last line is %q (%v), want the result", lines[len(lines)-1], err)
	}
	return result
}

func TestBuildUponAParent(t *testing.T) {
	_, reference := pushSample(t)
	double := startAWS(t, fakeaws.Options{})
	file := filepath.Join(t.TempDir(), "disk.img")
	targets := map[string]struct {
		first, second []string
	}{
		"file":     {[]string{"--output", file}, []string{"--output", file + ".next"}},
		"snapshot": {[]string{"--snapshot"}, []string{"--snapshot"}},
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			image := []string{"--image", reference}
			first := built(t, append(image, target.first...)...)
			if first.Read == 0 || first.Written == 0 || first.KeptLayers != 0 {
				t.Errorf("the first build says %+v", first)
			}
			parent := first.String()
			second := built(t, append(append(image, "--parent", parent), target.second...)...)
			if second.Read != 0 || second.Written != 0 || second.KeptLayers != first.Layers || second.WithoutParent != "" {
				t.Errorf("the same images upon their own volume: %+v", second)
			}
			if status, out, messages := larder(t.Context(), "inspect", second.String()); status != 0 || !strings.Contains(out, reference) {
				t.Errorf("status %d, messages %q, and the table does not name %s:\n%s", status, messages, reference, out)
			}
		})
	}
	double.SetEncryptByDefault(true)
	parent := double.Snapshots()[0].ID
	refused := built(t, "--image", reference, "--snapshot", "--parent", parent)
	if refused.KeptLayers != 0 || !strings.HasPrefix(refused.WithoutParent, "parent "+parent+" cannot be built upon: ") {
		t.Errorf("upon an unencrypted snapshot in an account that encrypts: %+v", refused)
	}
	gone := built(t, "--image", reference, "--snapshot", "--parent", "snap-0fffffffffffffff0")
	if gone.KeptLayers != 0 || !strings.Contains(gone.WithoutParent, "snap-0fffffffffffffff0") {
		t.Errorf("upon a snapshot that does not exist: %+v", gone)
	}
}

// TestOperatorBuildsUponTheLastSnapshot is about what the operator's builds make of a parent.
func TestOperatorBuildsUponTheLastSnapshot(t *testing.T) {
	_, reference := pushSample(t)
	double := startAWS(t, fakeaws.Options{})
	builder := &snapshotBuilder{registries: &snapshot.PullSecrets{Options: image.Options{Keychain: authn.DefaultKeychain}}, snapshots: ebs.New(double.Config(), ebs.Options{})}
	registries, err := builder.registries.Client(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := registries.Resolve(t.Context(), reference, []string{"linux/amd64"})
	if err != nil {
		t.Fatal(err)
	}
	build := func(attempt int64, parent string) snapshot.BuildResult {
		t.Helper()
		result, err := builder.Build(t.Context(), snapshot.BuildRequest{
			Images: []image.Image{*resolved}, VolumeSize: 2, Parent: parent, Attempt: attempt,
			Started: func(string, int64) {}, Progress: func(int) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	first := build(1, "")
	puts := double.Calls("PutSnapshotBlock")
	second := build(2, first.SnapshotID)
	if second.WithoutParent != nil || double.Calls("PutSnapshotBlock") != puts {
		t.Errorf("%d blocks were sent for the same images, without the parent: %v", double.Calls("PutSnapshotBlock")-puts, second.WithoutParent)
	}
	third := build(3, "snap-0fffffffffffffff0")
	if third.WithoutParent == nil || third.SnapshotID == "" {
		t.Errorf("a parent that is gone: %+v", third)
	}
	if left := double.Snapshots(); len(left) != 3 {
		t.Errorf("%d snapshots are left of three builds", len(left))
	}
	if first.FetchedBytes == 0 || first.StoredBytes == 0 || first.WrittenBytes == 0 || second.FetchedBytes != 0 || second.WrittenBytes != 0 {
		t.Errorf("bytes of a first build and of one upon it: %+v, %+v", first, second)
	}
	layout, err := builder.Layout(t.Context(), second.SnapshotID)
	if err != nil || len(layout.Images) != 1 || layout.Images[0].Reference != reference {
		t.Errorf("what is read back from a snapshot: %+v, %v", layout, err)
	}
}
