package binding_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// remove has AWS not know a snapshot any more.
func (s *stage) remove(id string) { s.usable[id] = false }

// expectNoWayBack checks that nothing is left to go back to.
func expectNoWayBack(t testing.TB, b *v1alpha1.NodeClassBinding) {
	t.Helper()
	if b.Status.LastKnownGoodSnapshotID != "" || b.Status.LastKnownGoodProven {
		t.Errorf("what is lost is no way back: %+v", b.Status)
	}
}

// proven has snap-1 proven, and nothing fail.
func proven(t *testing.T, strategy v1alpha1.RolloutStrategy) *stage {
	s := newStage(t, strategy)
	s.passes("b")
	s.prove()
	return s
}

func TestLostSnapshot(t *testing.T) {
	for _, reason := range []string{v1alpha1.ReasonSnapshotNotFound, v1alpha1.ReasonSnapshotArchived, v1alpha1.ReasonSnapshotFailed} {
		t.Run(reason, func(t *testing.T) {
			s := proven(t, v1alpha1.RolloutRoll)
			s.reason = reason
			s.remove("snap-1")
			var b *v1alpha1.NodeClassBinding
			for range 3 {
				b = s.passes("b")
			}
			s.expectWrites("though it was proven, nodes are to boot without it", "snap-1", "-")
			expect(t, "it says so", b, map[string]string{"Ready": "False RolledBack", "Stalled": "True RolledBack",
				"Applied": "False RolledBack", "SnapshotAvailable": "False " + reason})
			expectSays(t, b, "snap-1 failed ("+reason+": snap-1 is gone), and /dev/xvdb of EC2NodeClass gpu is as it was before this "+
				"binding. A newer snapshot is tried by itself")
			expectNoWayBack(t, b)

			s.wanted = "snap-2"
			expect(t, "the one that is made instead is written", s.passes("b"), map[string]string{"Ready": "True Ready", "Stalled": "absent"})
			s.expectWrites("the one that is made instead is written", "snap-1", "-", "snap-2")
		})
	}
}

// TestWhatIsNotLost has AWS, or the operator's rights, be at fault.
func TestWhatIsNotLost(t *testing.T) {
	for _, reason := range []string{v1alpha1.ReasonKMSKeyUnusable, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonOwnerNotAllowed, v1alpha1.ReasonPending} {
		t.Run(reason, func(t *testing.T) {
			s := proven(t, v1alpha1.RolloutRoll)
			s.reason = reason
			s.remove("snap-1")
			b := s.passes("b")
			s.expectWrites("it may pass", "snap-1")
			expect(t, "it is said", b, map[string]string{"Ready": "False " + reason})
			if !b.Status.LastKnownGoodProven {
				t.Errorf("it is still the last known good one: %+v", b.Status)
			}
		})
	}
}

func TestLostOnTrial(t *testing.T) {
	s := proven(t, v1alpha1.RolloutRoll)
	s.wanted = "snap-2"
	s.passes("b")
	s.remove("snap-2")
	b := s.passes("b")
	s.expectWrites("the last known good one comes back", "snap-1", "snap-2", "snap-1")
	if b.Status.RejectedSnapshotID != "snap-2" || b.Status.LastKnownGoodSnapshotID != "snap-1" || !b.Status.LastKnownGoodProven {
		t.Errorf("status: %+v", b.Status)
	}
}

// TestLostAfterItWasBroughtBack has the last known good snapshot go while the one that failed is wanted still.
func TestLostAfterItWasBroughtBack(t *testing.T) {
	for name, interrupt := range map[string]func(s *stage){
		"in one go":         func(*stage) {},
		"after the write":   func(s *stage) { s.actLost = errTrouble },
		"before the status": func(s *stage) { s.fail = nthStatusPatch(1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := provenThenBad(t, v1alpha1.RolloutRoll)
			s.passes("b")
			s.heal()
			s.remove("snap-1")
			interrupt(s)
			b, _ := s.pass("b")
			if name == "in one go" {
				expectSays(t, b, "snap-2 failed (LaunchFailed", "snap-1 is of no use either (SnapshotNotFound: snap-1 is gone)")
			}
			s.fail = nil
			for range 3 {
				b = s.passes("b")
			}
			s.expectWrites("the one that failed is not tried again", "snap-1", "snap-2", "snap-1", "-")
			expect(t, "it says so", b, map[string]string{"Ready": "False RolledBack"})
			expectNoWayBack(t, b)
			if b.Status.AppliedSnapshotID != "" || b.Status.RejectedSnapshotID != "snap-2" {
				t.Errorf("status: %+v", b.Status)
			}
		})
	}
}

func TestLostIsNotForgotten(t *testing.T) {
	for name, interrupt := range map[string]func(s *stage){
		"before the write":  func(s *stage) { s.actFails = errTrouble },
		"after the write":   func(s *stage) { s.actLost = errTrouble },
		"before the status": func(s *stage) { s.fail = nthStatusPatch(2) },
		"before the marker": func(s *stage) { s.fail = nthStatusPatch(1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := proven(t, v1alpha1.RolloutRoll)
			s.remove("snap-1")
			interrupt(s)
			if _, err := s.pass("b"); err == nil {
				t.Fatal("the pass was not interrupted")
			}
			s.fail = nil
			b := s.passes("b")
			s.expectWrites("it is taken out once", "snap-1", "-")
			expect(t, "it says so", b, map[string]string{"Ready": "False RolledBack"})
			expectNoWayBack(t, b)
		})
	}
}

