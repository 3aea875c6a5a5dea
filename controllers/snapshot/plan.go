package snapshot

import (
	"cmp"
	"errors"
	"fmt"
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
		d.after = completionInterval
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

// nextAttempt numbers a revision after the last one that has a snapshot, and never before one that was tried, and an
// attempt after all that were ever made at that revision, since AWS remembers the client token of each.
func nextAttempt(f *facts, leftovers []ebs.Snapshot) *larderv1alpha1.BuildStatus {
	revision := f.lastRevision()
	for _, snapshot := range f.owned {
		leaves := slices.ContainsFunc(leftovers, func(l ebs.Snapshot) bool { return l.ID == snapshot.ID })
		if snapshot.State == ebs.StateCompleted && !leaves {
			revision = max(revision, numberTag(&snapshot, ebs.TagRevision))
		}
	}
	last := f.attempt()
	revision = max(revision+1, last.Revision)
	attempt := int64(0)
	if last.Revision == revision {
		attempt = last.Attempt
	}
	for _, snapshot := range f.owned {
		if numberTag(&snapshot, ebs.TagRevision) == revision {
			attempt = max(attempt, numberTag(&snapshot, ebs.TagAttempt))
		}
	}
	started := metav1.NewTime(f.now)
	next := &larderv1alpha1.BuildStatus{
		Revision:         revision,
		ContentHash:      f.resolution.contentHash,
		RecipeHash:       f.recipe,
		Trigger:          f.trigger(),
		Attempt:          attempt + 1,
		Step:             larderv1alpha1.BuildStarting,
		ParentSnapshotID: f.parent(),
		StartTime:        &started,
	}
	if last.ContentHash == next.ContentHash {
		next.Failures, next.Errors = last.Failures, last.Errors
	}
	return next
}

// trigger is why something new has to be made.
func (f *facts) trigger() larderv1alpha1.Trigger {
	switch {
	case f.lostCurrent():
		return larderv1alpha1.TriggerSnapshotLost
	case f.lastRevision() == 0:
		return larderv1alpha1.TriggerCreated
	case f.status.RecipeHash != f.recipe:
		return larderv1alpha1.TriggerSpecChanged
	}
	return larderv1alpha1.TriggerImagesChanged
}

// parent is the last snapshot, if it is in our record with our tags and can be built upon: a child is encrypted as its
// parent is.
func (f *facts) parent() string {
	last := f.find(f.status.SnapshotID)
	if f.status.SnapshotID == "" || last == nil || last.State != ebs.StateCompleted || last.Tags[tagKMSKeyID] != f.kmsKeyID {
		return ""
	}
	return last.ID
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

// unfinished keeps an attempt that did not lead to the current snapshot: its number must not be used again. One that was
// interrupted stays what it is until it is sure whether there is a snapshot.
func (f *facts) unfinished(attempt *larderv1alpha1.BuildStatus, current *ebs.Snapshot) *larderv1alpha1.BuildStatus {
	if attempt == nil || attempt.Revision <= max(f.lastRevision(), numberTag(current, ebs.TagRevision)) {
		return nil
	}
	if f.mayHideAttempt() {
		return attempt
	}
	attempt.Step = larderv1alpha1.BuildFailed
	attempt.Failures, attempt.Errors = 0, nil // there is nothing to try again
	return attempt
}

func attemptOrNil(f *facts) *larderv1alpha1.BuildStatus {
	attempt := f.attempt()
	if attempt.Revision == 0 {
		return nil
	}
	return attempt
}

// fail marks an attempt that EBS has failed.
func (d *decision) fail(f *facts, why *failure) {
	d.failed = newFailedAttempt(*d.attempt, why, f.now)
	d.attempt = d.failed.build.DeepCopy()
	d.after = d.failed.retryAt.Sub(f.now)
}

func newFailedAttempt(build larderv1alpha1.BuildStatus, why *failure, at time.Time) *failedAttempt {
	ended := *build.DeepCopy()
	ended.Step = larderv1alpha1.BuildFailed
	ended.Failures++
	ended.Errors = append([]larderv1alpha1.AttemptError{{
		Attempt: build.Attempt,
		Time:    metav1.NewTime(at),
		Reason:  why.reason,
		Message: clipTo(why.message, longestError),
	}}, ended.Errors...)
	ended.Errors = ended.Errors[:min(len(ended.Errors), keptErrors)]
	return failedAt(ended, why)
}

// recordedFailure is what the status tells of a failed attempt by a recipe: after a restart its time has to be waited
// for all the same.
func recordedFailure(build *larderv1alpha1.BuildStatus, recipe string) *failedAttempt {
	if build == nil || build.Step != larderv1alpha1.BuildFailed || build.RecipeHash != recipe ||
		len(build.Errors) == 0 || build.Errors[0].Attempt != build.Attempt {
		return nil
	}
	last := build.Errors[0]
	return failedAt(*build.DeepCopy(), &failure{
		reason: last.Reason, message: last.Message, needsPerson: needsPerson[last.Reason], err: errors.New(last.Message),
	})
}

func failedAt(build larderv1alpha1.BuildStatus, why *failure) *failedAttempt {
	at := build.Errors[0].Time.Time
	failed := &failedAttempt{build: build, failure: why, retryAt: at.Add(slowRetry)}
	switch {
	case build.Failures >= mostFailures:
		failed.retryAt = at.Add(exhaustedRetry)
		failed.failure = failure{reason: larderv1alpha1.ReasonAttemptsExhausted, needsPerson: true}.with(fmt.Errorf(
			"%d attempts have failed, and the next is at %s, or when the spec, an image or the annotation %s changes: %s",
			build.Failures, failed.retryAt.UTC().Format(time.RFC3339), larderv1alpha1.AnnotationReconcileRequestedAt, why.message))
	case !why.needsPerson:
		failed.retryAt = at.Add(max(backoff(firstRetry, slowRetry, int64(build.Failures)), min(why.retryAfter, longestWait)))
	}
	return failed
}

// backoff is the wait after so many failures in a row, counted from 1.
func backoff(first, longest time.Duration, times int64) time.Duration {
	delay := first
	for ; times > 1 && delay < longest; times-- {
		delay *= 2
	}
	return min(delay, longest)
}
