package lifecycle

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

// TestBadInput has each mistake made in an object that is served: its condition says what is wrong and what to do, the
// snapshot that there was keeps serving, and nothing else is made.
func TestBadInput(t *testing.T) {
	type spec = *v1alpha1.ImageCacheSnapshotSpec
	cases := map[string]struct {
		kind, reason string
		says         []string
		mistake      func(*world, spec)
		// unready holds for specs that the snapshot that there was does not serve.
		unready bool
	}{
		"an unknown KMS key": {
			kind: v1alpha1.ConditionStalled, reason: v1alpha1.ReasonKMSKeyUnusable, says: []string{"alias/none", "check its id, ARN or alias"}, unready: true,
			mistake: func(_ *world, s spec) { s.Encryption = &v1alpha1.Encryption{KMSKeyID: "alias/none"} },
		},
		"a Region that is not enabled": {
			kind: v1alpha1.ConditionCopiesReady, reason: v1alpha1.ReasonRegionUnusable, says: []string{"me-south-1", "enable it"},
			mistake: func(_ *world, s spec) { s.Copies = []v1alpha1.RegionalCopy{{Region: "me-south-1"}} },
		},
		"shared although the default key encrypts": {
			kind: v1alpha1.ConditionShared, reason: v1alpha1.ReasonDefaultKeyNotShared, says: []string{"default"},
			mistake: func(_ *world, s spec) { s.SharedWith = []v1alpha1.AccountID{"444455556666"} },
		},
		"a tag policy that matches nothing": {
			kind: v1alpha1.ConditionImagesResolved, reason: v1alpha1.ReasonNoTagMatches, says: []string{"spec.images[1]", "no tag matches the tag policy"}, unready: true,
			mistake: func(w *world, s spec) {
				s.Images = append(s.Images, v1alpha1.CachedImage{
					Image: w.registry.Host() + "/app", TagPolicy: &v1alpha1.TagPolicy{SemVer: &v1alpha1.SemVerPolicy{Range: ">=9"}},
				})
			},
		},
		"an image that is not there": {
			kind: v1alpha1.ConditionImagesResolved, reason: v1alpha1.ReasonImageNotFound, says: []string{"spec.images[1]", "/vanished:1"}, unready: true,
			mistake: func(w *world, s spec) {
				s.Images = append(s.Images, v1alpha1.CachedImage{Image: w.registry.Host() + "/vanished:1"})
			},
		},
		"a pull secret that is missing": {
			kind: v1alpha1.ConditionImagesResolved, reason: v1alpha1.ReasonInvalidPullSecret, says: []string{namespace + "/absent", "create it"},
			mistake: func(_ *world, s spec) { s.ImagePullSecrets = []v1alpha1.PullSecretReference{{Name: "absent"}} },
		},
		"a pull secret of the wrong type": {
			kind: v1alpha1.ConditionImagesResolved, reason: v1alpha1.ReasonInvalidPullSecret, says: []string{"opaque", string(corev1.SecretTypeOpaque)},
			mistake: func(w *world, s spec) {
				w.createSecret("opaque", corev1.SecretTypeOpaque, "{}")
				s.ImagePullSecrets = []v1alpha1.PullSecretReference{{Name: "opaque"}}
			},
		},
		"the same image twice": {
			kind: v1alpha1.ConditionImagesResolved, reason: v1alpha1.ReasonDuplicateImage, says: []string{"spec.images[0]", "spec.images[1]", "remove one"}, unready: true,
			mistake: func(w *world, s spec) {
				s.Images = append(imagesOf(w.registry.Host()+"/same"), v1alpha1.CachedImage{Image: w.registry.Host() + "/same:latest"})
			},
		},
		"a revision that does not exist": {
			kind: v1alpha1.ConditionStalled, reason: v1alpha1.ReasonRevisionNotFound, says: []string{"no revision 7", "choose one of 1"}, unready: true,
			mistake: func(_ *world, s spec) { s.Revision = ptr.To[int64](7) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{aws: fakeaws.Options{EncryptByDefault: true}})
			w.push("same:latest", app("same"))
			w.create("mistaken", v1alpha1.ImageCacheSnapshotSpec{Images: imagesOf(w.push("app:1.0.0", app("1"))), VolumeSize: smallest})
			before := w.untilRevision("mistaken", 1)
			w.edit("mistaken", func(object *v1alpha1.ImageCacheSnapshot) { tc.mistake(w, &object.Spec) })
			wantParts(t, w.untilCondition("mistaken", tc.kind, tc.reason).Message, tc.says...)
			w.run(time.Hour)
			wantParts(t, w.untilCondition("mistaken", tc.kind, tc.reason).Message, tc.says...)
			object := w.object("mistaken")
			if object.Status.SnapshotID != before.Status.SnapshotID || len(w.aws.Snapshots()) != 1 {
				t.Errorf("the snapshot was %s, and is %q of %v", before.Status.SnapshotID, object.Status.SnapshotID, w.snapshotIDs())
			}
			if meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady) == tc.unready {
				t.Errorf("Ready is %+v", conditionOf(object, v1alpha1.ConditionReady))
			}
			if stalled := conditionOf(object, v1alpha1.ConditionStalled); stalled.Reason != tc.reason {
				t.Errorf("a person is needed, and Stalled says %+v", stalled)
			}
			w.edit("mistaken", func(object *v1alpha1.ImageCacheSnapshot) { object.Spec = before.Spec })
			if mended := w.untilRevision("mistaken", 1); mended.Status.SnapshotID != before.Status.SnapshotID {
				t.Errorf("mended, it is %s, want %s", mended.Status.SnapshotID, before.Status.SnapshotID)
			}
		})
	}
}

