package distribution

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const ours = "Copy of snap-home, made by Larder"

// recorded is a record of so long ago.
func recorded(state larderv1alpha1.CopyState, id string, ago time.Duration) *larderv1alpha1.CopyStatus {
	at := metav1.NewTime(epoch.Add(-ago))
	record := &larderv1alpha1.CopyStatus{Region: "us-west-2", Revision: 3, State: state, SnapshotID: id, Time: &at}
	if state == larderv1alpha1.CopyFailed {
		record.Message = "AWS refused"
	}
	return record
}

func found(id, state string) ebs.Snapshot {
	return ebs.Snapshot{ID: id, State: state, Description: ours}
}

func TestPlanCopy(t *testing.T) {
	const (
		starting  = larderv1alpha1.CopyStarting
		pending   = larderv1alpha1.CopyPending
		completed = larderv1alpha1.CopyCompleted
		failed    = larderv1alpha1.CopyFailed
	)
	unusable := needsPerson(larderv1alpha1.ReasonRegionUnusable, "not enabled")
	foreign := found("snap-z", ebs.StateCompleted)
	foreign.Description = "my own copy"
	foreignError := found("snap-z", ebs.StateError)
	foreignError.Description = "my own copy"

	cases := map[string]struct {
		reason string
		facts  copyFacts
		state  larderv1alpha1.CopyState // empty for no status
		id     string
		start  bool
		remove []string
		// why is the problem's reason.
		why string
		// since is for how long the state is reached.
		since time.Duration
		after time.Duration
	}{
		"nothing yet": {
			reason: "a look showed no copy, so one may be asked for",
			state:  starting, start: true, after: copyInterval,
		},
		"just asked for": {
			reason: "a new copy may not be listed yet",
			facts:  copyFacts{record: recorded(starting, "", time.Minute)},
			state:  starting, since: time.Minute, after: copyInterval,
		},
		"asked for nearly long enough ago": {
			reason: "the wait ends exactly when a copy must be listed",
			facts:  copyFacts{record: recorded(starting, "", copyShowsWithin-time.Second)},
			state:  starting, since: copyShowsWithin - time.Second, after: time.Second,
		},
		"asked for in vain": {
			reason: "it would be listed by now",
			facts:  copyFacts{record: recorded(starting, "", copyShowsWithin)},
			state:  starting, start: true, after: copyInterval,
		},
		"the answer was lost": {
			reason: "what is found by its tags is adopted",
			facts:  copyFacts{record: recorded(starting, "", time.Minute), found: []ebs.Snapshot{found("snap-a", ebs.StatePending)}},
			state:  pending, id: "snap-a", after: copyInterval,
		},
		"under way, not listed": {
			reason: "the answer named it, the list will",
			facts:  copyFacts{record: recorded(pending, "snap-a", time.Minute)},
			state:  pending, id: "snap-a", since: time.Minute, after: copyInterval,
		},
		"under way": {
			reason: "the time is that of the state",
			facts:  copyFacts{record: recorded(pending, "snap-a", time.Hour), found: []ebs.Snapshot{found("snap-a", ebs.StatePending)}},
			state:  pending, id: "snap-a", since: time.Hour, after: copyInterval,
		},
		"just completed": {
			reason: "a new state has a new time, and nothing more is due",
			facts:  copyFacts{record: recorded(pending, "snap-a", time.Hour), found: []ebs.Snapshot{found("snap-a", ebs.StateCompleted)}},
			state:  completed, id: "snap-a",
		},
		"completed long ago": {
			reason: "nothing changes",
			facts:  copyFacts{record: recorded(completed, "snap-a", time.Hour), found: []ebs.Snapshot{found("snap-a", ebs.StateCompleted)}},
			state:  completed, id: "snap-a", since: time.Hour,
		},
		"a lost status": {
			reason: "the copy is there, whoever remembers it",
			facts:  copyFacts{found: []ebs.Snapshot{found("snap-a", ebs.StateCompleted)}},
			state:  completed, id: "snap-a",
		},
		"completed and gone": {
			reason: "the list may be wrong for a moment: it counts as just asked for",
			facts:  copyFacts{record: recorded(completed, "snap-a", time.Hour)},
			state:  starting, after: copyInterval,
		},
		"two, none known": {
			reason: "the oldest stays",
			facts:  copyFacts{found: []ebs.Snapshot{found("snap-a", ebs.StatePending), found("snap-b", ebs.StateCompleted)}},
			state:  pending, id: "snap-a", remove: []string{"snap-b"}, after: copyInterval,
		},
		"two, the younger in use": {
			reason: "what the status has named as usable may be used",
			facts: copyFacts{record: recorded(completed, "snap-b", time.Hour),
				found: []ebs.Snapshot{found("snap-a", ebs.StateCompleted), found("snap-b", ebs.StateCompleted)}},
			state: completed, id: "snap-b", since: time.Hour, remove: []string{"snap-a"},
		},
		"somebody's copy of the copy": {
			reason: "it has all the tags, but Larder did not make it",
			facts: copyFacts{record: recorded(completed, "snap-a", time.Hour),
				found: []ebs.Snapshot{found("snap-a", ebs.StateCompleted), foreign}},
			state: completed, id: "snap-a", since: time.Hour,
		},
		"somebody's failed copy": {
			reason: "it is neither a copy nor ours to delete",
			facts:  copyFacts{found: []ebs.Snapshot{foreignError}},
			state:  starting, start: true, after: copyInterval,
		},
		"AWS failed it": {
			reason: "it is deleted at once, and not asked for again before that is seen",
			facts:  copyFacts{record: recorded(pending, "snap-a", time.Hour), found: []ebs.Snapshot{found("snap-a", ebs.StateError)}},
			state:  failed, id: "snap-a", remove: []string{"snap-a"}, why: larderv1alpha1.ReasonCopyFailed, after: copyRetry,
		},
		"failed, and cannot be deleted": {
			reason: "a failed copy goes before the next one comes",
			facts:  copyFacts{record: recorded(failed, "snap-b", time.Hour), found: []ebs.Snapshot{found("snap-a", ebs.StateError)}},
			state:  failed, id: "snap-a", remove: []string{"snap-a"}, why: larderv1alpha1.ReasonCopyFailed, after: copyRetry,
		},
		"failed a minute ago": {
			reason: "the message stays while it waits",
			facts:  copyFacts{record: recorded(failed, "", time.Minute)},
			state:  failed, since: time.Minute, why: larderv1alpha1.ReasonCopyFailed, after: copyRetry - time.Minute,
		},
		"failed long enough ago": {
			reason: "it is tried again",
			facts:  copyFacts{record: recorded(failed, "", copyRetry)},
			state:  starting, start: true, after: copyInterval,
		},
		"failed, and then the spec was edited": {
			reason: "somebody mended it and does not want to wait",
			facts:  copyFacts{record: recorded(failed, "", time.Minute), edited: true},
			state:  starting, start: true, after: copyInterval,
		},
		"edited while an answer is lost": {
			reason: "no edit makes a copy visible",
			facts:  copyFacts{record: recorded(starting, "", time.Minute), edited: true},
			state:  starting, since: time.Minute, after: copyInterval,
		},
		"unusable": {
			reason: "the Region's trouble is its status",
			facts:  copyFacts{unusable: unusable},
			state:  failed, why: larderv1alpha1.ReasonRegionUnusable, after: copyRetry,
		},
		"not seen": {
			reason: "without a look nothing is known and nothing is done",
			facts:  copyFacts{unseen: awsProblem(unavailable())},
			why:    larderv1alpha1.ReasonAWSError,
		},
		"not seen any more": {
			reason: "what is known stays",
			facts:  copyFacts{record: recorded(completed, "snap-a", time.Hour), unseen: awsProblem(unavailable())},
			state:  completed, id: "snap-a", since: time.Hour, why: larderv1alpha1.ReasonAWSError,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			facts := tc.facts
			facts.now, facts.region, facts.sourceID, facts.revision, facts.description = epoch, "us-west-2", "snap-home", 3, ours
			d := planCopy(&facts)
			type summary struct {
				State        larderv1alpha1.CopyState
				ID, Why      string
				Start        bool
				Remove       []string
				Since, After time.Duration
			}
			got := summary{Start: d.start, After: d.after}
			if d.status != nil {
				got.State, got.ID, got.Since = d.status.State, d.status.SnapshotID, epoch.Sub(d.status.Time.Time)
				if d.status.Region != "us-west-2" || d.status.Revision != 3 {
					t.Errorf("the status is of another copy: %+v", d.status)
				}
			}
			if d.problem != nil {
				got.Why = d.problem.Reason
			}
			for _, one := range d.remove {
				got.Remove = append(got.Remove, one.ID)
			}
			want := summary{tc.state, tc.id, tc.why, tc.start, tc.remove, tc.since, tc.after}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
