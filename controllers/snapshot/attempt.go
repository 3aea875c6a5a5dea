package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

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
	if f.status.SnapshotID == "" || last == nil || last.State != ebs.StateCompleted || last.Tags[tagKMSKeyID] != keyTag(f.kmsKeyID) {
		return ""
	}
	return last.ID
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
		Message: message.Clip(why.message, longestError),
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
