package binding_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// TestPending follows a change from where it begins to wait until it is written, by no other means than the time at which
// each pass asks for the next.
func TestPending(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll) // it is midnight
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Snapshot.Interval = metav1.Duration{Duration: 168 * time.Hour}
		spec.Rollout.Window = &v1alpha1.RolloutWindow{Schedule: "0 2 * * *", Duration: metav1.Duration{Duration: time.Hour}}
		spec.Rollout.MinInterval = &metav1.Duration{Duration: 30 * time.Hour}
	})
	midnight := s.clock.Now()
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: midnight.Add(d).Local()} }
	s.plan.Pools = []binding.Pool{{Name: "b", Outdated: 1, Staying: 1}, {Name: "a", Outdated: 2, Staying: 2}, {Name: "c", Outdated: 1}}
	pending := func(id, why string, since, next time.Duration) *v1alpha1.PendingChange {
		return &v1alpha1.PendingChange{SnapshotID: id, Why: why, Since: at(since), NextWindow: at(next), NodesThatWouldBeReplaced: 3,
			NodePools: []v1alpha1.NodePoolReplacements{{Name: "a", Nodes: 2}, {Name: "b", Nodes: 1}}}
	}
	steps := []struct {
		reason string
		at     time.Duration
		then   func()
		want   *v1alpha1.PendingChange
		writes []string
	}{
		{reason: "the first snapshot waits for the window", want: pending("snap-1", "WaitingForWindow", 0, 2*time.Hour)},
		{reason: "it opens", at: 2 * time.Hour, writes: []string{"snap-1"}, then: func() { s.wanted = "snap-2" }},
		{reason: "two snapshots are thirty hours apart", at: 2 * time.Hour, writes: []string{"snap-1"},
			want: pending("snap-2", "MinIntervalNotOver", 2*time.Hour, 26*time.Hour)},
		{reason: "the window closed", at: 3 * time.Hour, writes: []string{"snap-1"},
			want: pending("snap-2", "WaitingForWindow", 2*time.Hour, 26*time.Hour)},
		{reason: "it opens too early", at: 26 * time.Hour, writes: []string{"snap-1"},
			want: pending("snap-2", "MinIntervalNotOver", 2*time.Hour, 50*time.Hour)},
		{reason: "it closed before the thirty hours were over", at: 27 * time.Hour, writes: []string{"snap-1"}, then: func() { s.wanted = "snap-3" },
			want: pending("snap-2", "WaitingForWindow", 2*time.Hour, 50*time.Hour)},
		{reason: "another snapshot waits since now", at: 27 * time.Hour, writes: []string{"snap-1"},
			want: pending("snap-3", "WaitingForWindow", 27*time.Hour, 50*time.Hour)},
		{reason: "now it may", at: 50 * time.Hour, writes: []string{"snap-1", "snap-3"}},
	}
	for _, step := range steps {
		if now := s.clock.Now().Sub(midnight); now != step.at {
			t.Fatalf("%s: it is looked at after %s, want %s", step.reason, now, step.at)
		}
		b := s.look()
		if diff := cmp.Diff(step.want, b.Status.Pending); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.reason, diff)
		}
		if diff := cmp.Diff(step.writes, s.writes); diff != "" {
			t.Errorf("%s: writes (-want +got):\n%s", step.reason, diff)
		}
		if step.then != nil {
			step.then()
		} else {
			s.wait(s.next)
		}
	}
}

func TestNodes(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutWithNextDrift)
	s.plan.Pools = []binding.Pool{{Name: "b", Outdated: 1, Staying: 1}, {Name: "a", Outdated: 2}}
	b := s.passes("b")
	expect(t, "what is not applied is not rolled out either", b, map[string]string{"RolledOut": "Unknown NothingApplied"})
	s.plan.Pools[0].Staying = 0
	b = s.passes("b")
	expect(t, "no node has yet what was written just now", b, map[string]string{"RolledOut": "False NodesOutdated", "Ready": "True Ready", "Reconciling": "absent"})
	s.plan.Pools = []binding.Pool{{Name: "b", Current: 1, Staying: 1}, {Name: "a", Current: 1, Outdated: 1, Staying: 1}}
	b = s.passes("b")
	want := &v1alpha1.NodeCounts{Current: 2, Outdated: 1, NodePools: []v1alpha1.NodePoolCounts{
		{Name: "a", Current: 1, Outdated: 1}, {Name: "b", Current: 1}}}
	if diff := cmp.Diff(want, b.Status.Nodes); diff != "" {
		t.Errorf("on the way (-want +got):\n%s", diff)
	}
	if c := meta.FindStatusCondition(b.Status.Conditions, "RolledOut"); c.Message != "1 of 3 NodeClaims were launched with something else than snap-1: status.nodes says where" {
		t.Errorf("RolledOut says %q", c.Message)
	}
	s.plan.Pools = []binding.Pool{{Name: "a", Current: 3, Staying: 3}}
	expect(t, "all of them", s.passes("b"), map[string]string{"RolledOut": "True NodesCurrent"})
	s.wanted = "snap-2"
	s.passes("b")
	s.plan.Pools[0].Staying = 0
	expect(t, "all of them again, as of the next snapshot", s.passes("b"), map[string]string{"RolledOut": "False NodesOutdated"})
	s.plan.Problem, s.plan.Pools = &binding.Problem{Reason: v1alpha1.ReasonTargetMissing, Message: "no class"}, nil
	b = s.passes("b")
	expect(t, "a class that is gone", b, map[string]string{"RolledOut": "Unknown TargetMissing"})
	if b.Status.Nodes != nil {
		t.Errorf("nodes of a class that is gone: %+v", b.Status.Nodes)
	}
}

