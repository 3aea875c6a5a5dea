package snapshot

import (
	"slices"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// leftovers are the object's snapshots that nobody can want. Superseded revisions are not among them: package collection
// decides about those.
func leftovers(f *facts) []ebs.Snapshot {
	if f.build.running() {
		return nil
	}
	var found []ebs.Snapshot
	for _, snapshot := range f.owned {
		_, retained := snapshot.Tags[ebs.TagRetained]
		if snapshot.ID != f.status.SnapshotID && !f.held[snapshot.ID] && !retained && f.isLeftover(snapshot) {
			found = append(found, snapshot)
		}
	}
	return found
}

func (f *facts) isLeftover(snapshot ebs.Snapshot) bool {
	switch snapshot.State {
	case ebs.StatePending:
		return !f.isCompleting(snapshot)
	case ebs.StateError:
		return true
	case ebs.StateCompleted:
		return f.isUnpublished(snapshot) || f.isDuplicate(snapshot)
	}
	return false // a state that we do not make: a person is at work
}

// isCompleting holds for the snapshot that EBS completes for us, as long as it may be what the spec asks for.
func (f *facts) isCompleting(snapshot ebs.Snapshot) bool {
	attempt := f.attempt()
	return attempt.Step == larderv1alpha1.BuildCompleting && attempt.SnapshotID == snapshot.ID &&
		(f.wanted() == "" || f.wanted() == attempt.ContentHash)
}

// isUnpublished holds for a snapshot of the revision in the making that was completed for a spec that is no more.
// It never was in status.snapshotID, so nobody has learnt of it.
func (f *facts) isUnpublished(snapshot ebs.Snapshot) bool {
	revision, wanted := numberTag(&snapshot, ebs.TagRevision), f.wanted()
	return wanted != "" && snapshot.Tags[ebs.TagContentHash] != wanted &&
		revision > f.lastRevision() && revision == f.attempt().Revision
}

// isDuplicate holds for a second snapshot of one revision, by another attempt: a crash at the wrong moment can
// lead to it.
func (f *facts) isDuplicate(snapshot ebs.Snapshot) bool {
	return slices.ContainsFunc(f.owned, func(other ebs.Snapshot) bool {
		return other.State == ebs.StateCompleted &&
			numberTag(&other, ebs.TagRevision) == numberTag(&snapshot, ebs.TagRevision) &&
			numberTag(&other, ebs.TagAttempt) > 0 && numberTag(&snapshot, ebs.TagAttempt) > 0 &&
			numberTag(&other, ebs.TagAttempt) != numberTag(&snapshot, ebs.TagAttempt) &&
			f.preferCurrent(other, snapshot) < 0
	})
}
