package binding_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/test/targets"
)

func TestApplyNow(t *testing.T) {
	nodes := []binding.Pool{{Name: "default", Outdated: 3, Staying: 3}}
	cases := map[string]struct {
		reason string
		// before brings about what is asked against, and then is what must be so after the request.
		before func(s *stage)
		writes []string
		ready  string
	}{
		"against NewNodesOnly": {
			reason: "the person who asks agrees to replace nodes",
			before: func(s *stage) { s.wanted, s.plan.Pools = "snap-2", nodes; s.change(newNodesOnly) },
			writes: []string{"snap-1", "snap-2"}, ready: "True Ready",
		},
		"against WithNextDrift": {
			reason: "the person who asks agrees to replace nodes",
			before: func(s *stage) {
				s.wanted, s.plan.Pools = "snap-2", nodes
				s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Strategy = v1alpha1.RolloutWithNextDrift })
			},
			writes: []string{"snap-1", "snap-2"}, ready: "True Ready",
		},
		"against the window and minInterval": {
			reason: "and means now",
			before: func(s *stage) {
				s.wanted = "snap-2"
				s.change(func(spec *v1alpha1.NodeClassBindingSpec) {
					spec.Rollout.Window = &v1alpha1.RolloutWindow{Schedule: "0 0 1 1 *", Duration: metav1.Duration{Duration: time.Minute}}
					spec.Rollout.MinInterval = &metav1.Duration{Duration: time.Hour}
				})
			},
			writes: []string{"snap-1", "snap-2"}, ready: "True Ready",
		},
		"against a rejection": {
			reason: "what made it fail may be mended",
			before: func(s *stage) {
				s.prove()
				s.wanted = "snap-2"
				s.passes("b")
				s.breakNodes(0)
				s.passes("b")
				s.heal()
				if got := targets.Describe(s.passes("b"), "Ready"); got != "False RolledBack" {
					s.Fatalf("Ready is %s", got)
				}
			},
			writes: []string{"snap-1", "snap-2", "snap-1", "snap-2"}, ready: "True Ready",
		},
		"against a rival": {
			reason: "the person who asks knows it",
			before: func(s *stage) {
				for range 4 {
					s.inPlace, s.plan.TakenBackBy, s.plan.Remedy = "", "terraform", "stop it"
					s.passes("b")
				}
			},
			writes: []string{"snap-1", "snap-1", "snap-1", "snap-1", "snap-1"}, ready: "True Ready",
		},
		"without anything to do": {
			reason: "the request is answered all the same, and does not lie in wait",
			before: func(*stage) {}, writes: []string{"snap-1"}, ready: "True Ready",
		},
		"without a snapshot": {
			reason: "there is nothing to apply now, and later is not now",
			before: func(s *stage) { s.wanted = "snap-9" }, writes: []string{"snap-1"}, ready: "False SnapshotNotFound",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, v1alpha1.RolloutRoll)
			s.passes("b")
			tc.before(s)
			s.passes("b")
			s.ask("now")
			b := s.passes("b")
			s.expectWrites(tc.reason, tc.writes...)
			expect(t, tc.reason, b, map[string]string{"Ready": tc.ready})
			if b.Status.LastHandledApplyNow != "now" || b.Status.Pending != nil || b.Status.Rival != nil || b.Status.RejectedSnapshotID != "" {
				t.Errorf("after the request: %+v", b.Status)
			}
			for range 3 {
				s.passes("b")
			}
			s.expectWrites("one request is one write", tc.writes...)
		})
	}
}

func TestApplyNowWaitsWhilePaused(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutNewNodesOnly)
	s.plan.Pools = []binding.Pool{{Name: "default", Outdated: 3, Staying: 3}}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = true })
	s.ask("now")
	b := s.passes("b")
	expect(t, "paused means nothing at all", b, map[string]string{"Ready": "False Paused", "Applied": "False Paused"})
	expectSays(t, b, "larder.dev/apply-now waits for too")
	if b.Status.LastHandledApplyNow != "" {
		t.Error("the request counts as handled")
	}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = false })
	s.passes("b")
	s.expectWrites("then it is carried out", "snap-1")
}

func TestApplyNowIsNotLostWithAWrite(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutNewNodesOnly)
	s.plan.Pools = []binding.Pool{{Name: "default", Outdated: 3, Staying: 3}}
	s.ask("now")
	s.actFails = &binding.Problem{Reason: v1alpha1.ReasonWriteConflict, Message: "changed", RetryAfter: time.Second, Cause: apierrors.NewConflict(classResource, "gpu", errors.New("changed"))}
	if b := s.passes("b"); b.Status.LastHandledApplyNow != "" {
		t.Errorf("handled, and not written: %+v", b.Status)
	}
	s.passes("b")
	s.expectWrites("the next pass carries it out", "snap-1")
}

// TestApplyNowOfAnyLength holds that a value longer than the status takes neither breaks the status nor asks for ever.
func TestApplyNowOfAnyLength(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutNewNodesOnly)
	s.ask(strings.Repeat("ü", 300))
	b := s.passes("b")
	if n := len(b.Status.LastHandledApplyNow); n == 0 || n > 256 {
		t.Fatalf("%d bytes are recorded", n)
	}
	s.wanted, s.plan.Pools = "snap-2", []binding.Pool{{Name: "default", Outdated: 3, Staying: 3}}
	s.passes("b")
	s.expectWrites("it was answered", "snap-1")
}
