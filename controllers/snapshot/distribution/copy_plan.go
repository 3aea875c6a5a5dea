package distribution

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	// startWithin bounds both the time from a marker to its CopySnapshot call and the call itself.
	startWithin = 30 * time.Second
	// copyShowsWithin is how long after its marker a copy may come to be and still not be seen.
	copyShowsWithin = 2*startWithin + ebs.AppearsWithin
	// copyRetry is the wait after AWS refused or failed a copy. It does not grow, as a failed copy costs nothing.
	copyRetry = 5 * time.Minute
	// copyInterval is how often a copy in the making is looked at, which takes minutes.
	copyInterval = 30 * time.Second
)

// copyFacts are what a pass has observed of one Region; planCopy decides on nothing else.
type copyFacts struct {
	now      time.Time
	region   string
	sourceID string
	revision int64
	// record is what the written status says of this revision in this Region, or nil.
	record *larderv1alpha1.CopyStatus
	// edited means that the spec has changed since the record was made.
	edited bool
	// found are the snapshots in the Region with the tags of this copy, the oldest first.
	found []ebs.Snapshot
	// description is the one that Larder gives to such a copy.
	description string
	// unusable is why no copy can be made, or nil.
	unusable *Problem
	// unseen is why it is not known what there is in the Region, or nil.
	unseen *Problem
}

// copyDecision is what planCopy makes of copyFacts.
type copyDecision struct {
	// status becomes the Region's in status.copies; nil for none.
	status *larderv1alpha1.CopyStatus
	// start means that status is a new marker, and that AWS is to be asked for a copy once it is written.
	start bool
	// remove are copies to be deleted: those that failed, and a second one.
	remove []ebs.Snapshot
	// problem is why there is no copy, or nil.
	problem *Problem
	// after is when to look again; 0 means not before something changes.
	after time.Duration
}

// planCopy decides the next step of the copy in one Region.
func planCopy(f *copyFacts) copyDecision {
	if f.unseen != nil {
		return copyDecision{status: f.record, problem: f.unseen}
	}
	good, failed := f.sorted()
	switch {
	case len(good) > 0:
		return planFound(f, good, failed)
	case f.unusable != nil:
		return f.fail(larderv1alpha1.CopyStatus{Message: f.unusable.Message}, f.unusable, failed)
	case len(failed) > 0:
		last := failed[len(failed)-1]
		message := fmt.Sprintf("AWS could not copy %s to %s: %s", f.sourceID, f.region,
			cmp.Or(last.StateMessage, "it gave no reason; see that the KMS keys of both Regions may be used"))
		return f.fail(larderv1alpha1.CopyStatus{SnapshotID: last.ID, Message: message}, nil, failed)
	}
	return planMissing(f)
}

// sorted tells usable copies and those in the making from failed ones. A failed one that Larder did not make is
// neither: it is its maker's.
func (f *copyFacts) sorted() (good, failed []ebs.Snapshot) {
	for _, snapshot := range f.found {
		switch {
		case snapshot.State != ebs.StateError:
			good = append(good, snapshot)
		case f.made(snapshot):
			failed = append(failed, snapshot)
		}
	}
	return good, failed
}

// made holds for what Larder made itself. Somebody's copy of a copy has all its tags, but not its description.
func (f *copyFacts) made(snapshot ebs.Snapshot) bool { return snapshot.Description == f.description }

// planFound adopts the copy that there is. Of two, which only a lost answer and a very late listing can lead to, the
// one that is known to be usable stays, or else the oldest.
func planFound(f *copyFacts, good, failed []ebs.Snapshot) copyDecision {
	kept := good[0]
	for _, snapshot := range good {
		if f.record != nil && f.record.SnapshotID == snapshot.ID && snapshot.State == ebs.StateCompleted {
			kept = snapshot
		}
	}
	d := copyDecision{remove: failed}
	for _, snapshot := range good {
		if snapshot.ID != kept.ID && f.made(snapshot) {
			d.remove = append(d.remove, snapshot)
		}
	}
	status := larderv1alpha1.CopyStatus{SnapshotID: kept.ID, State: larderv1alpha1.CopyCompleted}
	if kept.State != ebs.StateCompleted {
		status.State, d.after = larderv1alpha1.CopyPending, copyInterval
	}
	d.status = f.reach(status)
	return d
}

// planMissing decides when AWS shows nothing, which proves nothing soon after a copy was asked for.
func planMissing(f *copyFacts) copyDecision {
	if f.record == nil {
		return f.start()
	}
	since := f.now.Sub(f.record.Time.Time)
	switch f.record.State {
	case larderv1alpha1.CopyStarting, larderv1alpha1.CopyPending:
		if since < copyShowsWithin {
			return copyDecision{status: f.record, after: min(copyInterval, copyShowsWithin-since)}
		}
	case larderv1alpha1.CopyCompleted:
		// As if it had just been asked for: it may have been deleted, or the list may be wrong for a moment.
		status := f.reach(larderv1alpha1.CopyStatus{State: larderv1alpha1.CopyStarting})
		return copyDecision{status: status, after: copyInterval}
	case larderv1alpha1.CopyFailed:
		if since < copyRetry && !f.edited {
			return f.fail(*f.record, nil, nil)
		}
	}
	return f.start()
}

func (f *copyFacts) start() copyDecision {
	now := metav1.NewTime(f.now)
	marker := larderv1alpha1.CopyStatus{Region: f.region, Revision: f.revision, State: larderv1alpha1.CopyStarting, Time: &now}
	return copyDecision{status: &marker, start: true, after: copyInterval}
}

// fail reports a copy that does not come without a person's doing, as far as Larder can tell.
func (f *copyFacts) fail(status larderv1alpha1.CopyStatus, why *Problem, remove []ebs.Snapshot) copyDecision {
	status.State, status.Message = larderv1alpha1.CopyFailed, message.Clip(status.Message, longestCopyMessage)
	if why == nil {
		why = needsPerson(larderv1alpha1.ReasonCopyFailed, "%s; it is tried again every %s", status.Message, copyRetry)
	}
	d := copyDecision{status: f.reach(status), problem: why, remove: remove, after: copyRetry}
	if left := copyRetry - f.now.Sub(d.status.Time.Time); left > 0 {
		d.after = left
	}
	return d
}

// reach completes a status, with the time of the record if it says the same already.
func (f *copyFacts) reach(status larderv1alpha1.CopyStatus) *larderv1alpha1.CopyStatus {
	now := metav1.NewTime(f.now)
	status.Region, status.Revision, status.Time = f.region, f.revision, &now
	if r := f.record; r != nil && r.Time != nil && r.State == status.State && r.SnapshotID == status.SnapshotID && r.Message == status.Message {
		status.Time = r.Time
	}
	return &status
}

// recordOf returns what a written status says of a revision's copy in a Region, or nil. Without a time, which
// only a person can have removed, it says nothing that could be relied upon but that a copy may have been asked for.
func recordOf(copies []larderv1alpha1.CopyStatus, region string, revision int64, now time.Time) *larderv1alpha1.CopyStatus {
	at := slices.IndexFunc(copies, func(c larderv1alpha1.CopyStatus) bool {
		return c.Region == region && c.Revision == revision
	})
	if at < 0 {
		return nil
	}
	record := copies[at].DeepCopy()
	if record.Time == nil {
		record.Time = &metav1.Time{Time: now}
	}
	return record
}
