package e2e_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

// TestDeletionOfWhatIsPublished: what others may read of an object goes with it, and the snapshot that they may use stays
// for a while; with Retain all of it stays, for good.
func TestDeletionOfWhatIsPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeaws.Options{})
	// The deletion wakes the collection, which then sees to both: the one to be retained comes first.
	retained, deleted := w.newPublished("retained", v1alpha1.DeletionRetain), w.newPublished("deleted", v1alpha1.DeletionDelete)
	for _, object := range []*v1alpha1.ImageCacheSnapshot{retained, deleted} {
		w.delete(object)
	}

	w.checkPublished(retained)
	w.eventuallyTagged(retained, ebs.TagRetained)

	if parameter, there := w.AWS.Parameter(deleted.Spec.Publish.SSMParameter); there {
		t.Errorf("the parameter %+v is left", parameter)
	}
	if _, err := w.publishedConfigMap(deleted); !errors.IsNotFound(err) {
		t.Errorf("the ConfigMap is left: %v", err)
	}
	w.eventuallyTagged(deleted, ebs.TagSupersededAt)
	for _, object := range []*v1alpha1.ImageCacheSnapshot{retained, deleted} {
		if contents := w.read(object.Status.SnapshotID); len(contents.Images) != len(w.Images) {
			t.Errorf("the snapshot of %s holds %d images, want %d", object.Name, len(contents.Images), len(w.Images))
		}
	}
}

// newPublished makes an object, and checks what others can read of it.
func (w *world) newPublished(name string, policy v1alpha1.DeletionPolicy) *v1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	object := w.newSnapshot(name, func(spec *v1alpha1.ImageCacheSnapshotSpec) {
		spec.DeletionPolicy = policy
		spec.Publish = &v1alpha1.Publish{SSMParameter: "/larder/" + name, ConfigMap: &v1alpha1.ConfigMapReference{Name: name}}
	})
	eventually(w, object, "Ready and Published", func(o *v1alpha1.ImageCacheSnapshot) bool {
		return meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady) &&
			meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionPublished)
	})
	w.checkPublished(object)
	return object
}

func (w *world) checkPublished(object *v1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	id := object.Status.SnapshotID
	if parameter, there := w.AWS.Parameter(object.Spec.Publish.SSMParameter); !there || parameter.Value != id {
		w.t.Errorf("the parameter is %+v, want %s", parameter, id)
	}
	published, err := w.publishedConfigMap(object)
	if err != nil {
		w.t.Fatal(err)
	}
	if published.Data["snapshotID"] != id || published.Data["format"] != string(object.Status.Format) {
		w.t.Errorf("the ConfigMap says %v, want %s", published.Data, id)
	}
}

func (w *world) publishedConfigMap(object *v1alpha1.ImageCacheSnapshot) (*corev1.ConfigMap, error) {
	found := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "larder-system", Name: object.Spec.Publish.ConfigMap.Name}}
	return found, w.Admin.Get(w.t.Context(), client.ObjectKeyFromObject(found), found)
}

// delete deletes an object and waits until it is gone.
func (w *world) delete(object *v1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	if err := w.Admin.Delete(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
	w.eventuallyGone(object.DeepCopy())
}

// eventuallyTagged waits for what the collection writes on the only snapshot of an object that is gone.
func (w *world) eventuallyTagged(object *v1alpha1.ImageCacheSnapshot, key string) {
	w.t.Helper()
	NewWithT(w.t).Eventually(func() []fakeaws.Snapshot { return w.ownedBy(object) }, patience, interval).
		Should(ConsistOf(And(
			HaveField("ID", object.Status.SnapshotID),
			HaveField("State", ebs.StateCompleted),
			HaveField("Tags", HaveKey(key)),
		)))
}
