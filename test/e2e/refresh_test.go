package e2e_test

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/fakeaws"
)

// TestRefreshFromPushToCollection moves a tag twice: each time nodes boot from a cheap new revision, and the oldest goes
// when neither the limit nor the binding keeps it.
func TestRefreshFromPushToCollection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeaws.Options{})
	image, err := w.PushRelease(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(e2e.NodeClass)
	w.apply(e2e.FollowingTag(image))
	first := w.eventuallyServes(1)
	second := w.refresh(first)
	third := w.refresh(second)

	oldest, kept := first.Status.SnapshotID, []string{second.Status.SnapshotID, third.Status.SnapshotID}
	NewWithT(t).Eventually(func() []string { return idsOf(w.ownedBy(first)) }, patience, interval).
		Should(Equal(kept), "revision 1, %s, is beyond the limit of 2", oldest)
	for _, id := range kept {
		if contents := w.read(id); len(contents.Images) != 1 {
			t.Errorf("%s holds %d images, want 1", id, len(contents.Images))
		}
	}
}

// refresh pushes the release after a revision and asks for a look.
func (w *world) refresh(before *v1alpha1.ImageCacheSnapshot) *v1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	next := before.Status.Revision + 1
	if _, err := w.PushRelease(w.t.Context(), byte(next)); err != nil {
		w.t.Fatal(err)
	}
	request := fmt.Sprintf("release %d", next)
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcileRequestedAt, request)
	if err := w.Admin.Patch(w.t.Context(), before.DeepCopy(), client.RawPatch(types.MergePatchType, patch)); err != nil {
		w.t.Fatal(err)
	}
	after := w.eventuallyServes(next)
	if after.Status.LastHandledReconcileAt != request {
		w.t.Errorf("the request handled last is %q, want %q", after.Status.LastHandledReconcileAt, request)
	}
	if after.Status.Images[0].Digest == before.Status.Images[0].Digest {
		w.t.Errorf("revision %d holds the image of the one before", next)
	}
	w.checkCheapChild(before, after)
	return after
}

// eventuallyServes waits until a revision is Ready and the EC2NodeClass has it.
func (w *world) eventuallyServes(revision int64) *v1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	snapshot := &v1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: e2e.SnapshotName}}
	eventually(w, snapshot, fmt.Sprintf("revision %d is Ready", revision), func(s *v1alpha1.ImageCacheSnapshot) bool {
		return s.Status.Revision == revision && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)
	})
	binding := &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: e2e.BindingName}}
	eventually(w, binding, "applied: "+snapshot.Status.SnapshotID, func(b *v1alpha1.NodeClassBinding) bool {
		return b.Status.AppliedSnapshotID == snapshot.Status.SnapshotID
	})
	bootsFrom, err := w.BootsFrom(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if bootsFrom != snapshot.Status.SnapshotID {
		w.t.Errorf("the class has %q, want revision %d: %s", bootsFrom, revision, snapshot.Status.SnapshotID)
	}
	return snapshot
}

// checkCheapChild compares what two revisions cost, in the status and in AWS.
func (w *world) checkCheapChild(parent, child *v1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	made, first := child.Status.Revisions[0], child.Status.Revisions[len(child.Status.Revisions)-1]
	if made.Trigger != v1alpha1.TriggerImagesChanged || made.State != v1alpha1.RevisionCurrent || first.Number != 1 {
		w.t.Errorf("the revisions are %+v, want the current one first, made since an image changed", child.Status.Revisions)
	}
	if made.FetchedBytes == 0 || made.FetchedBytes*10 > first.FetchedBytes || made.WrittenBytes == 0 || made.WrittenBytes*2 > first.WrittenBytes {
		w.t.Errorf("revision %d fetched %d bytes and wrote %d, too many beside %d and %d of the first",
			made.Number, made.FetchedBytes, made.WrittenBytes, first.FetchedBytes, first.WrittenBytes)
	}
	for _, snapshot := range w.ownedBy(child) {
		if snapshot.ID == made.SnapshotID && snapshot.ParentID != parent.Status.SnapshotID {
			w.t.Errorf("the parent of %s is %q, want %s", snapshot.ID, snapshot.ParentID, parent.Status.SnapshotID)
		}
	}
}

func idsOf(snapshots []fakeaws.Snapshot) []string {
	var ids []string
	for _, snapshot := range snapshots {
		ids = append(ids, snapshot.ID)
	}
	return ids
}
