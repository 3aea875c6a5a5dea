package snapshot

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

var planTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// owned is a snapshot with Larder's tags.
func owned(id, state string, revision, attempt int, hash string) ebs.Snapshot {
	return ebs.Snapshot{ID: id, State: state, VolumeSize: 8, Tags: map[string]string{
		ebs.TagRevision:    strconv.Itoa(revision),
		ebs.TagAttempt:     strconv.Itoa(attempt),
		ebs.TagContentHash: hash,
	}}
}

// recorded is an attempt at revision 1 as status.build shows it.
func recorded(step larderv1alpha1.BuildStep, attempt int64, id string) *larderv1alpha1.BuildStatus {
	return &larderv1alpha1.BuildStatus{Revision: 1, Attempt: attempt, ContentHash: "new", RecipeHash: "recipe", Step: step, SnapshotID: id}
}

// byOlderSpec is an attempt that was started before the spec was changed.
func byOlderSpec(attempt *larderv1alpha1.BuildStatus) *larderv1alpha1.BuildStatus {
	attempt.RecipeHash = "older recipe"
	return attempt
}

// servingStatus has a snapshot that was made by the spec's recipe, otherStatus one by an older.
func servingStatus() larderv1alpha1.ImageCacheSnapshotStatus {
	return larderv1alpha1.ImageCacheSnapshotStatus{SnapshotID: "snap-old", ContentHash: "old", RecipeHash: "recipe", Revision: 1}
}

func otherStatus() larderv1alpha1.ImageCacheSnapshotStatus {
	status := servingStatus()
	status.RecipeHash = "older recipe"
	return status
}

// failedBefore is an attempt at revision 1 that failed so many times.
func failedBefore(failures int32, retryAt time.Time) *failedAttempt {
	build := recorded("Failed", int64(failures), "")
	build.Failures = failures
	return &failedAttempt{build: *build, failure: &failure{reason: "BuildFailed"}, retryAt: retryAt}
}

func twoRevisions() larderv1alpha1.ImageCacheSnapshotStatus {
	return larderv1alpha1.ImageCacheSnapshotStatus{SnapshotID: "snap-new", ContentHash: "new", RecipeHash: "older recipe", Revision: 2}
}

// planned is what matters of a decision.
type planned struct {
	Do        action
	Step      larderv1alpha1.BuildStep
	Attempt   string
	Current   string
	Usable    bool
	Lost      bool
	Leftovers []string
	Failed    string
	Refused   string
	Parent    string
	Trigger   larderv1alpha1.Trigger
	Failures  int32
	After     time.Duration
}

func summarise(d decision) planned {
	p := planned{Do: d.do, Usable: d.usable, Lost: d.lost, After: d.after}
	if d.attempt != nil {
		p.Step, p.Attempt = d.attempt.Step, attemptName(d.attempt)
	}
	if d.current != nil {
		p.Current = d.current.ID
	}
	if d.failed != nil {
		p.Failed = d.failed.failure.reason
	}
	if d.refused != nil {
		p.Refused = d.refused.reason
	}
	if d.do == doStart {
		p.Parent, p.Failures = d.attempt.ParentSnapshotID, d.attempt.Failures
		if p.Trigger = d.attempt.Trigger; p.Trigger == larderv1alpha1.TriggerCreated {
			p.Trigger = "" // what the cases are not about
		}
	}
	for _, snapshot := range d.leftovers {
		p.Leftovers = append(p.Leftovers, snapshot.ID)
	}
	return p
}

