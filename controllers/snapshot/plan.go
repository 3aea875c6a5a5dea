package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	// progressInterval is how often a running build is reported: each report is a write that every watcher gets.
	progressInterval = 10 * time.Second
	// completionInterval is how often EBS is asked for a snapshot that it completes, which takes minutes. A young one is
	// asked for sooner: it is a small renewal more often than not.
	completionInterval = 15 * time.Second
	// checkInterval is how often it is seen that a snapshot still exists, and that nothing was left beside it.
	checkInterval = 5 * time.Minute

	// firstRetry doubles with each failed attempt, up to slowRetry, which is also for what needs a person.
	firstRetry = 30 * time.Second
	slowRetry  = 10 * time.Minute
	// mostFailures is how many attempts at the same contents may fail in a row: more than an hour's. After that an
	// attempt is made once in exhaustedRetry, since each one costs downloads and puts.
	mostFailures   = 10
	exhaustedRetry = 6 * time.Hour

	// keptErrors and longestError bound what an object says of failed attempts; an error is in bytes.
	keptErrors   = 3
	longestError = 512
)

// action is what a pass does beside deleting leftovers and reporting.
type action string

const (
	doReport action = "Report"
	doCancel action = "Cancel"
	doStart  action = "Start"
)

// decision is what plan makes of facts.
type decision struct {
	do action
	// attempt becomes status.build; nil when there is none to report.
	attempt *larderv1alpha1.BuildStatus
	// current becomes status.snapshotID; nil keeps what is there, unless lost is set.
	current *ebs.Snapshot
	// contents are those of current, or nil when the status has them; act finds them out.
	contents *contents
	// kmsKeyARN is the key of an attempt to start, or empty; act finds it out.
	kmsKeyARN string
	// usable means that status.snapshotID serves the spec: it was made by its recipe, or is the pinned one.
	usable bool
	// upToDate means that nothing else is to be made.
	upToDate bool
	// lost means that the current snapshot was deleted by someone else, or that AWS reports it as failed.
	lost bool
	// leftovers are to be deleted before anything is started.
	leftovers []ebs.Snapshot
	// failed is why the last attempt ended without a snapshot, until the next one is started.
	failed *failedAttempt
	// refused is why the spec cannot be followed.
	refused *failure
	// reason and message say what is going on.
	reason, message string
	// after is when to look again; 0 means not before something changes.
	after time.Duration
}

// plan decides the next step of an object that is not being deleted.
func plan(f *facts) decision {
	d := decide(f)
	d.after = sooner(d.after, f.nextCheck)
	return d
}

func decide(f *facts) decision {
	switch {
	case f.suspended:
		return planSuspended(f)
	case f.build.running():
		return planRunning(f)
	}
	d := decision{do: doReport, attempt: attemptOrNil(f), failed: f.failed, usable: f.usable()}
	if f.unlisted != nil || f.unheld != nil {
		return d // without knowing what exists, nothing may be made or deleted
	}
	d.leftovers = leftovers(f)
	d.lost = f.lostCurrent()
	if f.pin > 0 {
		return planPinned(f, d)
	}
	if current := pickCurrent(f); current != nil {
		d.current, d.usable, d.upToDate, d.failed, d.after = current, true, true, nil, sooner(checkInterval, f.checkAfterBuild)
		d.attempt = f.unfinished(d.attempt, current)
		if f.mayHideAttempt() {
			d.after = completionInterval
		}
		return d
	}
	if _, missing := f.missing[f.status.SnapshotID]; missing && d.usable {
		// AWS may be wrong; until that is sure, nothing changes.
		d.upToDate, d.after = true, completionInterval
		return d
	}
	if wait := settleAttempt(f, &d); wait {
		return d
	}
	return planStart(f, d)
}

// planSuspended changes nothing, and stops what is under way.
func planSuspended(f *facts) decision {
	d := decision{do: doReport, attempt: attemptOrNil(f), failed: f.failed, usable: f.usable()}
	if f.build.running() {
		d.do, d.after = doCancel, progressInterval
	}
	return d
}

// planPinned goes to the pinned revision, or says that there is none.
func planPinned(f *facts, d decision) decision {
	d.failed, d.after = nil, checkInterval
	if pinned := f.revision(f.pin); pinned != nil {
		d.current, d.usable, d.upToDate = pinned, true, true
		return d
	}
	d.usable = false
	d.refused = failure{reason: larderv1alpha1.ReasonRevisionNotFound, needsPerson: true}.with(fmt.Errorf(
		"spec.revision: there is no revision %d: choose one of %s, or leave spec.revision out", f.pin, f.revisionNumbers()))
	return d
}

// usable holds for a current snapshot that is what the spec asks for, or was when its tags were last looked at.
func (f *facts) usable() bool {
	if f.pin > 0 {
		return f.pin == f.status.Revision && f.status.SnapshotID != "" && !f.lostCurrent()
	}
	return f.serving()
}

