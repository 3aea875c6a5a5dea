package snapshot

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/collection"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// TestKilledAtEachCall ends the process before every single call of its passes in turn.
func TestKilledAtEachCall(t *testing.T) {
	killed := true
	for call := 0; killed; call++ {
		t.Run(fmt.Sprintf("call %d", call), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "a", "b")
				w.cloud.hide = ebs.AppearsWithin / 2
				calls := 0
				killed = false
				w.crash = func(string) bool {
					calls++
					killed = killed || calls == call
					return calls == call
				}
				if call == 0 {
					killed = true // undisturbed; the calls are counted from 1
				}
				w.endsWithOneSnapshot()
			})
		})
	}
}

// TestKilledEveryTwoSeconds ends the process while its build writes, and EBS completes.
func TestKilledEveryTwoSeconds(t *testing.T) {
	for second := 0; second < 80; second += 2 {
		t.Run(fmt.Sprintf("second %d", second), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "a", "b")
				w.cloud.hide = 5 * time.Second
				w.runFor(time.Duration(second)*time.Second + 500*time.Millisecond)
				w.kill()
				w.endsWithOneSnapshot()
			})
		})
	}
}

// TestDeletedEverySecond deletes the object while it is built: also between the start of a snapshot and the
// answer that names it, which AWS does not show for a while.
func TestDeletedEverySecond(t *testing.T) {
	for second := range 30 {
		t.Run(fmt.Sprintf("second %d", second), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "a")
				w.cloud.hide = ebs.AppearsWithin / 2
				w.runFor(time.Duration(second)*time.Second + 500*time.Millisecond)
				w.delete()
				w.runFor(collection.DefaultOrphanGrace + 10*time.Minute)
				if object := w.object(); object.Name != "" {
					t.Errorf("the object is still there: %+v", object.Status)
				}
				if left := w.cloud.all(); len(left) > 0 {
					t.Errorf("left in AWS: %+v", left)
				}
			})
		})
	}
}

// endsWithOneSnapshot runs until Ready, and on until nothing can be left to appear.
func (w *world) endsWithOneSnapshot() {
	w.t.Helper()
	w.runUntil("Ready", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return meta.IsStatusConditionTrue(object.Status.Conditions, larderv1alpha1.ConditionReady)
	})
	w.runFor(2 * checkInterval)
	w.checkSettled()
	if all := w.cloud.all(); len(all) != 1 || all[0].ID != w.object().Status.SnapshotID {
		w.t.Errorf("want exactly the current snapshot, got %+v", all)
	}
}
