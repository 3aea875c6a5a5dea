package binding

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

func TestJudge(t *testing.T) {
	failure := &Problem{Reason: v1alpha1.ReasonLaunchFailed, Message: "NodeClaim n1 cannot be launched"}
	const because = "LaunchFailed: NodeClaim n1 cannot be launched"
	lost := &Problem{Reason: v1alpha1.ReasonSnapshotNotFound, Message: "snap-1 is gone", RetryAfter: 30 * time.Second}
	const gone = "SnapshotNotFound: snap-1 is gone"
	proven := func(b *v1alpha1.NodeClassBinding) {
		b.Status.LastKnownGoodSnapshotID, b.Status.LastKnownGoodProven = "snap-1", true
	}
	ago := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: moment(t, noon).Add(-d)} }
	type verdict struct {
		Rejected, Because, Failing string
		HealthySince               *metav1.Time
		Proven                     bool
		RetryAfter                 time.Duration
	}
	cases := map[string]struct {
		reason string
		edit   func(*v1alpha1.NodeClassBinding)
		plan   Plan
		facts  facts
		asked  bool
		want   verdict
	}{
		"no node yet": {
			reason: "the trial stays open as long as nobody tried", plan: Plan{InPlace: "snap-1"},
		},
		"a node became Ready": {
			reason: "its time begins", plan: Plan{InPlace: "snap-1", Health: Health{Proven: true, Working: 1}},
			want: verdict{HealthySince: ago(0), RetryAfter: 10 * time.Minute},
		},
		"nodes are Ready for a while": {
			reason: "it began before", plan: Plan{InPlace: "snap-1", Health: Health{Proven: true, Working: 1}},
			edit: func(b *v1alpha1.NodeClassBinding) { b.Status.HealthySince = ago(4 * time.Minute) },
			want: verdict{HealthySince: ago(4 * time.Minute), RetryAfter: 6 * time.Minute},
		},
		"nodes were Ready long enough": {
			reason: "the trial is over", plan: Plan{InPlace: "snap-1", Health: Health{Proven: true, Working: 1}},
			edit: func(b *v1alpha1.NodeClassBinding) { b.Status.HealthySince = ago(10 * time.Minute) },
			want: verdict{HealthySince: ago(10 * time.Minute), Proven: true},
		},
		"no node is left of those that were Ready": {
			reason: "nothing speaks for it any more", plan: Plan{InPlace: "snap-1"},
			edit: func(b *v1alpha1.NodeClassBinding) { b.Status.HealthySince = ago(4 * time.Minute) },
		},
		"a failure": {
			reason: "it is taken back", plan: Plan{InPlace: "snap-1", Health: Health{Failure: failure, Broken: 1}},
			want: verdict{Rejected: "snap-1", Because: because},
		},
		"a failure after nodes were Ready": {
			reason: "the trial was not over", plan: Plan{InPlace: "snap-1", Health: Health{Failure: failure, Broken: 1, Working: 3}},
			edit: func(b *v1alpha1.NodeClassBinding) { b.Status.HealthySince = ago(9 * time.Minute) },
			want: verdict{Rejected: "snap-1", Because: because},
		},
		"a failure after the trial": {
			reason: "nodes booted with it, so something else is the matter", plan: Plan{InPlace: "snap-1", Health: Health{Failure: failure}},
			edit: proven,
		},
		"a failure while another snapshot is in place": {
			reason: "it is not the applied one that fails", plan: Plan{InPlace: "snap-9", Health: Health{Failure: failure}},
		},
		"a failure of nothing": {
			reason: "Larder wrote nothing that could be bad", plan: Plan{Health: Health{Failure: failure}},
			edit: func(b *v1alpha1.NodeClassBinding) { b.Status.AppliedSnapshotID = "" },
		},
		"a failure while paused": {
			reason: "it is shown, and nothing is written", plan: Plan{InPlace: "snap-1", Health: Health{Failure: failure}},
			edit: func(b *v1alpha1.NodeClassBinding) { b.Spec.Rollout.Paused = true },
			want: verdict{Failing: "LaunchFailed"},
		},
		"a failure of a user who wants no rollback": {
			reason: "it is shown, and nothing is written", plan: Plan{InPlace: "snap-1", Health: Health{Failure: failure}},
			edit: func(b *v1alpha1.NodeClassBinding) { b.Spec.Rollout.Rollback.After = &metav1.Duration{} },
			want: verdict{Failing: "LaunchFailed"},
		},
		"a failure of what was brought back": {
			reason: "there is no second way back", plan: Plan{InPlace: "snap-1", Health: Health{Failure: failure}},
			edit: func(b *v1alpha1.NodeClassBinding) {
				b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, b.Status.RejectedBecause = "snap-1", "snap-2", "it failed"
			},
			want: verdict{Rejected: "snap-2", Because: "it failed", Failing: "LaunchFailed"},
		},
		"lost on trial": {
			reason: "no node will come up with it", plan: Plan{InPlace: "snap-1", Health: Health{Proven: true, Working: 1}}, facts: facts{lost: lost},
			want: verdict{Rejected: "snap-1", Because: gone, RetryAfter: 30 * time.Second},
		},
		"lost after the trial": {
			reason: "that nodes booted with it does not bring it back", plan: Plan{InPlace: "snap-1"}, facts: facts{lost: lost}, edit: proven,
			want: verdict{Rejected: "snap-1", Because: gone, RetryAfter: 30 * time.Second},
		},
		"lost while another snapshot is in place": {
			reason: "no node boots with it", plan: Plan{InPlace: "snap-9"}, facts: facts{lost: lost}, edit: proven,
			want: verdict{RetryAfter: 30 * time.Second},
		},
		"lost while paused": {
			reason: "it is shown, and nothing is written", plan: Plan{InPlace: "snap-1"}, facts: facts{lost: lost},
			edit: func(b *v1alpha1.NodeClassBinding) { proven(b); b.Spec.Rollout.Paused = true },
			want: verdict{Failing: "SnapshotNotFound", RetryAfter: 30 * time.Second},
		},
		"lost for a user who wants no rollback": {
			reason: "it is shown, and nothing is written", plan: Plan{InPlace: "snap-1"}, facts: facts{lost: lost},
			edit: func(b *v1alpha1.NodeClassBinding) { proven(b); b.Spec.Rollout.Rollback.After = &metav1.Duration{} },
			want: verdict{Failing: "SnapshotNotFound", RetryAfter: 30 * time.Second},
		},
		"lost after it was brought back": {
			reason: "the one that failed before it is wanted still, and stays rejected", plan: Plan{InPlace: "snap-1"},
			facts: facts{lost: lost, wanted: Snapshot{ID: "snap-2"}},
			edit: func(b *v1alpha1.NodeClassBinding) {
				proven(b)
				b.Status.RejectedSnapshotID, b.Status.RejectedBecause = "snap-2", "it failed"
			},
			want: verdict{Rejected: "snap-2", Because: "it failed", RetryAfter: 30 * time.Second},
		},
		"an earlier rejection": {
			reason: "it stays", plan: Plan{InPlace: "snap-1"},
			edit: func(b *v1alpha1.NodeClassBinding) {
				b.Status.RejectedSnapshotID, b.Status.RejectedBecause = "snap-0", "it failed"
			},
			want: verdict{Rejected: "snap-0", Because: "it failed"},
		},
		"an earlier rejection, and a person who asks": {
			reason: "what failed before is forgotten", plan: Plan{InPlace: "snap-1"}, asked: true,
			edit: func(b *v1alpha1.NodeClassBinding) {
				b.Status.RejectedSnapshotID, b.Status.RejectedBecause = "snap-0", "it failed"
			},
		},
		"a failure, and a person who asks": {
			reason: "what fails now does not pass by asking", plan: Plan{InPlace: "snap-1", Health: Health{Failure: failure}}, asked: true,
			want: verdict{Rejected: "snap-1", Because: because},
		},
		"a rejection that was recorded and not carried out": {
			reason: "nodes that are Ready meanwhile do not prove it", plan: Plan{InPlace: "snap-1", Health: Health{Proven: true}},
			edit: func(b *v1alpha1.NodeClassBinding) {
				b.Status.RejectedSnapshotID, b.Status.RejectedBecause = "snap-1", "it failed"
			},
			want: verdict{Rejected: "snap-1", Because: "it failed"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := appliedBinding(t, roll)
			if tc.edit != nil {
				tc.edit(b)
			}
			got := judge(b, tc.plan, tc.facts, tc.asked, moment(t, noon))
			result := verdict{got.rejected, got.because, "", got.healthySince, got.proven, got.retryAfter}
			if got.failing != nil {
				result.Failing = got.failing.Reason
				if !got.failing.Stalled {
					t.Errorf("%s: a failure that nobody acts on needs a person", tc.reason)
				}
			}
			if diff := cmp.Diff(tc.want, result); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
