package snapshot

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	// progressInterval is how often a running build is reported: each report is a write that every watcher gets.
	progressInterval = 10 * time.Second
	// completionInterval is how often EBS is asked for a snapshot that it completes, which takes minutes.
	completionInterval = 15 * time.Second
	// checkInterval is how often it is seen that a snapshot still exists, and that nothing was left beside it.
	checkInterval = 5 * time.Minute

	// firstRetry doubles with each failed attempt, up to slowRetry, which is also for what needs a person.
	firstRetry = 30 * time.Second
	slowRetry  = 10 * time.Minute
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
	// usable means that status.snapshotID holds what the spec asks for.
	usable bool
	// lost means that the current snapshot was deleted by someone else.
	lost bool
	// leftovers are to be deleted before anything is started.
	leftovers []ebs.Snapshot
	// failed is why the last attempt ended without a snapshot, until the next one is started.
	failed *failedAttempt
	// reason and message say what is going on while the snapshot is not usable.
	reason, message string
	// after is when to look again; 0 means not before something changes.
	after time.Duration
}

// plan decides the next step of an object that is not being deleted.
func plan(f *facts) decision {
	if f.build.running() {
		return planRunning(f)
	}
	d := decision{do: doReport, attempt: attemptOrNil(f), failed: f.failed, usable: f.usableAsRecorded()}
	if f.unlisted != nil || f.unheld != nil {
		return d // without knowing what exists, nothing may be made or deleted
	}
	d.leftovers = leftovers(f)
	d.lost = f.gone(f.status.SnapshotID)
	if current := pickCurrent(f); current != nil {
		d.current, d.usable, d.failed, d.after = current, true, nil, checkInterval
		d.attempt = f.unfinished(d.attempt, current)
		return d
	}
	if _, missing := f.missing[f.status.SnapshotID]; missing && d.usable && !d.lost {
		d.after = completionInterval // AWS may be wrong; until that is sure, nothing changes
		return d
	}
	d.usable = false
	if wait := settleAttempt(f, &d); wait {
		return d
	}
	return planStart(f, d)
}

// planRunning goes on with this process's build, unless it is for a spec that was changed to mean something else.
func planRunning(f *facts) decision {
	d := decision{do: doReport, attempt: f.attempt(), after: progressInterval, usable: f.usableAsRecorded()}
	d.reason, d.message = larderv1alpha1.ReasonBuilding, "building "+attemptName(d.attempt)
	if wanted := f.wanted(); wanted != "" && wanted != d.attempt.ContentHash {
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

func settleCompleting(f *facts, d *decision) (wait bool) {
	snapshot := f.find(d.attempt.SnapshotID)
	superseded := f.wanted() != "" && f.wanted() != d.attempt.ContentHash
	switch {
	case superseded && (snapshot != nil || f.gone(d.attempt.SnapshotID)):
		end(d.attempt, "the spec changed before the snapshot was completed")
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
		d.after = completionInterval
	}
	return true
}

// settleInterrupted waits until it is sure whether there is a snapshot, since one attempt makes one at most: a
// half-written one is deleted as a leftover, and only then comes the next attempt.
func settleInterrupted(f *facts, d *decision) (wait bool) {
	name := attemptName(d.attempt)
	snapshot := f.find(name)
	unseen := snapshot == nil && !f.gone(name)
	undecided := snapshot != nil && snapshot.State == ebs.StateCompleted && f.wanted() == ""
	if unseen || undecided {
		d.reason = larderv1alpha1.ReasonProgressing
		d.message = "looking for what was left in AWS when the operator stopped during " + name
		d.after = completionInterval
		return true
	}
	end(d.attempt, "the operator stopped during this attempt")
	return false
}

// planStart starts the next attempt as soon as it is known what to build, and the last failure is old enough.
func planStart(f *facts, d decision) decision {
	if d.failed != nil && !f.retryDue() {
		d.after = d.failed.retryAt.Sub(f.now)
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

// nextAttempt numbers a revision after the last one that has a snapshot, and an attempt after all that were
// ever made at that revision, since AWS remembers the client token of each.
func nextAttempt(f *facts, leftovers []ebs.Snapshot) *larderv1alpha1.BuildStatus {
	revision := f.status.Revision
	for _, snapshot := range f.owned {
		leaves := slices.ContainsFunc(leftovers, func(l ebs.Snapshot) bool { return l.ID == snapshot.ID })
		if snapshot.State == ebs.StateCompleted && !leaves {
			revision = max(revision, numberTag(&snapshot, ebs.TagRevision))
		}
	}
	revision++
	attempt := int64(0)
	if last := f.attempt(); last.Revision == revision {
		attempt = last.Attempt
	}
	for _, snapshot := range f.owned {
		if numberTag(&snapshot, ebs.TagRevision) == revision {
			attempt = max(attempt, numberTag(&snapshot, ebs.TagAttempt))
		}
	}
	started := metav1.NewTime(f.now)
	return &larderv1alpha1.BuildStatus{
		Revision:    revision,
		ContentHash: f.resolution.contentHash,
		Attempt:     attempt + 1,
		Step:        larderv1alpha1.BuildStarting,
		StartTime:   &started,
	}
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
			snapshot.ID == f.status.SnapshotID && f.usableAsRecorded()
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

// unfinished keeps an attempt that did not lead to the current snapshot: its number must not be used again.
func (f *facts) unfinished(attempt *larderv1alpha1.BuildStatus, current *ebs.Snapshot) *larderv1alpha1.BuildStatus {
	if attempt == nil || attempt.Revision <= max(f.status.Revision, numberTag(current, ebs.TagRevision)) {
		return nil
	}
	if attempt.Step != larderv1alpha1.BuildFailed {
		end(attempt, "the spec was changed back to what a snapshot holds already")
	}
	return attempt
}

// usableAsRecorded says what the status alone tells.
func (f *facts) usableAsRecorded() bool {
	return f.status.SnapshotID != "" && f.wanted() != "" && f.status.ContentHash == f.wanted()
}

func attemptOrNil(f *facts) *larderv1alpha1.BuildStatus {
	attempt := f.attempt()
	if attempt.Revision == 0 {
		return nil
	}
	return attempt
}

// end marks an attempt that is over without anyone's fault.
func end(attempt *larderv1alpha1.BuildStatus, message string) {
	attempt.Step = larderv1alpha1.BuildFailed
	attempt.Errors = []larderv1alpha1.AttemptError{{Attempt: attempt.Attempt, Reason: larderv1alpha1.ReasonBuildFailed, Message: message}}
}

// fail marks an attempt that EBS has failed.
func (d *decision) fail(f *facts, why *failure) {
	d.failed = newFailedAttempt(*d.attempt, f.generation, why, f.now)
	d.attempt = d.failed.build.DeepCopy()
	d.after = d.failed.retryAt.Sub(f.now)
}

func newFailedAttempt(build larderv1alpha1.BuildStatus, generation int64, why *failure, at time.Time) *failedAttempt {
	failed := &failedAttempt{build: *build.DeepCopy(), generation: generation, failure: why, retryAt: at.Add(slowRetry)}
	end(&failed.build, why.message)
	if !why.needsPerson {
		failed.retryAt = at.Add(retryDelay(build.Attempt))
	}
	return failed
}

// retryDelay is the wait after the given attempt, counted from 1.
func retryDelay(attempt int64) time.Duration {
	delay := firstRetry
	for ; attempt > 1 && delay < slowRetry; attempt-- {
		delay *= 2
	}
	return min(delay, slowRetry)
}