func TestLostWhileNodesWork(t *testing.T) {
	for _, strategy := range []v1alpha1.RolloutStrategy{v1alpha1.RolloutWithNextDrift, v1alpha1.RolloutNewNodesOnly} {
		t.Run(string(strategy), func(t *testing.T) {
			s := proven(t, strategy)
			s.remove("snap-1")
			s.plan.Health = binding.Health{Proven: true, Working: 3}
			s.plan.Pools = []binding.Pool{{Name: "default", Current: 3, Staying: 3}}
			var b *v1alpha1.NodeClassBinding
			for range 2 {
				b = s.passes("b")
			}
			s.expectWrites("no node that works is replaced", "snap-1")
			expect(t, "a person has to decide", b, map[string]string{"Ready": "False NoWayBack", "Stalled": "True NoWayBack", "Applied": "False NoWayBack"})
			expectNoWayBack(t, b)
			if b.Status.RejectedSnapshotID != "" {
				t.Errorf("%s is rejected, and in place", b.Status.RejectedSnapshotID)
			}

			s.wanted = "snap-2"
			b = s.passes("b")
			s.expectWrites("a newer one waits as any other", "snap-1")
			if p := b.Status.Pending; p == nil || p.SnapshotID != "snap-2" {
				t.Errorf("what waits: %+v", p)
			}
			expect(t, "and meanwhile no node can be launched", b, map[string]string{"Ready": "False NoWayBack"})
			s.plan.Pools[0].Staying = 0
			b = s.passes("b")
			s.expectWrites("then comes", "snap-1", "snap-2")
			expect(t, "and all is well", b, map[string]string{"Ready": "True Ready", "Stalled": "absent"})
			expectNoWayBack(t, b)
		})
	}
}

func TestLostAndThereAgain(t *testing.T) {
	s := proven(t, v1alpha1.RolloutWithNextDrift)
	s.reason = v1alpha1.ReasonSnapshotArchived
	s.remove("snap-1")
	s.plan.Health = binding.Health{Proven: true, Working: 1}
	s.plan.Pools = []binding.Pool{{Name: "default", Current: 1, Staying: 1}}
	expect(t, "lost", s.passes("b"), map[string]string{"Ready": "False NoWayBack"})
	s.usable["snap-1"] = true
	expect(t, "restored from the archive", s.passes("b"), map[string]string{"Ready": "True Ready", "Stalled": "absent"})
	if b := s.prove(); b.Status.LastKnownGoodSnapshotID != "snap-1" {
		t.Errorf("it can prove itself anew: %+v", b.Status)
	}
	s.expectWrites("nothing was written for it", "snap-1")
}

func TestLostAndReportedOnly(t *testing.T) {
	for name, edit := range map[string]func(*v1alpha1.Rollout){
		"paused":      func(r *v1alpha1.Rollout) { r.Paused = true },
		"no rollback": func(r *v1alpha1.Rollout) { r.Rollback.After = &metav1.Duration{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := proven(t, v1alpha1.RolloutRoll)
			s.change(func(spec *v1alpha1.NodeClassBindingSpec) { edit(&spec.Rollout) })
			s.passes("b")
			s.remove("snap-1")
			b := s.passes("b")
			s.expectWrites(name, "snap-1")
			expect(t, "it is said", b, map[string]string{"Ready": "False SnapshotNotFound", "Stalled": "True SnapshotNotFound", "Applied": "Unknown SnapshotNotFound"})
			expectSays(t, b, "snap-1 is gone; snap-1 stays all the same, since rollout.")
		})
	}
}

// goneSnapshots is an AWS that has lost one.
type goneSnapshots struct {
	binding.Snapshots
	id string
}

func (g goneSnapshots) Describe(ctx context.Context, id string) (ebs.Snapshot, error) {
	if id == g.id {
		return ebs.Snapshot{}, notThere(id)
	}
	return g.Snapshots.Describe(ctx, id)
}

// TestLostSnapshotOfThisCluster has somebody delete in AWS what an ImageCacheSnapshot names, and that make another.
func TestLostSnapshotOfThisCluster(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("b", v1alpha1.RolloutRoll))
	expect(t, "at first", w.passes("b"), map[string]string{"Ready": "True Ready"})
	source := w.reconciler.Source.(*binding.SnapshotSource)
	source.Snapshots = goneSnapshots{source.Snapshots, "snap-1"}
	expect(t, "it is gone", w.passes("b"), map[string]string{"Ready": "False RolledBack", "SnapshotAvailable": "False SnapshotNotFound"})
	if diff := cmp.Diff([]any{root}, w.devices()); diff != "" {
		t.Errorf("the devices are not as they were (-want +got):\n%s", diff)
	}
	w.setSnapshot("snap-2", "40Gi")
	expect(t, "another was made", w.passes("b"), map[string]string{"Ready": "True Ready", "Stalled": "absent"})
	if got := w.device()["ebs"].(map[string]any)["snapshotID"]; got != "snap-2" {
		t.Errorf("nodes boot with %v, want snap-2", got)
	}
}

// TestLostWhileANewerOneWaits has no node that works, and the next snapshot wait for others to go.
func TestLostWhileANewerOneWaits(t *testing.T) {
	s := proven(t, v1alpha1.RolloutWithNextDrift)
	s.remove("snap-1")
	s.wanted = "snap-2"
	s.plan.Pools = []binding.Pool{{Name: "default", Outdated: 1, Staying: 1}}
	b := s.passes("b")
	s.expectWrites("the device as it was bridges the time", "snap-1", "-")
	expect(t, "the newer one waits", b, map[string]string{"Applied": "False WaitingForDrift", "Stalled": "absent"})
	expectNoWayBack(t, b)
	s.plan.Pools[0].Staying = 0
	s.passes("b")
	s.expectWrites("then comes", "snap-1", "-", "snap-2")
}
