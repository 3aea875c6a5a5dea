package binding_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/test/targets"
)

// expectWrites compares what was written so far.
func (s *stage) expectWrites(why string, want ...string) {
	s.Helper()
	if diff := cmp.Diff(want, s.writes); diff != "" {
		s.Errorf("%s: writes (-want +got):\n%s", why, diff)
	}
}

func expect(t testing.TB, why string, b *v1alpha1.NodeClassBinding, conditions map[string]string) {
	t.Helper()
	got := map[string]string{}
	for conditionType := range conditions {
		got[conditionType] = targets.Describe(b, conditionType)
	}
	if diff := cmp.Diff(conditions, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", why, diff)
	}
}

func expectSays(t testing.TB, b *v1alpha1.NodeClassBinding, says ...string) {
	t.Helper()
	message := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady).Message
	for _, part := range says {
		if !strings.Contains(message, part) {
			t.Errorf("Ready does not say %q:\n%s", part, message)
		}
	}
}

// provenThenBad has snap-1 proven, and snap-2 written and failing.
func provenThenBad(t *testing.T, strategy v1alpha1.RolloutStrategy) *stage {
	s := newStage(t, strategy)
	s.passes("b")
	s.prove()
	s.wanted = "snap-2"
	s.passes("b")
	s.expectWrites("before it fails", "snap-1", "snap-2")
	s.breakNodes(0)
	return s
}

func TestRollback(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutRoll)
	b := s.passes("b")
	s.expectWrites("the last known good one comes back", "snap-1", "snap-2", "snap-1")
	rolledBack := map[string]string{"Ready": "False RolledBack", "Stalled": "True RolledBack", "Applied": "False RolledBack",
		"Reconciling": "absent", "PreflightPassed": "True Passed", "SnapshotAvailable": "True SnapshotCompleted"}
	expect(t, "rolled back", b, rolledBack)
	expectSays(t, b, "snap-2 failed (LaunchFailed: NodeClaim n1 cannot be launched), and new nodes boot with snap-1 instead",
		"kubectl logs --namespace kube-system deployment/karpenter | grep gpu", "A newer snapshot is tried by itself",
		"to try snap-2 again: kubectl annotate --overwrite nodeclassbinding b larder.dev/apply-now=")
	if b.Status.AppliedSnapshotID != "snap-1" || b.Status.RejectedSnapshotID != "snap-2" || b.Status.LastKnownGoodSnapshotID != "snap-1" {
		t.Errorf("status: %+v", b.Status)
	}
	for range 3 {
		b = s.passes("b")
	}
	expect(t, "and stays so, though Karpenter still reports the failure", b, rolledBack)
	s.heal()
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Target.EC2NodeClass.Device.VolumeSize = quantity("50Gi")
	})
	expect(t, "a changed spec does not make a bad snapshot good", s.passes("b"), rolledBack)
	s.expectWrites("one rollback, no more", "snap-1", "snap-2", "snap-1")

	s.inPlace = "" // taken back by somebody
	expect(t, "what is in place instead is mended as any other", s.passes("b"), rolledBack)
	s.expectWrites("mended", "snap-1", "snap-2", "snap-1", "snap-1")

	s.unfit = map[string]*binding.Problem{"snap-2": {Reason: v1alpha1.ReasonFormatMismatch, Message: "snap-2 has no images", Stalled: true}}
	b = s.passes("b")
	expectSays(t, b, "What is found to be wrong with it now: FormatMismatch: snap-2 has no images")
	expect(t, "what is found later is said", b, map[string]string{"Ready": "False RolledBack", "PreflightPassed": "False FormatMismatch"})
	s.usable["snap-2"] = false
	expectSays(t, s.passes("b"), "What is found to be wrong with it now: SnapshotNotFound: snap-2 is gone")

	s.wanted = "snap-3"
	b = s.passes("b")
	s.expectWrites("a newer one is tried by itself", "snap-1", "snap-2", "snap-1", "snap-1", "snap-3")
	expect(t, "and all is well", b, map[string]string{"Ready": "True Ready", "Stalled": "absent", "Applied": "True Applied"})
	if b.Status.RejectedSnapshotID != "snap-2" || b.Status.LastKnownGoodSnapshotID != "snap-1" || !b.Status.LastKnownGoodProven {
		t.Errorf("a proven snapshot stays the one to go back to until another is proven: %+v", b.Status)
	}
	if b = s.prove(); b.Status.LastKnownGoodSnapshotID != "snap-3" {
		t.Errorf("after its trial: %+v", b.Status)
	}
}

