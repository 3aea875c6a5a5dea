package binding_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// TestDeletionFollowsTheStrategy deletes a binding whose restoration has to wait, and then does what ends the wait.
func TestDeletionFollowsTheStrategy(t *testing.T) {
	staying := []binding.Pool{{Name: "default", Current: 3, Staying: 3}}
	window := func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Rollout.Window = &v1alpha1.RolloutWindow{Schedule: "0 2 * * *", Duration: metav1.Duration{Duration: time.Hour}}
	}
	cases := map[string]struct {
		reason   string
		strategy v1alpha1.RolloutStrategy
		pools    []binding.Pool
		edit     func(spec *v1alpha1.NodeClassBindingSpec)
		// waits is the reason; empty when it must not wait. replaces is how many nodes it would cost.
		waits    string
		replaces int32
		then     func(s *stage)
	}{
		"Roll": {
			reason: "the user agreed to replace nodes", strategy: v1alpha1.RolloutRoll, pools: staying,
		},
		"Roll before its window": {
			reason: "and named a time", strategy: v1alpha1.RolloutRoll, pools: staying, edit: window, waits: "WaitingForWindow", replaces: 3,
			then: func(s *stage) { s.wait(2 * time.Hour) },
		},
		"NewNodesOnly": {
			reason: "to delete a binding is no consent to replace nodes", strategy: v1alpha1.RolloutNewNodesOnly, pools: staying,
			waits: "NodesWouldBeReplaced", replaces: 3, then: func(s *stage) { s.plan.Pools = nil },
		},
		"NewNodesOnly, changed to Roll": {
			reason: "which is one, also of a binding that is being deleted", strategy: v1alpha1.RolloutNewNodesOnly, pools: staying,
			waits: "NodesWouldBeReplaced", replaces: 3,
			then: func(s *stage) {
				s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Strategy = v1alpha1.RolloutRoll })
			},
		},
		"NewNodesOnly, changed to Leave": {
			reason: "what is left as it is replaces nobody", strategy: v1alpha1.RolloutNewNodesOnly, pools: staying,
			waits: "NodesWouldBeReplaced", replaces: 3,
			then: func(s *stage) {
				s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
			},
		},
		"WithNextDrift": {
			reason: "Larder alone replaces nobody", strategy: v1alpha1.RolloutWithNextDrift, pools: staying, waits: "WaitingForDrift", replaces: 3,
			then: func(s *stage) { s.plan.Pools = []binding.Pool{{Name: "default", Current: 3}} },
		},
		"WithNextDrift, with a window": {
			reason: "the user agreed to that time", strategy: v1alpha1.RolloutWithNextDrift, pools: staying, edit: window, waits: "WaitingForDrift", replaces: 3,
			then: func(s *stage) { s.wait(2 * time.Hour) },
		},
		"WithNextDrift, asked": {
			reason: "the person who asks agrees", strategy: v1alpha1.RolloutWithNextDrift, pools: staying, waits: "WaitingForDrift", replaces: 3,
			then: func(s *stage) { s.ask("now") },
		},
		"paused": {
			reason: "nothing at all is written", strategy: v1alpha1.RolloutRoll, waits: "Paused",
			edit: func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = true },
			then: func(s *stage) {
				s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = false })
			},
		},
		"Leave": {
			reason: "no device changes", strategy: v1alpha1.RolloutWithNextDrift, pools: staying,
			edit: func(spec *v1alpha1.NodeClassBindingSpec) { spec.DeletionPolicy = v1alpha1.BindingDeletionLeave },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, tc.strategy)
			s.passes("b")
			s.plan.Pools = tc.pools
			if tc.edit != nil {
				s.change(tc.edit)
			}
			s.delete(newBinding("b", ""))
			b := s.look()
			if tc.waits != "" {
				s.expectWaiting(b, tc.reason, tc.waits, tc.replaces)
				tc.then(s)
				b = s.look()
			}
			if b != nil {
				t.Fatalf("%s, and the binding stays: %+v", tc.reason, b.Status.Conditions)
			}
			s.expectWrites(tc.reason, "snap-1", "-")
		})
	}
}

func (s *stage) expectWaiting(b *v1alpha1.NodeClassBinding, why, reason string, replaces int32) {
	s.Helper()
	if b == nil {
		s.Fatalf("%s, and the binding is gone", why)
	}
	s.expectWrites(why, "snap-1")
	expect(s, why, b, map[string]string{"Ready": "False " + reason, "Reconciling": "True " + reason, "Applied": "Unknown " + reason})
	pending := b.Status.Pending
	if pending == nil {
		s.Fatalf("%s: nothing is pending", why)
	}
	got := v1alpha1.PendingChange{SnapshotID: pending.SnapshotID, Why: pending.Why, NodesThatWouldBeReplaced: pending.NodesThatWouldBeReplaced}
	if diff := cmp.Diff(v1alpha1.PendingChange{Why: reason, NodesThatWouldBeReplaced: replaces}, got); diff != "" {
		s.Errorf("%s: pending (-want +got):\n%s", why, diff)
	}
}

// TestDeletionNeedsNoSnapshot holds that what is wrong with a source keeps nobody from deleting a binding.
func TestDeletionNeedsNoSnapshot(t *testing.T) {
	w := boundWorld(t, root)
	w.fail = func(verb string, object any) error {
		if _, isSnapshot := object.(*v1alpha1.ImageCacheSnapshot); isSnapshot && verb == "get" {
			return errTrouble
		}
		return nil
	}
	w.delete(newBinding("b", ""))
	if b := w.passes("b"); b != nil {
		t.Errorf("the binding is still there: %+v", b.Status.Conditions)
	}
	checkNoTrace(w)
}
