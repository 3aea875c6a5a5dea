package snapshot

import (
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// besideScenarios are about the rest of a snapshot's life, as far as a pass takes part in it.
var besideScenarios = map[string]func(*testing.T, *operator){
	"held by a launch template":           testHeldByTemplate,
	"AWS is out of reach for a deletion":  testDeletionWithoutAWS,
	"retained":                            testRetained,
	"something beside it is under way":    testBesideUnderWay,
	"something beside it needs a person":  testBesideStalls,
	"someone copies a snapshot, and tags": testLikeness,
}

func testHeldByTemplate(t *testing.T, o *operator) {
	o.create("a")
	ready := o.untilReady()
	o.beside.templates = []launch.Use{{Name: "launch template lt-1 (workers) version 3, default", SnapshotIDs: []string{ready.Status.SnapshotID}}}
	o.delete()
	o.untilReason(larderv1alpha1.ReasonInUse)
	wantMessage(t, o.object(), "launch template lt-1 (workers) version 3, default")
	o.beside.templates = nil
	o.untilGone()
}

func testDeletionWithoutAWS(t *testing.T, o *operator) {
	o.create("a")
	o.untilReady()
	o.beside.fault = accessDenied()
	o.delete()
	stuck := o.untilReason(larderv1alpha1.ReasonAccessDenied)
	wantMessage(t, stuck, "ebs:StartSnapshot is not allowed", "set spec.deletionPolicy to Retain")
	if stalled := conditionOf(stuck, larderv1alpha1.ConditionStalled); stalled.Status != metav1.ConditionTrue {
		t.Errorf("it needs a person: %+v", stuck.Status.Conditions)
	}
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.DeletionPolicy = larderv1alpha1.DeletionRetain })
	o.until("gone", func(object *larderv1alpha1.ImageCacheSnapshot) bool { return object.Name == "" })
	if !o.beside.retained || o.beside.withdrawn || len(o.cloud.all()) != 1 {
		t.Errorf("the snapshot is left to people: %+v, %+v", o.beside, o.cloud.all())
	}
}

func testRetained(t *testing.T, o *operator) {
	told := make(chan string, 100)
	o.reconciler.Recorder = &events.FakeRecorder{Events: told}
	spec := specOf("a")
	spec.DeletionPolicy = larderv1alpha1.DeletionRetain
	o.createSpec(spec)
	o.untilReady()
	o.delete()
	o.until("gone", func(object *larderv1alpha1.ImageCacheSnapshot) bool { return object.Name == "" })
	close(told)
	var last string
	for one := range told {
		last = one
	}
	wantIn(t, last, "Normal Retained the snapshots, their copies and what was published of them are left to you")
	if !o.beside.retained || o.beside.withdrawn {
		t.Errorf("%+v", o.beside)
	}
}

func testBesideUnderWay(t *testing.T, o *operator) {
	o.beside.outcome = distribution.Outcome{After: 7 * time.Second}
	o.beside.condition = metav1.Condition{
		Type: larderv1alpha1.ConditionCopiesReady, Status: metav1.ConditionFalse, Reason: larderv1alpha1.ReasonCopying, Message: "copying to us-west-2",
	}
	o.create("a")
	ready := o.untilReady()
	o.wantRead(ready, status.InProgressStatus)
	if is := conditionOf(ready, larderv1alpha1.ConditionReconciling); is.Reason != larderv1alpha1.ReasonCopying {
		t.Errorf("Reconciling: %+v", is)
	}
	if result, err := o.pass(); err != nil || result.RequeueAfter != 7*time.Second {
		t.Errorf("the sooner of all wishes counts: %+v, %v", result, err)
	}
	if o.beside.current != ready.Status.SnapshotID || o.beside.woken == 0 {
		t.Errorf("the rest of its life is not told what is current: %+v", o.beside)
	}
	o.beside.outcome, o.beside.condition.Status = distribution.Outcome{}, metav1.ConditionTrue
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	o.wantRead(o.object(), status.CurrentStatus)
}

func testBesideStalls(t *testing.T, o *operator) {
	o.beside.outcome = distribution.Outcome{Problems: []distribution.Problem{
		{Reason: larderv1alpha1.ReasonRegionUnusable, Message: "Region mars-1 is not enabled", NeedsPerson: true},
	}}
	o.create("a")
	ready := o.untilReady()
	o.wantRead(ready, status.FailedStatus)
	if is := conditionOf(ready, larderv1alpha1.ConditionStalled); is.Reason != larderv1alpha1.ReasonRegionUnusable || is.Message != "Region mars-1 is not enabled" {
		t.Errorf("Stalled: %+v", is)
	}
}

func testLikeness(t *testing.T, o *operator) {
	o.create("a")
	ready := o.untilReady()
	for _, state := range []string{ebs.StateCompleted, ebs.StatePending, ebs.StateError} {
		o.cloud.copyByHand(ready.Status.SnapshotID, state)
	}
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	after := o.object()
	if after.Status.SnapshotID != ready.Status.SnapshotID || len(after.Status.Revisions) != 1 || len(o.cloud.all()) != 4 ||
		!meta.IsStatusConditionTrue(after.Status.Conditions, larderv1alpha1.ConditionReady) {
		t.Errorf("what only looks like ours is touched, or counted: %+v, %+v", after.Status, o.cloud.all())
	}
}