// TestAnotherNameForTheSameImage builds anew, since a pod finds an image only under the name it is listed by, and takes
// all layers from the snapshot that there is.
func TestAnotherNameForTheSameImage(t *testing.T) {
	w := newWorld(t, options{aws: fakeaws.Options{}})
	first := w.push("app:1", app("1"))
	w.create("renamed", v1alpha1.ImageCacheSnapshotSpec{Images: imagesOf(first), VolumeSize: smallest})
	w.untilRevision("renamed", 1)
	second := w.push("app:stable", app("1"))
	w.edit("renamed", func(object *v1alpha1.ImageCacheSnapshot) { object.Spec.Images = imagesOf(second) })
	object := w.untilRevision("renamed", 2)
	if built := object.Status.Revisions[0]; built.FetchedBytes != 0 || built.Trigger != v1alpha1.TriggerSpecChanged || object.Status.Images[0].Image != second {
		t.Errorf("revision 2: %+v, %+v", built, object.Status.Images)
	}
}

// TestAWSGoneWhileAFinalizerWaits refuses every call that a deletion makes.
func TestAWSGoneWhileAFinalizerWaits(t *testing.T) {
	w := newWorld(t, options{aws: fakeaws.Options{}, registry: registry.Options{}})
	w.create("stuck", v1alpha1.ImageCacheSnapshotSpec{Images: imagesOf(w.push("app:1", app("1"))), VolumeSize: smallest})
	w.untilRevision("stuck", 1)
	for _, action := range []string{
		"DescribeSnapshots", "DeleteSnapshot", "DescribeFastSnapshotRestores", "DescribeLaunchTemplates", "DescribeLaunchTemplateVersions",
		"DescribeAutoScalingGroups", "CreateTags",
	} {
		w.aws.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Denied})
	}
	w.delete("stuck")
	told := w.untilCondition("stuck", v1alpha1.ConditionStalled, v1alpha1.ReasonAccessDenied)
	wantParts(t, told.Message, "DescribeAutoScalingGroups", "set spec.deletionPolicy to Retain")
	w.run(time.Hour)
	if object := w.object("stuck"); object.Name == "" || len(w.aws.Snapshots()) != 1 {
		t.Errorf("an hour later: %+v", object)
	}
	w.edit("stuck", func(object *v1alpha1.ImageCacheSnapshot) { object.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
	w.until("stuck", "gone", func(object *v1alpha1.ImageCacheSnapshot) bool { return object.Name == "" })
	w.aws.Heal()
	w.run(3 * time.Hour)
	if left := w.aws.Snapshots(); len(left) != 1 {
		t.Errorf("what was to be retained: %+v", left)
	}
}
