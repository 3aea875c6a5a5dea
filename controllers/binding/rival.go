package binding

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// maxReverts is how often Larder writes a device again that someone took back. Each round can replace nodes, so it
// stays small: enough for a person who did not know, too few for two programs to keep at it.
const maxReverts = 3

// rivalAfter returns the rival as it stands after this look at the target. A revert counts once, when a device that the
// last pass reported as Applied is found changed by another field manager. A new snapshot or a new spec starts afresh,
// and so does a rival that gave in after Larder had stopped.
func rivalAfter(binding *v1alpha1.NodeClassBinding, snapshot Snapshot, plan Plan, now time.Time) *v1alpha1.Rival {
	status := &binding.Status
	if snapshot.ID == "" || plan.Problem != nil {
		return status.Rival
	}
	if snapshot.ID != status.AppliedSnapshotID || binding.Generation != status.ObservedGeneration {
		return nil
	}
	if plan.Write == nil {
		if hasStopped(status.Rival) {
			return nil
		}
		return status.Rival
	}
	applied := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionApplied)
	if plan.TakenBackBy == "" || applied == nil || applied.Status != metav1.ConditionTrue {
		return status.Rival
	}
	rival := &v1alpha1.Rival{Manager: plan.TakenBackBy, Reverts: 1, Time: &metav1.Time{Time: now}}
	if status.Rival != nil {
		rival.Reverts = status.Rival.Reverts + 1
	}
	return rival
}

// hasStopped tells whether Larder leaves the device to the rival.
func hasStopped(rival *v1alpha1.Rival) bool {
	return rival != nil && rival.Reverts > maxReverts
}

func rivalProblem(binding *v1alpha1.NodeClassBinding, snapshot Snapshot, plan Plan, rival *v1alpha1.Rival) *Problem {
	kind, name := targetOf(binding)
	return &Problem{
		Reason:  v1alpha1.ReasonRivalWriter,
		Stalled: true,
		Message: fmt.Sprintf("%s took back %s of %s %s %d times, so Larder stopped writing it: %s. Then write "+
			"snapshotID %s into the device yourself, or create this binding anew",
			rival.Manager, deviceOf(binding), kind, name, rival.Reverts, plan.Remedy, snapshot.ID),
	}
}
