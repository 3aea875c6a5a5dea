package snapshot

import (
	"strconv"
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
	return &larderv1alpha1.BuildStatus{Revision: 1, Attempt: attempt, ContentHash: "new", Step: step, SnapshotID: id}
}

func readyStatus() larderv1alpha1.ImageCacheSnapshotStatus {
	return larderv1alpha1.ImageCacheSnapshotStatus{SnapshotID: "snap-old", ContentHash: "old", Revision: 1}
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
	for _, snapshot := range d.leftovers {
		p.Leftovers = append(p.Leftovers, snapshot.ID)
	}
	return p
}

func TestPlan(t *testing.T) {
	wantNew := &resolution{generation: 2, contentHash: "new"}
	wantOld := &resolution{generation: 2, contentHash: "old"}
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
			facts:  facts{resolution: wantOld, build: &buildView{Build: *recorded("Writing", 1, "snap-1")}},
			want:   planned{Do: doCancel, Step: "Writing", Attempt: "revision 1, attempt 1", After: progressInterval},
		},
		"building while the registry is down": {
			reason: "an edit that cannot be resolved does not tell that the build is for another spec",
			facts:  facts{unresolvable: &failure{}, build: &buildView{Build: *recorded("Writing", 1, "snap-1")}},
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
			reason: "the failed snapshot is of no use, and the second attempt failed: wait twice as long",
			facts: facts{
				resolution: wantNew, owned: []ebs.Snapshot{owned("snap-1", ebs.StateError, 1, 2, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 2, "snap-1")},
			},
			want: planned{Do: doReport, Step: "Failed", Attempt: "revision 1, attempt 2", Leftovers: []string{"snap-1"}, Failed: "SnapshotFailed", After: 2 * firstRetry},
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
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 1, "snap-1")},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", Leftovers: []string{"snap-1"}, After: progressInterval},
		},
		"completed for a spec that is no more, but held": {
			reason: "nothing is deleted that anyone may still use; its revision is taken",
			facts: facts{
				resolution: wantOld, owned: []ebs.Snapshot{owned("snap-1", ebs.StateCompleted, 1, 1, "new")},
				status: larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Completing", 1, "snap-1")},
				held:   map[string]bool{"snap-1": true},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", After: progressInterval},
		},
		"ready": {
			reason: "nothing to do but to look now and then",
			facts:  facts{settled: true, status: readyStatus(), owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")}},
			want:   planned{Do: doReport, Current: "snap-old", Usable: true, After: checkInterval},
		},
		"ready, with a leftover": {
			reason: "an attempt that AWS showed late",
			facts: facts{settled: true, status: readyStatus(), owned: []ebs.Snapshot{
				owned("snap-late", ebs.StatePending, 1, 1, "old"), owned("snap-old", ebs.StateCompleted, 1, 2, "old"),
			}},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, Leftovers: []string{"snap-late"}, After: checkInterval},
		},
		"ready, with a duplicate": {
			reason: "two attempts at one revision were completed: the one in use stays",
			facts: facts{settled: true, status: readyStatus(), owned: []ebs.Snapshot{
				owned("snap-old", ebs.StateCompleted, 1, 1, "old"), owned("snap-2", ebs.StateCompleted, 1, 2, "old"),
			}},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, Leftovers: []string{"snap-2"}, After: checkInterval},
		},
		"ready, with someone's copy": {
			reason: "a copy has all our tags; it is not ours to delete",
			facts: facts{settled: true, status: readyStatus(), owned: []ebs.Snapshot{
				owned("snap-old", ebs.StateCompleted, 1, 1, "old"), owned("snap-copy", ebs.StateCompleted, 1, 1, "old"),
			}},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, After: checkInterval},
		},
		"ready, and AWS denies the snapshot": {
			reason: "AWS may be wrong for a while",
			facts: facts{
				settled: true, status: readyStatus(), missing: map[string]time.Duration{"snap-old": long - 1},
			},
			want: planned{Do: doReport, Usable: true, After: completionInterval},
		},
		"deleted behind our back": {
			reason: "it is made again, as another revision",
			facts: facts{
				resolution: wantOld, status: readyStatus(), missing: map[string]time.Duration{"snap-old": long},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", Lost: true, After: progressInterval},
		},
		"spec changed": {
			reason: "the old snapshot stays while the new revision is built",
			facts:  facts{resolution: wantNew, status: readyStatus(), owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")}},
			want:   planned{Do: doStart, Step: "Starting", Attempt: "revision 2, attempt 1", After: progressInterval},
		},
		"spec changed back": {
			reason: "the revision from before is still there",
			facts: facts{
				resolution: wantOld, status: larderv1alpha1.ImageCacheSnapshotStatus{SnapshotID: "snap-new", ContentHash: "new", Revision: 2},
				owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old"), owned("snap-new", ebs.StateCompleted, 2, 1, "new")},
			},
			want: planned{Do: doReport, Current: "snap-old", Usable: true, After: checkInterval},
		},
		"spec changed back during the build": {
			reason: "the number of the cancelled attempt is kept, since AWS remembers its client token",
			facts: facts{
				resolution: wantOld,
				status:     larderv1alpha1.ImageCacheSnapshotStatus{SnapshotID: "snap-old", ContentHash: "old", Revision: 1},
				failed: &failedAttempt{
					build:      larderv1alpha1.BuildStatus{Revision: 2, Attempt: 1, Step: "Failed"},
					generation: 1, failure: &failure{reason: "BuildFailed"},
				},
				owned: []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")},
			},
			want: planned{Do: doReport, Step: "Failed", Attempt: "revision 2, attempt 1", Current: "snap-old", Usable: true, After: checkInterval},
		},
		"failed a moment ago": {
			reason: "backoff",
			facts: facts{resolution: wantNew, failed: &failedAttempt{
				build: *recorded("Failed", 1, ""), generation: 2, failure: &failure{reason: "BuildFailed"}, retryAt: planTime.Add(time.Minute),
			}},
			want: planned{Do: doReport, Step: "Failed", Attempt: "revision 1, attempt 1", Failed: "BuildFailed", After: time.Minute},
		},
		"failed a while ago": {
			reason: "the backoff is over",
			facts: facts{resolution: wantNew, failed: &failedAttempt{
				build: *recorded("Failed", 1, ""), generation: 2, failure: &failure{}, retryAt: planTime,
			}},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", After: progressInterval},
		},
		"failed for another spec": {
			reason: "an edit may have mended it: do not let its author wait",
			facts: facts{resolution: wantNew, failed: &failedAttempt{
				build: *recorded("Failed", 1, ""), generation: 1, failure: &failure{}, retryAt: planTime.Add(time.Hour),
			}},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 2", After: progressInterval},
		},
		"failed before a restart": {
			reason: "the backoff is not remembered, the number is",
			facts: facts{
				resolution: wantNew,
				status:     larderv1alpha1.ImageCacheSnapshotStatus{Build: recorded("Failed", 7, "")},
			},
			want: planned{Do: doStart, Step: "Starting", Attempt: "revision 1, attempt 8", After: progressInterval},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.facts.now, tc.facts.generation = planTime, 2
			if diff := cmp.Diff(tc.want, summarise(plan(&tc.facts))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRetryDelay(t *testing.T) {
	for attempt, want := range map[int64]time.Duration{
		0: firstRetry, 1: firstRetry, 2: time.Minute, 4: 4 * time.Minute, 6: slowRetry, 1000: slowRetry,
	} {
		if got := retryDelay(attempt); got != want {
			t.Errorf("after attempt %d: got %s, want %s", attempt, got, want)
		}
	}
}

func TestNewAttemptRecordsWhenItBegan(t *testing.T) {
	d := plan(&facts{now: planTime, generation: 1, resolution: &resolution{contentHash: "new"}})
	if want := (metav1.Time{Time: planTime}); !d.attempt.StartTime.Equal(&want) {
		t.Errorf("got %v, want %v", d.attempt.StartTime, want)
	}
	if d.failed != nil {
		t.Errorf("a new attempt has not failed: %+v", d.failed)
	}
}
