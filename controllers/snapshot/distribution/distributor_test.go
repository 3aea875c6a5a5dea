package distribution

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

func everything() larderv1alpha1.ImageCacheSnapshotSpec {
	return larderv1alpha1.ImageCacheSnapshotSpec{
		Copies: copiesIn("us-west-2", "ap-south-1"), SharedWith: []larderv1alpha1.AccountID{alice},
		FastSnapshotRestore: restoresIn("a"), Publish: publishTo("/larder/a", "a"),
	}
}

// TestTheSteadyStateOnlyReads counts the reads, too: they are made every few minutes for every object.
func TestTheSteadyStateOnlyReads(t *testing.T) {
	w := newWorld(t, everything())
	w.settle()
	w.build(2)
	before := w.settle()
	w.cloud.forgetCalls()
	after := w.mustPass()
	if len(w.cloud.writes) > 0 || before.ResourceVersion != after.ResourceVersion || len(w.outcome.Problems) > 0 {
		t.Errorf("a settled object was written to: %v, problems %v", w.cloud.writes, w.outcome.Problems)
	}
	// One Find for each Region, SharedWith for the current and the superseded revision, one of each other.
	want := map[string]int{"Find": 2, "SharedWith": 2, "FastRestores": 1, "GetParameter": 1, "GetConfigMap": 1}
	if diff := cmp.Diff(want, w.cloud.reads); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

func TestWhoAsksForNothingCostsNothing(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{})
	w.build(2)
	object := w.settle()
	if len(w.cloud.reads)+len(w.cloud.writes) > 0 || len(object.Status.Conditions) > 0 {
		t.Errorf("calls %v and %v, conditions %v", w.cloud.reads, w.cloud.writes, object.Status.Conditions)
	}
}

func TestAllWaitForTheSnapshotToBeCompleted(t *testing.T) {
	w := newWorld(t, everything())
	w.current.State, w.current.readyAt = ebs.StatePending, epoch.Add(1)
	w.mustPass()
	if len(w.cloud.reads)+len(w.cloud.writes) > 1 { // the status is written
		t.Errorf("calls %v and %v", w.cloud.reads, w.cloud.writes)
	}
	for kind := range asked(everything()) {
		if got := w.condition(kind); got.Reason != larderv1alpha1.ReasonProgressing {
			t.Errorf("%s is %+v", kind, got)
		}
	}
	w.wait(2)
	object := w.settle()
	for kind := range asked(everything()) {
		if !meta.IsStatusConditionTrue(object.Status.Conditions, kind) {
			t.Errorf("%s is %+v", kind, w.condition(kind))
		}
	}
}

// TestMessagesAreBounded has every Region fail with as much as AWS may say. mustPass checks the lengths.
func TestMessagesAreBounded(t *testing.T) {
	var regions []string
	for i := range 20 {
		regions = append(regions, fmt.Sprintf("ap-northeast-%d", i+1))
	}
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn(regions...)})
	w.cloud.before = func(_, call string) error {
		if call == "Copy" {
			return fmt.Errorf("%0600d: %w", 0, awsError("InvalidParameterValue"))
		}
		return nil
	}
	w.mustPass()
	if got := states(w.mustPass()); len(got) != 20 || got[regions[19]] != larderv1alpha1.CopyFailed {
		t.Errorf("status.copies is %v", got)
	}
}
