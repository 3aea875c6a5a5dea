package binding

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// settle records which snapshot the target names now, which one to go back to, and which one never to write again. It
// tells whether another snapshot took the place of the one before.
func settle(status *v1alpha1.NodeClassBindingStatus, d decision, now time.Time) bool {
	status.HealthySince = d.trial.healthySince
	if d.trial.proven {
		status.LastKnownGoodSnapshotID, status.LastKnownGoodProven = status.AppliedSnapshotID, true
	}
	d.trial.forgetLost(status)
	if !d.reached() {
		return false
	}
	id, before := d.goal.snapshot.ID, status.AppliedSnapshotID
	wasBad := before == "" || before == d.trial.rejected || before == status.RejectedSnapshotID || d.trial.lost != nil
	status.RejectedSnapshotID, status.RejectedBecause = d.rejection(id)
	switch {
	case id == before && d.goal.plan.Recreated:
		status.AppliedTime, status.HealthySince = &metav1.Time{Time: now}, nil
		return true
	case id == before:
		return false
	case !wasBad && !status.LastKnownGoodProven:
		status.LastKnownGoodSnapshotID = before
	}
	status.AppliedSnapshotID, status.AppliedTime, status.HealthySince = id, &metav1.Time{Time: now}, nil
	return true
}

// reached tells whether the target names what it was to name.
func (d decision) reached() bool { return d.goal != nil && (!d.failed || d.upkeep) }

// serves tells whether new nodes boot with a snapshot of the binding.
func (d decision) serves() bool {
	if d.reached() {
		return d.goal.snapshot.ID != ""
	}
	return d.inPlace
}

// rejection is the snapshot that stays rejected once the target names another.
func (d decision) rejection(named string) (id, because string) {
	if d.trial.rejected == named {
		return "", ""
	}
	return d.trial.rejected, message.Clip(d.trial.because, longestBecause)
}
