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

// gitOpsPage has the exact lines for the well-known writers.
const gitOpsPage = "https://github.com/larder-dev/larder/blob/main/docs/gitops.md"

// rivalAfter returns the rival as it stands after this look at the target. A revert counts once, when a device that the
// last pass reported as written is found changed by another field manager. A new snapshot or a new spec starts afresh,
// and so do a target that was made anew, a person who asks to have it written now, and a rival that gave in after Larder
// had stopped.
func rivalAfter(binding *v1alpha1.NodeClassBinding, g goal, asked bool, now time.Time) *v1alpha1.Rival {
	status := &binding.Status
	switch {
	case g.plan.Problem != nil:
		return status.Rival
	case asked, g.plan.Recreated, g.snapshot.ID != status.AppliedSnapshotID, binding.Generation != status.ObservedGeneration:
		return nil
	case g.plan.Write == nil && hasStopped(status.Rival):
		return nil
	case g.plan.Write == nil, g.plan.TakenBackBy == "", !wasInPlace(status):
		return status.Rival
	}
	rival := &v1alpha1.Rival{Manager: g.plan.TakenBackBy, Reverts: 1, Time: &metav1.Time{Time: now}}
	if status.Rival != nil {
		rival.Reverts = status.Rival.Reverts + 1
	}
	return rival
}

// wasInPlace tells whether the last pass left the target as it was to be: with the wanted snapshot, or with what it names
// instead of a rejected one.
func wasInPlace(status *v1alpha1.NodeClassBindingStatus) bool {
	applied := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionApplied)
	return applied != nil && (applied.Status == metav1.ConditionTrue || applied.Reason == v1alpha1.ReasonRolledBack)
}

// hasStopped tells whether Larder leaves the device to the rival.
func hasStopped(rival *v1alpha1.Rival) bool {
	return rival != nil && rival.Reverts > maxReverts
}

func rivalProblem(binding *v1alpha1.NodeClassBinding, g goal, rival *v1alpha1.Rival) *Problem {
	then := "have Larder make it again what it was before the binding: "
	if g.snapshot.ID != "" {
		then = fmt.Sprintf("write snapshotID %s into the device yourself, or have Larder write it again: ", g.snapshot.ID)
	}
	return &Problem{
		Reason:  v1alpha1.ReasonRivalWriter,
		Stalled: true,
		Message: fmt.Sprintf("%s took back %s %d times, so Larder stopped writing it: %s (see %s). Then %s%s",
			rival.Manager, g.subject, rival.Reverts, g.plan.Remedy, gitOpsPage, then, howToAsk(binding)),
	}
}