func TestRollbackWithoutAPredecessor(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.passes("b")
	s.breakNodes(0)
	b := s.passes("b")
	s.heal()
	for range 3 {
		b = s.passes("b")
	}
	s.expectWrites("the device is as it was before the binding", "snap-1", "-")
	expect(t, "nothing is applied", b, map[string]string{"Ready": "False RolledBack", "Applied": "False RolledBack", "RolledOut": "Unknown NothingApplied"})
	expectSays(t, b, "/dev/xvdb of EC2NodeClass gpu is as it was before this binding")
	if b.Status.AppliedSnapshotID != "" || b.Status.RejectedSnapshotID != "snap-1" || b.Status.LastKnownGoodSnapshotID != "" {
		t.Errorf("status: %+v", b.Status)
	}
	s.wanted = "snap-2"
	expect(t, "a newer one is tried", s.passes("b"), map[string]string{"Ready": "True Ready"})
	s.expectWrites("a newer one is tried", "snap-1", "-", "snap-2")
}

func TestRollbackToWhatIsGone(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutRoll)
	s.usable["snap-1"] = false
	s.passes("b")
	s.expectWrites("a snapshot that does not exist is no way back", "snap-1", "snap-2", "-")
}

func TestWhatWasBroughtBackFailsToo(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.passes("b")
	s.wanted = "snap-2" // before a node came, so that snap-1 is not proven
	s.passes("b")
	s.breakNodes(0)
	s.passes("b")
	var b *v1alpha1.NodeClassBinding
	for range 5 {
		b = s.passes("b")
	}
	s.expectWrites("one rollback, and no flapping", "snap-1", "snap-2", "snap-1")
	expect(t, "both are named", b, map[string]string{"Ready": "False RolledBack", "Stalled": "True RolledBack"})
	expectSays(t, b, "snap-2 failed", "snap-1 fails too (LaunchFailed", "nothing is left to go back to")
	s.wanted = "snap-3"
	s.passes("b")
	s.expectWrites("a newer one is tried all the same", "snap-1", "snap-2", "snap-1", "snap-3")
}

// TestRollbackIsNotForgotten has the operator end between the write and the status that tells of it.
func TestRollbackIsNotForgotten(t *testing.T) {
	for name, interrupt := range map[string]func(s *stage){
		"before the write":   func(s *stage) { s.actFails = errTrouble },
		"after the write":    func(s *stage) { s.actLost = errTrouble },
		"before the status":  func(s *stage) { s.fail = nthStatusPatch(2) },
		"before the marker":  func(s *stage) { s.fail = nthStatusPatch(1) },
		"with the marker in": func(s *stage) { s.lose = nthStatusPatch(1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := provenThenBad(t, v1alpha1.RolloutRoll)
			interrupt(s)
			if _, err := s.pass("b"); err == nil && s.next != time.Second { // which is what follows a conflict
				t.Fatal("the pass was not interrupted")
			}
			s.fail, s.lose = nil, nil
			if s.inPlace == "snap-1" {
				s.heal() // Karpenter has nothing against what is in place now
			}
			b := s.passes("b")
			for range 3 {
				b = s.passes("b")
			}
			s.expectWrites("the bad one is written once", "snap-1", "snap-2", "snap-1")
			expect(t, "rolled back", b, map[string]string{"Ready": "False RolledBack"})
		})
	}
}

