package binding

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// platformHolds tells why a write that the rollout allows is not made now: the platform is at work on the target, or it has
// tried the very same and failed. That is not tried again by itself, since each attempt may replace nodes.
// there is the plan that says what there is.
func platformHolds(binding *v1alpha1.NodeClassBinding, g goal, there Plan, asked bool) *Problem {
	say := sentences{binding, g}
	switch {
	case g.plan.Busy != nil:
		return say.busy(g.plan.Busy)
	case asked, binding.Generation != binding.Status.ObservedGeneration, !hasFailed(&binding.Status, g, there):
		return nil
	default:
		return say.updateFailed(there.Health.Failure)
	}
}

// hasFailed tells whether the platform was asked for this goal last, and failed.
func hasFailed(status *v1alpha1.NodeClassBindingStatus, g goal, there Plan) bool {
	if there.Health.Failure == nil || there.Health.Failure.Reason != v1alpha1.ReasonUpdateFailed {
		return false
	}
	if g.snapshot.ID != "" {
		return there.InPlace == g.snapshot.ID
	}
	// As it was before, the target may name a snapshot of somebody else.
	ours := []string{status.AppliedSnapshotID, status.LastKnownGoodSnapshotID, status.RejectedSnapshotID}
	return there.InPlace == "" || !slices.Contains(ours, there.InPlace)
}

// isInPlace tells whether nodes are launched with the snapshot that was applied last: the target names it, or the platform
// went back to it by itself from one that was rejected.
func isInPlace(binding *v1alpha1.NodeClassBinding, f facts, there Plan, now time.Time) bool {
	applied, rejected := binding.Status.AppliedSnapshotID, binding.Status.RejectedSnapshotID
	if applied == "" || there.InPlace == applied {
		return applied != ""
	}
	earlier, usable := f.earlier[applied]
	if !usable || there.InPlace != rejected {
		return false
	}
	back := f.target.Plan(binding, earlier, now)
	return back.Problem == nil && back.Write == nil
}

func (s sentences) busy(busy *Problem) *Problem {
	return &Problem{
		Reason: busy.Reason, Stalled: busy.Stalled, RetryAfter: busy.RetryAfter, Cause: busy,
		Message: fmt.Sprintf("%s while the platform is changing it: %s; %s", s.waits(), busy.Message, s.meanwhile()),
	}
}

func (s sentences) updateFailed(failure *Problem) *Problem {
	or := ""
	if s.goal.purpose == restore {
		or = "; or set deletionPolicy to Leave"
	}
	return &Problem{
		Reason: v1alpha1.ReasonUpdateFailed, Stalled: true, RetryAfter: failure.RetryAfter, Cause: failure,
		Message: fmt.Sprintf("%s since the last attempt at it failed, and none is made by itself: %s. To try it again: %s%s",
			s.waits(), failure.Message, howToAsk(s.binding), or),
	}
}

// restoring is for a deletion that waits until the platform has done what it was asked for.
func (s sentences) restoring() *Problem {
	return &Problem{
		Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: lookAgain,
		Message: fmt.Sprintf("%s until the platform has carried it out: %s", s.waits(), cmp.Or(s.goal.plan.Progress, "it was asked to")),
	}
}
