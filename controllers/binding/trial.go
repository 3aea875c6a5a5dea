package binding

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// defaultTrial is rollback.after where the API server did not fill it in.
const defaultTrial = 10 * time.Minute

// longestBecause is how much of a failure the status keeps, in bytes: the length that the API allows there.
const longestBecause = 1024

// trial is how the applied snapshot gets on:
//
//	written ──nodes Ready with it, for rollback.after──▶ proven: the last known good one from now on
//	   │                                                   │
//	   │ failed, or lost                                   │ lost: AWS does not have it any more
//	   ├───────────────────────────────────────────────────┘
//	   ├──▶ rejected, and the last known good one is written
//	   └──▶ failing: nobody may, or can, take it back
type trial struct {
	// rejected is the snapshot that is not to be written, and because is why. It is the applied one when that failed just
	// now.
	rejected, because string
	// lost is what AWS says of the applied snapshot when it is gone for good; nil when it is not.
	lost *Problem
	// failing is a failure that is reported and not acted upon.
	failing *Problem
	// healthySince is since when nodes are Ready; nil while none is.
	healthySince *metav1.Time
	// proven tells that they were so for long enough.
	proven bool
	// retryAfter is when they will have been, or when AWS is asked again for one that is lost; zero when neither is to be
	// awaited.
	retryAfter time.Duration
}

// onTrial tells whether the applied snapshot is yet to be proven.
func onTrial(status *v1alpha1.NodeClassBindingStatus) bool {
	good := status.LastKnownGoodProven && status.LastKnownGoodSnapshotID == status.AppliedSnapshotID
	return status.AppliedSnapshotID != "" && !good
}

// judge is pure. What the plan says of health counts only while the applied snapshot is the one in place: right after
// somebody, or an operator that died, wrote another, it is not about the same. A snapshot that is lost fails also when its
// trial is over, since no node boots with it any more.
func judge(binding *v1alpha1.NodeClassBinding, plan Plan, f facts, asked bool, now time.Time) trial {
	status := &binding.Status
	t := trial{rejected: status.RejectedSnapshotID, because: status.RejectedBecause, lost: f.lost}
	if asked {
		t.rejected, t.because = "", ""
	}
	applied, failure := status.AppliedSnapshotID, plan.Health.Failure
	if t.lost != nil {
		failure, t.retryAfter = t.lost, t.lost.RetryAfter
	}
	stays := whyItStays(binding, t.lost != nil)
	switch {
	case plan.InPlace != applied || t.hasRejected(applied):
	case !onTrial(status) && t.lost == nil:
	case failure != nil && stays == "":
		t.reject(applied, failure, f.wanted.ID)
	case failure != nil:
		t.failing = &Problem{
			Reason: failure.Reason, Stalled: true, RetryAfter: failure.RetryAfter, Cause: failure,
			Message: fmt.Sprintf("%s; %s", failure.Message, stays),
		}
	case plan.Health.Proven:
		t.goOn(status.HealthySince, TrialTime(binding), now)
	}
	return t
}

// reject keeps what was rejected before if that is wanted still and the applied one is lost: the status has room for one,
// and AWS itself keeps a lost one from being written.
func (t *trial) reject(applied string, failure *Problem, wanted string) {
	if t.lost != nil && t.hasRejected(wanted) {
		return
	}
	t.rejected, t.because = applied, message.Clip(failure.Error(), longestBecause)
}

// goOn has nodes be Ready.
func (t *trial) goOn(since *metav1.Time, after time.Duration, now time.Time) {
	if t.healthySince = since; since == nil {
		t.healthySince = &metav1.Time{Time: now}
	}
	ends := t.healthySince.Add(after)
	if t.proven = !now.Before(ends); !t.proven {
		t.retryAfter = until(ends, now)
	}
}