// nthStatusPatch fails the status patch that is the nth from now.
func nthStatusPatch(n int) func(string, any) error {
	return func(verb string, _ any) error {
		if verb != "patch status" {
			return nil
		}
		if n--; n == 0 {
			return errTrouble
		}
		return nil
	}
}

func TestFailureThatIsNotActedUpon(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*v1alpha1.Rollout)
		says   string
	}{
		"paused":      {"nothing is written", func(r *v1alpha1.Rollout) { r.Paused = true }, "since rollout.paused is set"},
		"no rollback": {"the user wants none", func(r *v1alpha1.Rollout) { r.Rollback.After = &metav1.Duration{} }, "since rollout.rollback.after is 0s"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := provenThenBad(t, v1alpha1.RolloutRoll)
			s.change(func(spec *v1alpha1.NodeClassBindingSpec) { tc.edit(&spec.Rollout) })
			b := s.passes("b")
			s.expectWrites(tc.reason, "snap-1", "snap-2")
			expect(t, tc.reason, b, map[string]string{"Ready": "False LaunchFailed", "Stalled": "True LaunchFailed", "Applied": "True Applied"})
			expectSays(t, b, "NodeClaim n1 cannot be launched; snap-2 stays all the same, "+tc.says)
			s.heal()
			expect(t, "nodes recovered by themselves", s.passes("b"), map[string]string{"Ready": "True Ready", "Stalled": "absent"})
		})
	}
}

func TestNoWayBack(t *testing.T) {
	for name, then := range map[string]func(s *stage){
		"a person asks": func(s *stage) { s.ask("now") },
		"Roll agrees": func(s *stage) {
			s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Strategy = v1alpha1.RolloutRoll })
		},
		"the last node that works is gone": func(s *stage) { s.breakNodes(0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := provenThenBad(t, v1alpha1.RolloutWithNextDrift)
			s.breakNodes(2)
			s.plan.Pools = []binding.Pool{{Name: "default", Current: 3, Staying: 3}}
			b := s.passes("b")
			s.expectWrites("nodes that work are not replaced", "snap-1", "snap-2")
			expect(t, "a person has to decide", b, map[string]string{"Ready": "False NoWayBack", "Stalled": "True NoWayBack", "Applied": "False NoWayBack"})
			expectSays(t, b, "it would replace 3 NodeClaims of NodePool default")
			if p := b.Status.Pending; p == nil || p.SnapshotID != "snap-1" || p.NodesThatWouldBeReplaced != 3 {
				t.Errorf("what waits: %+v", p)
			}
			if b.Status.RejectedSnapshotID != "" {
				t.Errorf("%s is rejected, and in place", b.Status.RejectedSnapshotID)
			}
			then(s)
			s.passes("b")
			s.heal()
			s.expectWrites(name, "snap-1", "snap-2", "snap-1")
			expect(t, "rolled back", s.passes("b"), map[string]string{"Ready": "False RolledBack"})
		})
	}
}

