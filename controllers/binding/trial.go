package binding

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/message"
)

// defaultTrial is rollback.after where the API server did not fill it in.
const defaultTrial = 10 * time.Minute

// longestBecause is how much of a failure the status keeps, in bytes: the length that the API allows there.
const longestBecause = 1024

// trial is how the applied snapshot gets on:
//
//	written ──nodes Ready with it, for rollback.after──▶ proven: the last known good one from now on
//	   │
//	   └──failed──▶ rejected, and the last known good one is written
//	           └──▶ failing: nobody may, or can, take it back
type trial struct {
	// rejected is the snapshot that is not to be written, and because is why. It is the applied one when that failed just
	// now.
	rejected, because string
	// failing is a failure that is reported and not acted upon.
	failing *Problem
	// healthySince is since when nodes are Ready; nil while none is.
	healthySince *metav1.Time
	// proven tells that they were so for long enough.
	proven bool
	// retryAfter is when they will have been; zero when that is not to be awaited.
	retryAfter time.Duration
}

// onTrial tells whether the applied snapshot is yet to be proven.
func onTrial(status *v1alpha1.NodeClassBindingStatus) bool {
	good := status.LastKnownGoodProven && status.LastKnownGoodSnapshotID == status.AppliedSnapshotID
	return status.AppliedSnapshotID != "" && !good
}

// judge is pure. What the plan says of health counts only while the applied snapshot is the one in place: right after
// somebody, or an operator that died, wrote another, it is not about the same.
func judge(binding *v1alpha1.NodeClassBinding, plan Plan, asked bool, now time.Time) trial {
	status := &binding.Status
	t := trial{rejected: status.RejectedSnapshotID, because: status.RejectedBecause}
	if asked {
		t.rejected, t.because = "", ""
	}
	applied := status.AppliedSnapshotID
	if !onTrial(status) || plan.InPlace != applied || t.hasRejected(applied) {
		return t
	}
	after := trialTime(binding)
	if failure := plan.Health.Failure; failure != nil {
		why := whyItStays(binding, after)
		if why == "" {
			t.rejected, t.because = applied, message.Clip(failure.Error(), longestBecause)
			return t
		}
		t.failing = &Problem{
			Reason: failure.Reason, Stalled: true, RetryAfter: failure.RetryAfter, Cause: failure,
			Message: fmt.Sprintf("%s; %s", failure.Message, why),
		}
		return t
	}
	if !plan.Health.Proven {
		return t
	}
	if t.healthySince = status.HealthySince; t.healthySince == nil {
		t.healthySince = &metav1.Time{Time: now}
	}
	ends := t.healthySince.Add(after)
	if t.proven = !now.Before(ends); !t.proven {
		t.retryAfter = until(ends, now)
	}
	return t
}

func trialTime(binding *v1alpha1.NodeClassBinding) time.Duration {
	if after := binding.Spec.Rollout.Rollback.After; after != nil {
		return after.Duration
	}
	return defaultTrial
}

// whyItStays tells why a snapshot that failed is left in place; empty when it is not.
func whyItStays(binding *v1alpha1.NodeClassBinding, after time.Duration) string {
	applied := binding.Status.AppliedSnapshotID
	switch {
	case binding.Spec.Rollout.Paused:
		return applied + " stays all the same, since rollout.paused is set: set it to false to have it taken back"
	case after == 0:
		return applied + " stays all the same, since rollout.rollback.after is 0s: set it to 10m to have it taken back"
	case applied == binding.Status.LastKnownGoodSnapshotID:
		return applied + " was itself brought back, so nothing is left to go back to: have a newer snapshot made, or delete " +
			"this binding to have the device as it was before"
	}
	return ""
}

// demandsAnother tells whether a snapshot is rejected that is in place, or wanted: then the target is to name another.
func (t trial) demandsAnother(binding *v1alpha1.NodeClassBinding, wanted string) bool {
	return t.hasRejected(wanted) || t.hasRejected(binding.Status.AppliedSnapshotID)
}

func (t trial) hasRejected(id string) bool { return id != "" && id == t.rejected }

// wayBack returns what the target is to name instead of a rejected snapshot: the applied one if that is another; else
// the last known good one; and if that is not usable any more, or there never was one, nothing of Larder's.
func wayBack(binding *v1alpha1.NodeClassBinding, f facts, t trial, now time.Time) goal {
	id, why := binding.Status.AppliedSnapshotID, mend
	if t.hasRejected(id) {
		id, why = binding.Status.LastKnownGoodSnapshotID, retreat
	}
	snapshot, usable := f.earlier[id]
	if usable && !t.hasRejected(id) {
		if plan := f.target.Plan(binding, snapshot, now); why == mend || plan.Problem == nil {
			return goal{snapshot: snapshot, plan: plan, purpose: why}
		}
	}
	if why == mend && id != "" { // in place, and out of reach: it is left alone
		return goal{snapshot: Snapshot{ID: id}, purpose: why}
	}
	return goal{plan: f.target.PlanWithout(binding, now), purpose: retreat}
}

// rolledBack says what became of a rejected snapshot. findings are what speaks against it now, if anything does.
func rolledBack(binding *v1alpha1.NodeClassBinding, t trial, g goal, findings *Problem) *Problem {
	_, class := targetOf(binding)
	boots := "new nodes boot with " + g.snapshot.ID + " instead"
	if g.snapshot.ID == "" {
		boots = fmt.Sprintf("%s is as it was before this binding", sentences{binding, g}.device())
	}
	cause := "Karpenter keeps the cause in its log: kubectl logs --namespace kube-system deployment/karpenter | grep " + class
	if findings != nil {
		cause = "What is found to be wrong with it now: " + findings.Error()
	}
	also := ""
	if t.failing != nil {
		also = fmt.Sprintf(" %s fails too (%s: %s).", g.snapshot.ID, t.failing.Reason, t.failing.Message)
	}
	return &Problem{
		Reason: v1alpha1.ReasonRolledBack, Stalled: true,
		Message: fmt.Sprintf("%s failed (%s), and %s.%s %s. A newer snapshot is tried by itself; to try %s again: %s",
			t.rejected, t.because, boots, also, cause, t.rejected, howToAsk(binding)),
	}
}
