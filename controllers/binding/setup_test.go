package binding

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/larder-dev/larder/api/v1alpha1"
)

func TestSnapshotChanged(t *testing.T) {
	size := resource.MustParse("40Gi")
	cases := map[string]struct {
		reason string
		edit   func(*v1alpha1.ImageCacheSnapshot)
		want   bool
	}{
		"snapshot":         {"another is to be written", func(s *v1alpha1.ImageCacheSnapshot) { s.Status.SnapshotID = "snap-2" }, true},
		"no size any more": {"without it there is no completed snapshot", func(s *v1alpha1.ImageCacheSnapshot) { s.Status.VolumeSize = nil }, true},
		"format":           {"the preflight asks for it", func(s *v1alpha1.ImageCacheSnapshot) { s.Status.Format = v1alpha1.FormatContainerd }, true},
		"region":           {"only snapshots of the own one are usable", func(s *v1alpha1.ImageCacheSnapshot) { s.Status.Region = "eu-west-1" }, true},
		"platforms": {"the preflight asks for them", func(s *v1alpha1.ImageCacheSnapshot) {
			s.Status.Images = []v1alpha1.ImageStatus{{Platforms: []string{"linux/arm64"}}}
		}, true},
		"platforms of the spec": {"they stand for those that the status does not have", func(s *v1alpha1.ImageCacheSnapshot) {
			s.Spec.Platforms = []v1alpha1.Platform{"linux/arm64"}
		}, true},
		"contents": {"the volume is made large enough for them", func(s *v1alpha1.ImageCacheSnapshot) {
			s.Status.Revisions[1].StoredBytes = 1 << 30
		}, true},
		"contents of an earlier revision": {"it may come back", func(s *v1alpha1.ImageCacheSnapshot) {
			s.Status.Revisions[0].StoredBytes = 1 << 30
		}, true},
		"deletion": {"the binding has to let it go", func(s *v1alpha1.ImageCacheSnapshot) { s.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)} }, true},
		"progress of a build": {"it comes every few seconds", func(s *v1alpha1.ImageCacheSnapshot) {
			s.Status.Build = &v1alpha1.BuildStatus{Revision: 3, Step: v1alpha1.BuildWriting, Progress: 40}
		}, false},
		"a condition": {"only what is usable counts", func(s *v1alpha1.ImageCacheSnapshot) {
			s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady}}
		}, false},
		"a revision that is superseded": {"AWS has it for a while", func(s *v1alpha1.ImageCacheSnapshot) {
			s.Status.Revisions[0].SupersededTime = &metav1.Time{}
		}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := &v1alpha1.ImageCacheSnapshot{}
			before.Status.SnapshotID, before.Status.VolumeSize = "snap-1", &size
			before.Status.Format, before.Status.Region = v1alpha1.FormatBottlerocket, "us-west-2"
			before.Status.Revisions = []v1alpha1.RevisionStatus{{SnapshotID: "snap-0"}, {SnapshotID: "snap-1"}}
			after := before.DeepCopy()
			tc.edit(after)
			if got := snapshotChanged(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != tc.want {
				t.Errorf("%s: a pass is asked for: %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}
