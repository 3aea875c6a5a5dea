package lifecycle

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/collection"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

// app is an image of a large layer that stays and a small one that says its version.
func app(version string) registry.Image {
	return registry.Image{Layers: []registry.Layer{
		{Entries: []registry.Entry{{Name: "base", Content: large}}, Compression: registry.Uncompressed},
		{Entries: []registry.Entry{{Name: "version", Content: []byte(version)}}},
	}}
}

// large is several blocks' worth.
var large = []byte(strings.Repeat("what stays from one version to the next\n", 100_000))

// smallest is the size of volume that is built soonest.
var smallest = ptr.To(resource.MustParse("2Gi"))

func imagesOf(references ...string) []v1alpha1.CachedImage {
	var images []v1alpha1.CachedImage
	for _, reference := range references {
		images = append(images, v1alpha1.CachedImage{Image: reference})
	}
	return images
}

func (w *world) snapshotIDs() []string {
	var ids []string
	for _, one := range w.aws.Snapshots() {
		ids = append(ids, one.ID)
	}
	return ids
}

func TestRefresh(t *testing.T) {
	w := newWorld(t, options{aws: fakeaws.Options{PendingFor: 30 * time.Second}})
	reference := w.push("app:latest", app("1"))
	w.create("refresh", v1alpha1.ImageCacheSnapshotSpec{
		Images: imagesOf(reference), VolumeSize: smallest, RevisionHistoryLimit: ptr.To[int32](2),
	})
	first := w.untilRevision("refresh", 1)
	pushed := w.clock.Now()
	w.push("app:latest", app("2"))
	second := w.untilRevision("refresh", 2)
	if late := w.clock.Now().Sub(pushed); late > 12*time.Minute {
		t.Errorf("the second revision took %s", late)
	}
	full, small := second.Status.Revisions[1], second.Status.Revisions[0]
	if small.FetchedBytes == 0 || small.FetchedBytes*100 > full.FetchedBytes || small.WrittenBytes == 0 || small.WrittenBytes*2 > full.WrittenBytes {
		t.Errorf("the first build fetched %d bytes and wrote %d, the one upon it %d and %d", full.FetchedBytes, full.WrittenBytes, small.FetchedBytes, small.WrittenBytes)
	}
	if full.Trigger != v1alpha1.TriggerCreated || small.Trigger != v1alpha1.TriggerImagesChanged || full.State != v1alpha1.RevisionSuperseded {
		t.Errorf("revisions: %+v", second.Status.Revisions)
	}

	w.push("app:latest", app("3"))
	third := w.untilRevision("refresh", 3)
	w.run(5 * time.Minute)
	want := []string{second.Status.SnapshotID, third.Status.SnapshotID}
	if got := w.snapshotIDs(); !slices.Equal(got, want) {
		t.Errorf("in AWS are %v, want %v: the first was %s", got, want, first.Status.SnapshotID)
	}

	w.registry.ForgetRequests()
	reads := w.aws.Calls("GetSnapshotBlock")
	w.edit("refresh", func(object *v1alpha1.ImageCacheSnapshot) { object.Spec.Revision = ptr.To[int64](2) })
	pinned := w.untilRevision("refresh", 2)
	if pinned.Status.SnapshotID != second.Status.SnapshotID || len(pinned.Status.Images) != 1 ||
		pinned.Status.Images[0].Digest != second.Status.Images[0].Digest || pinned.Status.Images[0].Image != reference {
		t.Errorf("revision 2 was %+v, and after the rollback is %+v", second.Status.Images, pinned.Status.Images)
	}
	if w.aws.Calls("GetSnapshotBlock") == reads || len(w.registry.Requests()) > 0 {
		t.Errorf("a rollback reads the snapshot and asks no registry: %+v", w.registry.Requests())
	}
	w.run(time.Hour)
	if again := w.object("refresh"); again.Status.SnapshotID != second.Status.SnapshotID || len(w.aws.Snapshots()) != 2 {
		t.Errorf("an hour later: %+v, %v", again.Status, w.snapshotIDs())
	}

	w.edit("refresh", func(object *v1alpha1.ImageCacheSnapshot) { object.Spec.Revision = nil })
	if forward := w.untilRevision("refresh", 3); forward.Status.SnapshotID != third.Status.SnapshotID {
		t.Errorf("without the pin it is %s, want the newest again: %s", forward.Status.SnapshotID, third.Status.SnapshotID)
	}
	w.delete("refresh")
	w.until("refresh", "gone", func(object *v1alpha1.ImageCacheSnapshot) bool { return object.Name == "" })
	w.run(collection.DefaultOrphanGrace + 5*time.Minute)
	if left := w.snapshotIDs(); len(left) > 0 {
		t.Errorf("left in AWS: %v", left)
	}
}