func TestAThousandPools(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutWithNextDrift)
	for i := range 1000 {
		s.plan.Pools = append(s.plan.Pools, binding.Pool{Name: fmt.Sprintf("pool-%03d", 999-i), Outdated: 2, Staying: 2})
	}
	b := s.passes("b")
	pending, nodes := b.Status.Pending, b.Status.Nodes
	if pending.NodesThatWouldBeReplaced != 2000 || len(pending.NodePools) != 100 || pending.NodePools[0].Name != "pool-000" {
		t.Errorf("%d nodes of %d pools wait, %+v first", pending.NodesThatWouldBeReplaced, len(pending.NodePools), pending.NodePools[0])
	}
	if nodes.Outdated != 2000 || len(nodes.NodePools) != 100 || nodes.NodePools[99].Name != "pool-099" {
		t.Errorf("%d nodes of %d pools are outdated, %+v last", nodes.Outdated, len(nodes.NodePools), nodes.NodePools[99])
	}
	expectSays(t, b, "2000 NodeClaims of NodePools pool-000: 2, pool-001: 2, pool-002: 2, pool-003: 2, pool-004: 2, and 995 more")
}

func TestWarnings(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.plan.Warnings = []binding.Warning{
		{Reason: v1alpha1.ReasonContentsFillVolume, Message: "70 % is full"}, {Reason: v1alpha1.ReasonNotChecked, Message: "the key"}}
	b := s.passes("b")
	expect(t, "what may be wrong blocks nothing", b, map[string]string{"Ready": "True Ready", "PreflightPassed": "True PassedWithWarnings"})
	if c := meta.FindStatusCondition(b.Status.Conditions, "PreflightPassed"); c.Message != "ContentsFillVolume: 70 % is full; NotChecked: the key" {
		t.Errorf("PreflightPassed says %q", c.Message)
	}
	s.plan.Warnings[0].Message = strings.Repeat("ü", 20000)
	if c := meta.FindStatusCondition(s.passes("b").Status.Conditions, "PreflightPassed"); len(c.Message) > 32768 || !strings.HasSuffix(c.Message, "…") {
		t.Errorf("PreflightPassed says %d bytes, which the API server refuses", len(c.Message))
	}
}

func TestUpkeep(t *testing.T) {
	cases := map[string]struct {
		reason string
		before func(s *stage)
		writes []string
	}{
		"while nothing else is to be done": {
			reason: "the owner changed something", before: func(*stage) {}, writes: []string{"snap-1", "upkeep"},
		},
		"while a snapshot waits": {
			reason: "the owner does not wait for nodes",
			before: func(s *stage) {
				s.change(newNodesOnly)
				s.wanted, s.plan.Pools = "snap-2", []binding.Pool{{Name: "default", Current: 3, Staying: 3}}
			},
			writes: []string{"snap-1", "upkeep"},
		},
		"while there is no snapshot": {
			reason: "nor for a build", before: func(s *stage) { s.wanted = "snap-9" }, writes: []string{"snap-1", "upkeep"},
		},
		"while paused": {
			reason: "nothing at all is written",
			before: func(s *stage) {
				s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = true })
			},
			writes: []string{"snap-1"},
		},
		"while a rival is left alone": {
			reason: "to write the target is to go on with the fight",
			before: func(s *stage) {
				for range 4 {
					s.inPlace, s.plan.TakenBackBy, s.plan.Remedy = "", "terraform", "stop it"
					s.passes("b")
				}
			},
			writes: []string{"snap-1", "snap-1", "snap-1", "snap-1"},
		},
		"beside a snapshot that may be written": {
			reason: "one change at a time", before: func(s *stage) { s.wanted = "snap-2" }, writes: []string{"snap-1", "snap-2", "upkeep"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, v1alpha1.RolloutRoll)
			s.passes("b")
			tc.before(s)
			s.upkeep = true
			for range 3 {
				s.passes("b")
			}
			s.expectWrites(tc.reason, tc.writes...)
		})
	}
}
