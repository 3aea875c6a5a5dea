package snapshot

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// A status that says the same again must not differ, or every pass would write it, and every watcher get it.
func TestConditionsKeepTheTimeSinceWhenTheyHold(t *testing.T) {
	for name, failed := range map[string]*failure{
		"in progress":    nil,
		"needs a person": {reason: larderv1alpha1.ReasonAccessDenied, message: "denied", needsPerson: true},
	} {
		t.Run(name, func(t *testing.T) {
			status := &larderv1alpha1.ImageCacheSnapshotStatus{}
			c := conditions{status: status, generation: 1, now: time.Unix(1000, 0)}
			d := decision{reason: larderv1alpha1.ReasonBuilding, message: "building"}
			c.summary(d, failed, "", "")
			before := status.DeepCopy()
			c.now = c.now.Add(time.Minute)
			c.summary(d, failed, "", "")
			if diff := cmp.Diff(before.Conditions, status.Conditions); diff != "" {
				t.Errorf("conditions changed by themselves (-before +after):\n%s", diff)
			}
		})
	}
}
