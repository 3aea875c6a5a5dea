package snapshot

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// checkStatus holds what is true of every status that the controller writes.
func checkStatus(t testing.TB, object *larderv1alpha1.ImageCacheSnapshot) {
	t.Helper()
	conditions := object.Status.Conditions
	ready := meta.FindStatusCondition(conditions, larderv1alpha1.ConditionReady)
	reconciling := meta.FindStatusCondition(conditions, larderv1alpha1.ConditionReconciling)
	stalled := meta.FindStatusCondition(conditions, larderv1alpha1.ConditionStalled)
	if ready == nil {
		t.Errorf("no Ready condition in %+v", conditions)
		return
	}
	if reconciling != nil && stalled != nil {
		t.Errorf("both Reconciling and Stalled are there: %+v", conditions)
	}
	for _, one := range []*metav1.Condition{reconciling, stalled} {
		if one != nil && one.Status != metav1.ConditionTrue {
			t.Errorf("%s is there without being True: %+v", one.Type, one)
		}
	}
	for _, one := range conditions {
		if one.Reason == "" || one.Message == "" || len(one.Message) > message.Longest {
			t.Errorf("%s wants a reason and a message of at most %d bytes: %+v", one.Type, message.Longest, one)
		}
	}
	suspended := ready.Reason == larderv1alpha1.ReasonSuspended
	if suspended && (reconciling != nil || stalled != nil) {
		t.Errorf("suspended, and yet under way or stuck: %+v", conditions)
	}
	if !suspended && ready.Status != metav1.ConditionTrue && reconciling == nil && stalled == nil {
		t.Errorf("not ready, and neither Reconciling nor Stalled says why: %+v", conditions)
	}
	if object.Status.ObservedGeneration > object.Generation {
		t.Errorf("observedGeneration %d is beyond generation %d", object.Status.ObservedGeneration, object.Generation)
	}
	if ready.Status == metav1.ConditionTrue && object.Status.SnapshotID == "" {
		t.Error("Ready without a snapshot")
	}
	if object.Status.SnapshotID != "" && (object.Status.Revision < 1 || object.Status.ContentHash == "" || object.Status.Format == "" ||
		object.Status.Region == "" || object.Status.VolumeSize == nil || len(object.Status.Images) == 0) {
		t.Errorf("a snapshot without all of its particulars: %+v", object.Status)
	}
	checkRevisions(t, object)
	if got, want := computed(t, object), expectedKStatus(object, ready, reconciling, stalled); got != want {
		t.Errorf("kstatus reads %s, want %s: %+v", got, want, conditions)
	}
}

// checkRevisions wants them in order, each with a snapshot of its own, and the current one among them as such.
func checkRevisions(t testing.TB, object *larderv1alpha1.ImageCacheSnapshot) {
	t.Helper()
	status := object.Status
	for i, one := range status.Revisions {
		if i > 0 && one.Number >= status.Revisions[i-1].Number {
			t.Errorf("revisions are not in order: %+v", status.Revisions)
		}
		if current := one.SnapshotID == status.SnapshotID; current != (one.State == larderv1alpha1.RevisionCurrent) ||
			current == (one.SupersededTime != nil) || current && one.Number != status.Revision {
			t.Errorf("the current snapshot is %s of revision %d, and a line says %+v", status.SnapshotID, status.Revision, one)
		}
	}
}

func expectedKStatus(object *larderv1alpha1.ImageCacheSnapshot, ready, reconciling, stalled *metav1.Condition) status.Status {
	switch {
	case object.DeletionTimestamp != nil:
		return status.TerminatingStatus
	case object.Status.ObservedGeneration != object.Generation, reconciling != nil:
		return status.InProgressStatus
	case stalled == nil && ready.Status != metav1.ConditionTrue:
		return status.InProgressStatus
	case stalled != nil:
		return status.FailedStatus
	}
	return status.CurrentStatus
}

// computed is how kstatus's own library reads the object.
func computed(t testing.TB, object *larderv1alpha1.ImageCacheSnapshot) status.Status {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	generic := &unstructured.Unstructured{Object: content}
	generic.SetGroupVersionKind(larderv1alpha1.GroupVersion.WithKind("ImageCacheSnapshot"))
	result, err := status.Compute(generic)
	if err != nil {
		t.Fatalf("kstatus: %v", err)
	}
	return result.Status
}
