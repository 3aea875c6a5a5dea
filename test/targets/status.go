package targets

import (
	"fmt"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// CheckStatus holds what is true of every status, whatever happened.
func CheckStatus(t testing.TB, b *v1alpha1.NodeClassBinding) {
	t.Helper()
	if len(b.Status.Conditions) == 0 {
		return // not looked at yet
	}
	find := func(conditionType string) *metav1.Condition {
		return meta.FindStatusCondition(b.Status.Conditions, conditionType)
	}
	for _, conditionType := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionSnapshotAvailable,
		v1alpha1.ConditionPreflightPassed, v1alpha1.ConditionApplied, v1alpha1.ConditionRolledOut} {
		if find(conditionType) == nil && b.DeletionTimestamp.IsZero() {
			t.Errorf("%s: condition %s is missing", b.Name, conditionType)
		}
	}
	for _, c := range b.Status.Conditions {
		if c.Reason == "" || c.Message == "" {
			t.Errorf("%s: condition %s=%s says not why: reason %q, message %q", b.Name, c.Type, c.Status, c.Reason, c.Message)
		}
	}
	ready, reconciling, stalled := find(v1alpha1.ConditionReady), find(v1alpha1.ConditionReconciling), find(v1alpha1.ConditionStalled)
	want := status.CurrentStatus
	switch {
	case reconciling != nil && stalled != nil:
		t.Errorf("%s: Reconciling and Stalled at once", b.Name)
	case reconciling != nil && reconciling.Status == metav1.ConditionTrue:
		want = status.InProgressStatus
	case stalled != nil && stalled.Status == metav1.ConditionTrue:
		want = status.FailedStatus
	case reconciling != nil || stalled != nil:
		t.Errorf("%s: Reconciling and Stalled are present only while true", b.Name)
	case ready.Status != metav1.ConditionTrue:
		t.Errorf("%s: neither Ready, nor Reconciling, nor Stalled", b.Name)
	}
	if b.Status.ObservedGeneration != 0 && b.Status.ObservedGeneration != b.Generation {
		want = status.InProgressStatus // the spec was changed since, which kstatus looks at first
	}
	if stalled != nil && ready.Status != metav1.ConditionFalse {
		t.Errorf("%s: Stalled and Ready at once", b.Name)
	}
	if applied := find(v1alpha1.ConditionApplied); applied != nil && applied.Status == metav1.ConditionTrue && b.Status.AppliedSnapshotID == "" {
		t.Errorf("%s: Applied without a snapshot", b.Name)
	}
	checkRollout(t, b)
	checkKstatus(t, b, want)
}

// checkRollout holds what is true of the snapshots that a status names, and of what waits.
func checkRollout(t testing.TB, b *v1alpha1.NodeClassBinding) {
	t.Helper()
	s := &b.Status
	if s.AppliedSnapshotID != "" && s.AppliedTime == nil || s.AppliedSnapshotID+s.RejectedSnapshotID == "" && s.AppliedTime != nil {
		t.Errorf("%s: applied is %q, at %v", b.Name, s.AppliedSnapshotID, s.AppliedTime)
	}
	if s.LastKnownGoodSnapshotID != "" && s.LastKnownGoodSnapshotID == s.RejectedSnapshotID {
		t.Errorf("%s: %s is the last known good one and rejected", b.Name, s.RejectedSnapshotID)
	}
	if (s.RejectedSnapshotID == "") != (s.RejectedBecause == "") {
		t.Errorf("%s: rejected %q because of %q", b.Name, s.RejectedSnapshotID, s.RejectedBecause)
	}
	applied := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionApplied)
	if p := s.Pending; p != nil {
		if applied.Status == metav1.ConditionTrue || applied.Reason != p.Why || p.Since == nil {
			t.Errorf("%s: %q waits since %v because of %s, and Applied is %s %s", b.Name, p.SnapshotID, p.Since, p.Why, applied.Status, applied.Reason)
		}
		sum := int32(0)
		for _, pool := range p.NodePools {
			sum += pool.Nodes
		}
		if sum > p.NodesThatWouldBeReplaced || len(p.NodePools) > 100 {
			t.Errorf("%s: %d nodes would be replaced, and those of %d pools are %d", b.Name, p.NodesThatWouldBeReplaced, len(p.NodePools), sum)
		}
	}
	rolledOut := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionRolledOut)
	if rolledOut != nil && rolledOut.Status == metav1.ConditionTrue && (s.AppliedSnapshotID == "" || s.Nodes.Outdated > 0) {
		t.Errorf("%s: RolledOut with %q applied and the nodes %+v", b.Name, s.AppliedSnapshotID, s.Nodes)
	}
}

func checkKstatus(t testing.TB, b *v1alpha1.NodeClassBinding, want status.Status) {
	t.Helper()
	if !b.DeletionTimestamp.IsZero() {
		want = status.TerminatingStatus
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(b)
	if err != nil {
		t.Fatal(err)
	}
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != want {
		t.Errorf("%s: kstatus reads %s (%s), want %s", b.Name, result.Status, result.Message, want)
	}
}

// Describe is a condition in one line, for comparison.
func Describe(b *v1alpha1.NodeClassBinding, conditionType string) string {
	c := meta.FindStatusCondition(b.Status.Conditions, conditionType)
	if c == nil {
		return "absent"
	}
	return fmt.Sprintf("%s %s", c.Status, c.Reason)
}

// Message is what a condition says; empty when it is absent.
func Message(b *v1alpha1.NodeClassBinding, conditionType string) string {
	if c := meta.FindStatusCondition(b.Status.Conditions, conditionType); c != nil {
		return c.Message
	}
	return ""
}