// planRunning goes on with this process's build, unless the spec was changed to mean something else.
func planRunning(f *facts) decision {
	d := decision{do: doReport, attempt: f.attempt(), after: progressInterval, usable: f.usable()}
	d.reason, d.message = larderv1alpha1.ReasonBuilding, "building "+attemptName(d.attempt)
	if wanted := f.wanted(); f.pin > 0 || wanted != "" && wanted != d.attempt.ContentHash {
		d.do = doCancel
		d.reason, d.message = larderv1alpha1.ReasonProgressing, "stopping the build for an older spec: "+attemptName(d.attempt)
	}
	return d
}

// settleAttempt finds out how an attempt that this process does not run has ended. It returns true while only
// time can tell.
func settleAttempt(f *facts, d *decision) (wait bool) {
	if d.attempt == nil {
		return false
	}
	switch {
	case d.attempt.Step == larderv1alpha1.BuildCompleting:
		return settleCompleting(f, d)
	case f.interrupted():
		return settleInterrupted(f, d)
	}
	return false
}

// completionWait is a quarter of a snapshot's age, within bounds.
func completionWait(f *facts, snapshot *ebs.Snapshot) time.Duration {
	if snapshot == nil {
		return completionInterval
	}
	return min(max(f.now.Sub(snapshot.StartTime)/4, time.Second), completionInterval)
}

func settleCompleting(f *facts, d *decision) (wait bool) {
	snapshot := f.find(d.attempt.SnapshotID)
	superseded := f.wanted() != "" && f.wanted() != d.attempt.ContentHash
	switch {
	case superseded && (snapshot != nil || f.gone(d.attempt.SnapshotID)):
		d.attempt.Step = larderv1alpha1.BuildFailed
		return false
	case snapshot == nil && f.gone(d.attempt.SnapshotID):
		d.fail(f, &failure{
			reason:  larderv1alpha1.ReasonSnapshotFailed,
			message: "snapshot " + d.attempt.SnapshotID + " disappeared before it was completed: someone deleted it",
		})
	case snapshot != nil && snapshot.State == ebs.StateError:
		d.fail(f, &failure{
			reason:  larderv1alpha1.ReasonSnapshotFailed,
			message: clip("EBS could not complete snapshot " + snapshot.ID + ": " + cmp.Or(snapshot.StateMessage, "it gave no reason")),
		})
	default:
		d.reason = larderv1alpha1.ReasonPending
		d.message = "EBS is completing snapshot " + d.attempt.SnapshotID
		d.after = completionWait(f, snapshot)
	}
	return true
}

// settleInterrupted waits until it is sure whether there is a snapshot, since one attempt makes one at most: a
// half-written one is deleted as a leftover, and only then comes the next attempt.
func settleInterrupted(f *facts, d *decision) (wait bool) {
	name := attemptName(d.attempt)
	snapshot := f.find(name)
	undecided := snapshot != nil && snapshot.State == ebs.StateCompleted && f.wanted() == ""
	if f.mayHideAttempt() || undecided {
		d.reason = larderv1alpha1.ReasonProgressing
		d.message = "looking for what was left in AWS when the operator stopped during " + name
		d.after = completionInterval
		return true
	}
	d.attempt.Step = larderv1alpha1.BuildFailed
	return false
}

// planStart starts the next attempt as soon as it is known what to build, and the last failure is old enough.
func planStart(f *facts, d decision) decision {
	if f.failed.waits(f) {
		d.after = f.failed.retryAt.Sub(f.now)
		return d
	}
	if f.resolution == nil {
		return d
	}
	d.do, d.failed = doStart, nil
	d.attempt = nextAttempt(f, d.leftovers)
	d.reason, d.message = larderv1alpha1.ReasonBuilding, "building "+attemptName(d.attempt)
	d.after = progressInterval
	return d
}

// pickCurrent returns the completed snapshot that holds what is wanted. It also finds one that a lost status
// does not name, and one from before the spec was changed and changed back.
func pickCurrent(f *facts) *ebs.Snapshot {
	wanted := f.wanted()
	if wanted == "" {
		return nil
	}
	var fitting []ebs.Snapshot
	for _, snapshot := range f.owned {
		holds := snapshot.Tags[ebs.TagContentHash] == wanted ||
			snapshot.ID == f.status.SnapshotID && f.status.ContentHash == wanted
		if snapshot.State == ebs.StateCompleted && holds {
			fitting = append(fitting, snapshot)
		}
	}
	if len(fitting) == 0 {
		return nil
	}
	best := slices.MinFunc(fitting, f.preferCurrent)
	return &best
}

// preferCurrent orders snapshots: the one in use, then the newest revision, then its newest attempt, since one is
// only made when those before it have failed.
func (f *facts) preferCurrent(a, b ebs.Snapshot) int {
	if a.ID == f.status.SnapshotID || b.ID == f.status.SnapshotID {
		if a.ID == f.status.SnapshotID {
			return -1
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(numberTag(&b, ebs.TagRevision), numberTag(&a, ebs.TagRevision)),
		cmp.Compare(numberTag(&b, ebs.TagAttempt), numberTag(&a, ebs.TagAttempt)),
		cmp.Compare(a.ID, b.ID),
	)
}