// TestNewerSnapshotWhileOneFails has the next snapshot there already when the one in place fails.
func TestNewerSnapshotWhileOneFails(t *testing.T) {
	t.Run("it may be written", func(t *testing.T) {
		s := provenThenBad(t, v1alpha1.RolloutRoll)
		s.wanted = "snap-3"
		b := s.passes("b")
		s.heal()
		s.passes("b")
		s.expectWrites("it takes the bad one out", "snap-1", "snap-2", "snap-3")
		if b.Status.RejectedSnapshotID != "snap-2" || b.Status.LastKnownGoodSnapshotID != "snap-1" {
			t.Errorf("status: %+v", b.Status)
		}
	})
	t.Run("it is written by an operator that ends", func(t *testing.T) {
		s := provenThenBad(t, v1alpha1.RolloutRoll)
		s.wanted, s.actLost = "snap-3", errTrouble
		if _, err := s.pass("b"); !errors.Is(err, errTrouble) {
			t.Fatalf("got %v", err)
		}
		s.heal()
		b := s.passes("b")
		s.expectWrites("the next one finds it in place", "snap-1", "snap-2", "snap-3")
		if b.Status.AppliedSnapshotID != "snap-3" || b.Status.RejectedSnapshotID != "snap-2" {
			t.Errorf("status: %+v", b.Status)
		}
	})
	t.Run("it has to wait", func(t *testing.T) {
		s := provenThenBad(t, v1alpha1.RolloutWithNextDrift)
		s.wanted = "snap-3"
		s.plan.Pools = []binding.Pool{{Name: "default", Current: 1, Outdated: 2, Staying: 3}}
		b := s.passes("b")
		s.expectWrites("the good one bridges the time", "snap-1", "snap-2", "snap-1")
		staged := map[string]string{"Ready": "True WaitingForDrift", "Stalled": "absent", "Applied": "False WaitingForDrift"}
		expect(t, "the newer one waits", b, staged)
		s.heal()
		b = s.passes("b")
		expect(t, "and goes on waiting", b, staged)
		if p := b.Status.Pending; p == nil || p.SnapshotID != "snap-3" {
			t.Errorf("what waits: %+v", p)
		}
		s.plan.Pools[0].Staying = 0
		s.passes("b")
		s.expectWrites("then comes", "snap-1", "snap-2", "snap-1", "snap-3")
	})
}

// TestNewerSnapshotThatHasToWaitWhileNodesWork has neither way open: the newer one waits, and the bad one stays.
func TestNewerSnapshotThatHasToWaitWhileNodesWork(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutWithNextDrift)
	s.wanted = "snap-3"
	s.breakNodes(2)
	s.plan.Pools = []binding.Pool{{Name: "default", Current: 3, Staying: 3}}
	b := s.passes("b")
	s.expectWrites("no node is replaced", "snap-1", "snap-2")
	expect(t, "it says both", b, map[string]string{"Ready": "False NoWayBack", "Applied": "False WaitingForDrift"})
	if p := b.Status.Pending; p == nil || p.SnapshotID != "snap-3" {
		t.Errorf("what waits: %+v", p)
	}
	s.ask("now")
	s.passes("b")
	s.expectWrites("who asks gets the newer one", "snap-1", "snap-2", "snap-3")
}

// TestFindingsAreOfTheRejectedSnapshot has another snapshot wanted, with faults of its own, when the one in place fails.
func TestFindingsAreOfTheRejectedSnapshot(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutRoll)
	s.wanted = "snap-3"
	s.unfit = map[string]*binding.Problem{"snap-3": {Reason: v1alpha1.ReasonFormatMismatch, Message: "snap-3 has no images", Stalled: true}}
	b := s.passes("b")
	s.expectWrites("the bad one is taken out all the same", "snap-1", "snap-2", "snap-1")
	expectSays(t, b, "snap-2 failed", "Karpenter keeps the cause in its log")
	expect(t, "and the other one is not tried", s.passes("b"), map[string]string{"Ready": "False FormatMismatch"})
}

// TestWhereToGoBackTo follows a row of snapshots, each of which is on trial, proven or bad when the next one comes.
func TestWhereToGoBackTo(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	steps := []struct {
		reason, wanted string
		fate           func(s *stage)
		want           string
	}{
		{reason: "there was none before", wanted: "snap-1", want: ""},
		{reason: "as long as none is proven, the one before has to do", wanted: "snap-2", want: "snap-1"},
		{reason: "also when that is not proven either", wanted: "snap-3", want: "snap-2"},
		{reason: "one that is proven is better", wanted: "snap-3", fate: func(s *stage) { s.prove() }, want: "snap-3 proven"},
		{reason: "than one that is not", wanted: "snap-1", want: "snap-3 proven"},
		{reason: "and stays so", wanted: "snap-2", want: "snap-3 proven"},
		{reason: "until the next one is proven", wanted: "snap-2", fate: func(s *stage) { s.prove() }, want: "snap-2 proven"},
	}
	for _, step := range steps {
		s.wanted = step.wanted
		b := s.passes("b")
		if step.fate != nil {
			step.fate(s)
			b = s.passes("b")
		}
		got := b.Status.LastKnownGoodSnapshotID
		if b.Status.LastKnownGoodProven {
			got += " proven"
		}
		if got != step.want {
			t.Errorf("%s: with %s in place it goes back to %q, want %q", step.reason, step.wanted, got, step.want)
		}
	}
}