func TestPlan(t *testing.T) {
	wantNew := &resolution{recipe: "recipe", contentHash: "new"}
	wantOld := &resolution{recipe: "recipe", contentHash: "old"}
	long := ebs.AppearsWithin
	cases := map[string]struct {
		reason string
		facts  facts
		want   planned
	}{
		"new object": {
			reason: "nothing exists, and what to build is known",
			facts:  facts{resolution: wantNew},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 1", After: progressInterval},
		},
		"unresolved": {
			reason: "what to build is not known",
			facts:  facts{unresolvable: &failure{reason: "ImageNotFound"}},
			want:   planned{Do: doReport},
		},
		"AWS does not answer": {
			reason: "without knowing what exists, a second snapshot might be made",
			facts:  facts{resolution: wantNew, unlisted: &failure{reason: "AWSError"}},
			want:   planned{Do: doReport},
		},
		"building": {
			reason: "the build is for this spec",
			facts:  facts{resolution: wantNew, build: &buildView{Build: *recorded("Writing", 1, "snap-1")}},
			want:   planned{Do: doReport, Step: "Writing", Attempt: "revision 1, attempt 1", After: progressInterval},
		},
		"building for an older spec": {
			reason: "its snapshot would be deleted as soon as it was complete",
			facts:  facts{resolution: wantOld, build: &buildView{Build: *byOlderSpec(recorded("Writing", 1, "snap-1"))}},
			want:   planned{Do: doCancel, Step: "Writing", Attempt: "revision 1, attempt 1", After: progressInterval},
		},
		"building while the registry is down": {
			reason: "an edit that cannot be resolved does not tell that the build is for another spec",
			facts:  facts{unresolvable: &failure{}, build: &buildView{Build: *byOlderSpec(recorded("Writing", 1, "snap-1"))}},
			want:   planned{Do: doReport, Step: "Writing", Attempt: "revision 1, attempt 1", After: progressInterval},
		},
		"handed to EBS": {
			reason: "only EBS says when it is completed",
			facts: facts{
				resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StatePending, 1, 1, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 1, "snap-1")},
			},
			want: planned{Do: doReport, Step: "Completing", Attempt: "revision 1, attempt 1", After: completionInterval},
		},
		"handed to EBS, which does not show it yet": {
			reason: "AWS may deny a new snapshot",
			facts: facts{
				resolution: wantNew, missing: map[string]time.Duration{"snap-1": long - 1},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 1, "snap-1")},
			},
			want: planned{Do: doReport, Step: "Completing", Attempt: "revision 1, attempt 1", After: completionInterval},
		},
		"handed to EBS, and deleted by someone": {
			reason: "AWS denies it for longer than it can be wrong",
			facts: facts{
				resolution: wantNew, missing: map[string]time.Duration{"snap-1": long},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 1, "snap-1")},
			},
			want: planned{Do: doReport, Step: "Failed", Attempt: "revision 1, attempt 1", Failed: "SnapshotFailed", After: firstRetry},
		},
		"EBS failed": {
			reason: "the failed snapshot is of no use; the attempt before it was interrupted, which is no failure",
			facts: facts{
				resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StateError, 1, 2, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 2, "snap-1")},
			},
			want: planned{Do: doReport, Step: "Failed", Attempt: "revision 1, attempt 2", Leftovers: []string{"snap-1"}, Failed: "SnapshotFailed", After: firstRetry},
		},
		"completed": {
			reason: "the completed snapshot becomes the current one",
			facts: facts{
				resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 1, 1, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 1, "snap-1")},
			},
			want: planned{Do: doReport, Current: "snap-1", Usable: true, After: checkInterval},
		},
		"status lost": {
			reason: "the tags say that there is one already",
			facts:  facts{resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 3, 2, "new")}},
			want:   planned{Do: doReport, Current: "snap-1", Usable: true, After: checkInterval},
		},
		"status lost in the middle of a build": {
			reason: "half a snapshot is deleted, and its client token is not used again",
			facts:  facts{resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StatePending, 1, 4, "new")}},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 5", Leftovers: []string{"snap-1"}, After: progressInterval},
		},
		"status lost, others' revisions there": {
			reason: "completed revisions that the status no longer tells of may be in use: they stay, and are not numbered again",
			facts:  facts{resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 3, 1, "old")}},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 4, attempt 1", After: progressInterval},
		},
		"killed half-way": {
			reason: "a half-written snapshot is never resumed",
			facts: facts{
				resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StatePending, 1, 1, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Writing", 1, "snap-1")},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", Leftovers: []string{"snap-1"}, After: progressInterval},
		},
		"killed after the marker": {
			reason: "AWS may have started a snapshot that it does not show yet",
			facts: facts{
				resolution: wantNew, missing: map[string]time.Duration{"revision 1, attempt 1": time.Second},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Starting", 1, "")},
			},
			want: planned{Do: doReport, Step: "Starting", Attempt: "revision 1, attempt 1", After: completionInterval},
		},
		"killed after the marker, long ago": {
			reason: "by now AWS would show it",
			facts: facts{
				resolution: wantNew, missing: map[string]time.Duration{"revision 1, attempt 1": long},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Starting", 1, "")},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", After: progressInterval},
		},
		"killed after EBS accepted it": {
			reason: "it is complete and right, although the status does not know",
			facts: facts{
				resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 1, 1, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Starting", 1, "")},
			},
			want: planned{Do: doReport, Current: "snap-1", Usable: true, After: checkInterval},
		},
		"completed for a spec that is no more": {
			reason: "nobody has learnt of it, so it goes, and its attempt is not numbered again",
			facts: facts{
				resolution: wantOld, owned: []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 1, 1, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: byOlderSpec(recorded("Completing", 1, "snap-1"))},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", Leftovers: []string{"snap-1"}, After: progressInterval},
		},
		"completed for a spec that is no more, but held": {
			reason: "nothing is deleted that anyone may still use; its revision is taken",
			facts: facts{
				resolution: wantOld, owned: []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 1, 1, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: byOlderSpec(recorded("Completing", 1, "snap-1"))},
				held:   map[string]bool{"snap-1": true},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", After: progressInterval},
		},
		"ready": {
			reason: "nothing to do but to look now and then",
			facts:  facts{status: servingStatus(), owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")}},
			want:   planned{Do: doReport, Current: "snap-old", Usable: true, After: checkInterval},
		},
		"ready, with a leftover": {
			reason: "an attempt that AWS showed late",
			facts: facts{status: servingStatus(), owned: []ebs.Snapshot{
				owned("snap-late", ebs.StatePending, 1, 1, "old"), owned("snap-old", ebs.StateCompleted, 1, 2, "old"),
			}},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, Leftovers: []string{"snap-late"}, After: checkInterval},
		},
		"ready, with a duplicate": {
			reason: "two attempts at one revision were completed: the one in use stays",
			facts: facts{status: servingStatus(), owned: []ebs.Snapshot{
				owned("snap-old", ebs.StateCompleted, 1, 1, "old"), owned("snap-2", ebs.StateCompleted, 1, 2, "old"),
			}},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, Leftovers: []string{"snap-2"}, After: checkInterval},
		},
		"rolled back, and what came after it is gone": {
			reason: "AWS remembers the client tokens of all revisions",
			facts: facts{
				resolution: wantNew, owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{
					SnapshotID: "snap-old", ContentHash: "old", Revision: 1, LatestRevision: 4,
				},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 5, attempt 1", Parent: "snap-old", Trigger: "SpecChanged", After: progressInterval},
		},
		"ready, and AWS denies the snapshot": {
			reason: "AWS may be wrong for a while",
			facts: facts{
				status: servingStatus(), missing: map[string]time.Duration{"snap-old": long - 1},
			},
			want: planned{Do: doReport, Usable: true, After: completionInterval},
		},
		"deleted behind our back": {
			reason: "it is made again, as another revision",
			facts: facts{
				resolution: wantOld, status: servingStatus(), missing: map[string]time.Duration{"snap-old": long},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", Lost: true, Trigger: "SnapshotLost", After: progressInterval},
		},
		"spec changed": {
			reason: "the old snapshot stays while the new revision is built",
			facts:  facts{resolution: wantNew, status: otherStatus(), owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")}},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", Parent: "snap-old", Trigger: "SpecChanged", After: progressInterval},
		},
		"a tag moved": {
			reason: "the snapshot serves until its successor is there",
			facts:  facts{resolution: wantNew, status: servingStatus(), owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")}},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", Usable: true, Parent: "snap-old", Trigger: "ImagesChanged", After: progressInterval},
		},
		"a tag moves during a renewal": {
			reason: "a tag that moves faster than builds end would never be cached",
			facts:  facts{resolution: wantOld, status: servingStatus(), build: &buildView{Build: *recorded("Writing", 1, "snap-1")}},
			want:   planned{Do: doReport, Step: "Writing", Attempt: "revision 1, attempt 1", Usable: true, After: progressInterval},
		},
		"a renewal failed": {
			reason: "what there is serves on, and the time of the next attempt is waited for",
			facts: facts{
				status: servingStatus(), owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")},
				failed: failedBefore(2, planTime.Add(time.Minute)),
			},
			want: planned{Do: doReport, Step: "Failed", Attempt: "revision 1, attempt 2", Usable: true, Failed: "BuildFailed", After: time.Minute},
		},
		"another key": {
			reason: "a child is encrypted as its parent, so it has none",
			facts: facts{
				resolution: wantNew, status: otherStatus(), kmsKeyID: "alias/images",
				owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", Trigger: "SpecChanged", After: progressInterval},
		},
		"AWS lost what a volume had": {
			reason: "a snapshot in state error is replaced, and deleted once the status has let go of it",
			facts:  facts{resolution: wantOld, status: servingStatus(), owned: []ebs.Snapshot{owned("snap-old", ebs.StateError, 1, 1, "old")}},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", Lost: true, Trigger: "SnapshotLost", After: progressInterval},
		},
		"pinned": {
			reason: "the revision is there, and what tags point at does not matter",
			facts: facts{pin: 1, status: twoRevisions(), owned: []ebs.Snapshot{
				owned("snap-old", ebs.StateCompleted, 1, 1, "old"), owned("snap-new", ebs.StateCompleted, 2, 1, "new"),
			}},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, After: checkInterval},
		},
		"pinned to what is not there": {
			reason: "the current snapshot stays in use, and a person has to choose",
			facts: facts{pin: 3, status: twoRevisions(), owned: []ebs.Snapshot{
				owned("snap-old", ebs.StateCompleted, 1, 1, "old"), owned("snap-new", ebs.StateCompleted, 2, 1, "new"),
			}},
			want: planned{Do: doReport, Refused: "RevisionNotFound", After: checkInterval},
		},
		"pinned during a build": {
			reason: "nobody wants its snapshot now",
			facts:  facts{pin: 1, status: twoRevisions(), build: &buildView{Build: *recorded("Writing", 1, "snap-1")}},
			want:   planned{Do: doCancel, Step: "Writing", Attempt: "revision 1, attempt 1", After: progressInterval},
		},
		"suspended": {
			reason: "all stays as it is",
			facts:  facts{suspended: true, status: servingStatus()},
			want:   planned{Do: doReport, Usable: true},
		},
		"suspended during a build": {
			reason: "a user who suspends wants it to stop",
			facts:  facts{suspended: true, build: &buildView{Build: *recorded("Writing", 1, "snap-1")}},
			want:   planned{Do: doCancel, Step: "Writing", Attempt: "revision 1, attempt 1", After: progressInterval},
		},
		"tags are to be looked at soon": {
			reason: "the earlier of two times counts",
			facts: facts{
				status: servingStatus(), nextCheck: time.Minute,
				owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")},
			},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, After: time.Minute},
		},
		"a build is done": {
			reason: "the interval went on during the build, and is shorter than the time until the snapshot is looked at",
			facts: facts{
				resolution: wantNew, status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 1, "snap-1")},
				checkAfterBuild: 40 * time.Second,
				owned:           []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 1, 1, "new")},
			},
			want: planned{Do: doReport, Current: "snap-1", Usable: true, After: 40 * time.Second},
		},
		"spec changed back": {
			reason: "the revision from before is still there",
			facts: facts{
				resolution: wantOld, status: twoRevisions(),
				owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old"), owned("snap-new", ebs.StateCompleted, 2, 1, "new")},
			},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, After: checkInterval},
		},
		"spec changed back during the build": {
			reason: "the number of the cancelled attempt is kept, since AWS remembers its client token",
			facts: facts{
				resolution: wantOld,
				status:     otherStatus(),
				failed: &failedAttempt{
					build:   larderv1alpha1.BuildStatus{Revision: 2, Attempt: 1, Step: "Failed"},
					failure: &failure{reason: "BuildFailed"},
				},
				owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")},
			},
			want: planned{Do: doReport, Step: "Failed", Attempt: "revision 2, attempt 1", Current: "snap-old", Usable: true, After: checkInterval},
		},
		"failed a moment ago": {
			reason: "backoff",
			facts:  facts{resolution: wantNew, failed: failedBefore(1, planTime.Add(time.Minute))},
			want:   planned{Do: doReport, Step: "Failed", Attempt: "revision 1, attempt 1", Failed: "BuildFailed", After: time.Minute},
		},
		"failed a while ago": {
			reason: "the backoff is over",
			facts:  facts{resolution: wantNew, failed: failedBefore(1, planTime)},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", Failures: 1, After: progressInterval},
		},
		"failed a moment ago, and asked for": {
			reason: "a person who asks is not kept waiting",
			facts:  facts{requested: true, resolution: wantNew, failed: failedBefore(1, planTime.Add(time.Minute))},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", Failures: 1, After: progressInterval},
		},
		"failed for another spec": {
			reason: "an edit may have mended it: do not let its author wait",
			facts: facts{resolution: wantOld, failed: &failedAttempt{
				build: *byOlderSpec(recorded("Failed", 1, "")), failure: &failure{}, retryAt: planTime.Add(time.Hour),
			}},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", After: progressInterval},
		},
		"failed without anyone's fault": {
			reason: "the number is taken, and there is nothing to wait for",
			facts: facts{
				resolution: wantNew,
				status:     larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Failed", 7, "")},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 8", After: progressInterval},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.facts.now, tc.facts.recipe = planTime, "recipe"
			if diff := cmp.Diff(tc.want, summarise(plan(&tc.facts))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for times, want := range map[int64]time.Duration{
		0: firstRetry, 1: firstRetry, 2: time.Minute, 4: 4 * time.Minute, 6: slowRetry, 1000: slowRetry,
	} {
		if got := backoff(firstRetry, slowRetry, times); got != want {
			t.Errorf("after %d failures: got %s, want %s", times, got, want)
		}
	}
}

// TestAttemptsHaveALimit fails attempt after attempt.
func TestAttemptsHaveALimit(t *testing.T) {
	build := *recorded("Writing", 1, "")
	for failures := int32(1); failures <= mostFailures; failures++ {
		build.Attempt = int64(failures)
		failed := newFailedAttempt(build, &failure{reason: "BuildFailed", message: strings.Repeat("ü", 400)}, planTime)
		wait := failed.retryAt.Sub(planTime)
		exhausted := failed.failure.reason == larderv1alpha1.ReasonAttemptsExhausted && failed.failure.needsPerson && wait == exhaustedRetry
		if exhausted != (failures == mostFailures) || !exhausted && wait > slowRetry {
			t.Errorf("after %d failures: %s, again in %s", failures, failed.failure.reason, wait)
		}
		build = failed.build
		if again := recordedFailure(&build, "recipe"); again == nil || !again.retryAt.Equal(failed.retryAt) || again.failure.reason != failed.failure.reason {
			t.Errorf("after a restart: %+v, want %+v", again, failed)
		}
		if recordedFailure(&build, "another recipe") != nil {
			t.Error("an edited spec waits for what failed before")
		}
	}
	if len(build.Errors) != keptErrors || build.Errors[0].Attempt != mostFailures || len(build.Errors[0].Message) > longestError {
		t.Errorf("want the last %d errors, clipped: %+v", keptErrors, build.Errors)
	}
}

func TestNewAttemptRecordsWhenItBegan(t *testing.T) {
	d := plan(&facts{now: planTime, resolution: &resolution{contentHash: "new"}})
	if want := (metav1.Time{Time: planTime}); !d.attempt.StartTime.Equal(&want) {
		t.Errorf("got %v, want %v", d.attempt.StartTime, want)
	}
	if d.failed != nil {
		t.Errorf("a new attempt has not failed: %+v", d.failed)
	}
}