// TrialTime is spec.rollout.rollback.after of a binding; zero never rolls back.
func TrialTime(binding *v1alpha1.NodeClassBinding) time.Duration {
	if after := binding.Spec.Rollout.Rollback.After; after != nil {
		return after.Duration
	}
	return defaultTrial
}

// whyItStays tells why a snapshot that failed is left in place; empty when it is not. One that is lost goes also when it
// is the last known good one: nodes that boot without it are better off than none.
func whyItStays(binding *v1alpha1.NodeClassBinding, lost bool) string {
	applied := binding.Status.AppliedSnapshotID
	switch {
	case binding.Spec.Rollout.Paused:
		return applied + " stays all the same, since rollout.paused is set: set it to false to have it taken back"
	case TrialTime(binding) == 0:
		return applied + " stays all the same, since rollout.rollback.after is 0s: set it to 10m to have it taken back"
	case applied == binding.Status.LastKnownGoodSnapshotID && !lost:
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

// wayBack returns what the target is to name instead of a rejected snapshot: the applied one if that is another, and
// there; else the last known good one; and if that is not usable any more, or there never was one, nothing of Larder's.
func wayBack(binding *v1alpha1.NodeClassBinding, f facts, t trial, now time.Time) goal {
	id, why := binding.Status.AppliedSnapshotID, mend
	if t.hasRejected(id) || t.lost != nil && whyItStays(binding, true) == "" {
		id, why = binding.Status.LastKnownGoodSnapshotID, retreat
	}
	snapshot, usable := f.earlier[id]
	if usable && !t.hasRejected(id) {
		if plan := f.target.Plan(binding, snapshot, now); why == mend || plan.Problem == nil {
			return goal{subject: f.subject, snapshot: snapshot, plan: plan, purpose: why}
		}
	}
	if why == mend && id != "" { // in place, and out of reach: it is left alone
		return goal{subject: f.subject, snapshot: Snapshot{ID: id}, purpose: why}
	}
	// Once nothing of Larder's is in place, this takes back what others wrote since, and hurries no more than that does.
	return goal{subject: f.subject, plan: f.target.PlanWithout(binding, now), purpose: why}
}

// forgetLost has a lost snapshot be the last known good one no more.
func (t trial) forgetLost(status *v1alpha1.NodeClassBindingStatus) {
	if t.lost != nil && status.LastKnownGoodSnapshotID == status.AppliedSnapshotID {
		status.LastKnownGoodSnapshotID, status.LastKnownGoodProven = "", false
	}
}

// rolledBack says what became of a rejected snapshot. findings are what speaks against it now, if anything does.
func rolledBack(binding *v1alpha1.NodeClassBinding, t trial, g goal, findings *Problem) *Problem {
	boots := g.subject.serves(g.snapshot.ID) + " instead"
	if g.snapshot.ID == "" {
		boots = fmt.Sprintf("%s is as it was before this binding", g.subject)
	}
	cause := ""
	if g.subject.Evidence != "" {
		cause = " " + g.subject.Evidence
	}
	switch {
	case findings != nil && message.Clip(findings.Error(), longestBecause) == t.because:
		cause = ""
	case findings != nil:
		cause = " What is found to be wrong with it now: " + findings.Error() + "."
	}
	also := ""
	switch applied := binding.Status.AppliedSnapshotID; {
	case t.failing != nil:
		also = fmt.Sprintf(" %s fails too (%s: %s).", g.snapshot.ID, t.failing.Reason, t.failing.Message)
	case t.lost != nil && !t.hasRejected(applied):
		also = fmt.Sprintf(" %s is of no use either (%s).", applied, t.lost.Error())
	}
	return &Problem{
		Reason: v1alpha1.ReasonRolledBack, Stalled: true,
		Message: fmt.Sprintf("%s failed (%s), and %s.%s%s A newer snapshot is tried by itself; to try %s again: %s",
			t.rejected, t.because, boots, also, cause, t.rejected, howToAsk(binding)),
	}
}