// TestBadSnapshotIsNoWayBack has a snapshot fail that nothing proven came before, and the one after it fail as well.
func TestBadSnapshotIsNoWayBack(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.passes("b")
	s.breakNodes(0)
	s.wanted = "snap-2"
	b := s.passes("b")
	if b.Status.LastKnownGoodSnapshotID != "" {
		t.Errorf("%s failed, and is the one to go back to", b.Status.LastKnownGoodSnapshotID)
	}
	s.passes("b")
	s.heal()
	s.passes("b")
	s.expectWrites("both are out", "snap-1", "snap-2", "-")
}

// TestRejectedSnapshotIsWantedAgain has a parameter go back to a snapshot that failed, while a better one is in place.
func TestRejectedSnapshotIsWantedAgain(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutRoll)
	s.passes("b")
	s.heal()
	s.wanted = "snap-3"
	s.passes("b")
	s.wanted = "snap-2"
	b := s.passes("b")
	s.expectWrites("what failed is not written again, and what is in place stays", "snap-1", "snap-2", "snap-1", "snap-3")
	expect(t, "it says so", b, map[string]string{"Ready": "False RolledBack"})
	expectSays(t, b, "snap-2 failed", "new nodes boot with snap-3 instead")
}

func TestTrialEndsInTime(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Rollout.Rollback.After = &metav1.Duration{Duration: 5 * time.Minute}
	})
	s.look()
	if s.next != 10*time.Minute {
		t.Errorf("without nodes it looks again after %s, want the interval", s.next)
	}
	s.plan.Health = binding.Health{Proven: true, Working: 1}
	s.look()
	if s.next != 5*time.Minute {
		t.Errorf("it looks again after %s, want the end of the trial", s.next)
	}
	s.wait(s.next - time.Second)
	if b := s.look(); b.Status.LastKnownGoodProven {
		t.Error("proven a second too early")
	}
	s.wait(s.next)
	if b := s.look(); !b.Status.LastKnownGoodProven || b.Status.LastKnownGoodSnapshotID != "snap-1" {
		t.Errorf("not proven in time: %+v", b.Status)
	}
	s.breakNodes(0)
	expect(t, "what fails after the trial is not of its making", s.look(), map[string]string{"Ready": "True Ready"})
	s.plan.Health = binding.Health{RetryAfter: 90 * time.Second}
	if s.look(); s.next != 90*time.Second {
		t.Errorf("it looks again after %s, want when the time of a node is up", s.next)
	}
}

// TestStalledBindingsLookAgain holds that a snapshot from elsewhere is asked for even while a person has to act: a newer
// one may be the answer, and no watch tells of it.
func TestStalledBindingsLookAgain(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutRoll)
	if s.passes("b"); s.next != 0 {
		t.Errorf("an ImageCacheSnapshot is watched: another pass after %s", s.next)
	}
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Snapshot = v1alpha1.SnapshotSource{SSMParameter: "/larder/inference", Interval: metav1.Duration{Duration: 3 * time.Minute}}
	})
	if s.look(); s.next != 3*time.Minute {
		t.Errorf("a parameter is not watched: another pass after %s", s.next)
	}
}

func TestRollbackIsAnEvent(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutRoll)
	for len(s.events.Events) > 0 {
		<-s.events.Events
	}
	for range 3 {
		s.passes("b")
	}
	want := "Warning RolledBack brought snap-1 back to /dev/xvdb of EC2NodeClass gpu, since snap-2 failed: LaunchFailed: NodeClaim n1 cannot be launched"
	if len(s.events.Events) != 1 {
		t.Fatalf("%d events, want one", len(s.events.Events))
	}
	if got := <-s.events.Events; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
