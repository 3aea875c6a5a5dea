package binding_test

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
)

// stage is a world whose target and snapshots say what the test scripts: it is the target, its observation and the
// source.
type stage struct {
	*world
	// inPlace is what the device names, and writes is what was written to it, in order; "-" is the device as it was before.
	inPlace string
	writes  []string
	// plan is what all plans say beside that.
	plan binding.Plan
	// upkeep is due once.
	upkeep bool
	// wanted is the id that the spec's source has, and usable are the snapshots that there are.
	wanted string
	usable map[string]bool
	// reason is what AWS says of those that are not usable; SnapshotNotFound if empty.
	reason string
	// unfit is a problem of planning for a snapshot.
	unfit map[string]*binding.Problem
	// actFails is what becomes of the next write, and actLost what is answered after it was made.
	actFails, actLost error
}

func newStage(t testing.TB, strategy v1alpha1.RolloutStrategy) *stage {
	s := &stage{world: newWorld(t, newBinding("b", strategy)), wanted: "snap-1",
		usable: map[string]bool{"snap-1": true, "snap-2": true, "snap-3": true}}
	s.reconciler.Targets, s.reconciler.Source = binding.Targets{s}, s
	return s
}

func (s *stage) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	return (&ec2nodeclass.Target{}).Subject(b)
}

func (s *stage) Observe(context.Context, *v1alpha1.NodeClassBinding, binding.Freshness) (binding.Observation, error) {
	return s, nil
}

func (s *stage) Watch(manager.Manager, controller.Controller) error { return nil }

func (s *stage) Act(_ context.Context, write binding.Write) error {
	if err := s.actFails; err != nil {
		s.actFails = nil
		return err
	}
	id := write.(string)
	s.writes = append(s.writes, id)
	switch id {
	case "upkeep":
		s.upkeep = false
	case "-":
		s.inPlace = ""
	default:
		s.inPlace = id
	}
	err := s.actLost
	s.actLost = nil
	return err
}

func (s *stage) Plan(_ *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, _ time.Time) binding.Plan {
	plan := s.plan
	plan.InPlace = s.inPlace
	if s.upkeep {
		plan.Upkeep = "upkeep"
	}
	if plan.Problem == nil {
		plan.Problem = s.unfit[snapshot.ID]
	}
	if snapshot.ID != "" && snapshot.ID != s.inPlace && plan.Problem == nil {
		plan.Write = snapshot.ID
	}
	return plan
}

func (s *stage) PlanWithout(*v1alpha1.NodeClassBinding, time.Time) binding.Plan {
	plan := s.plan
	if plan.InPlace = s.inPlace; s.inPlace != "" {
		plan.Write = "-"
	}
	return plan
}

func (s *stage) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	return s.PlanWithout(b, now)
}

func (s *stage) Wanted(ctx context.Context, b *v1alpha1.NodeClassBinding) (binding.Snapshot, *binding.Problem, error) {
	return s.ByID(ctx, b, s.wanted)
}

func (s *stage) ByID(_ context.Context, _ *v1alpha1.NodeClassBinding, id string) (binding.Snapshot, *binding.Problem, error) {
	if !s.usable[id] {
		return binding.Snapshot{ID: id}, &binding.Problem{
			Reason: cmp.Or(s.reason, v1alpha1.ReasonSnapshotNotFound), Message: id + " is gone", RetryAfter: 30 * time.Second,
		}, nil
	}
	return binding.Snapshot{ID: id, SizeGiB: 40}, nil, nil
}

// look makes a pass at the present time.
func (s *stage) look() *v1alpha1.NodeClassBinding {
	s.Helper()
	b, err := s.passNow("b")
	if err != nil && !errors.Is(err, reconcile.TerminalError(nil)) {
		s.Fatal(err)
	}
	return b
}

// ask sets larder.dev/apply-now.
func (s *stage) ask(value string) {
	s.Helper()
	b := &v1alpha1.NodeClassBinding{}
	if err := s.client.Get(context.Background(), client.ObjectKey{Name: "b"}, b); err != nil {
		s.Fatal(err)
	}
	metav1.SetMetaDataAnnotation(&b.ObjectMeta, v1alpha1.AnnotationApplyNow, value)
	if err := s.client.Update(context.Background(), b); err != nil {
		s.Fatal(err)
	}
}

// prove has the snapshot in place go through its trial.
func (s *stage) prove() *v1alpha1.NodeClassBinding {
	s.Helper()
	s.plan.Health = binding.Health{Proven: true, Working: 1}
	s.passes("b")
	s.wait(10 * time.Minute)
	b := s.passes("b")
	s.plan.Health = binding.Health{}
	if !b.Status.LastKnownGoodProven || b.Status.LastKnownGoodSnapshotID != b.Status.AppliedSnapshotID {
		s.Fatalf("%s is not proven: %+v", b.Status.AppliedSnapshotID, b.Status)
	}
	return b
}

// breakNodes has Karpenter report that nodes cannot boot with what is in place.
func (s *stage) breakNodes(working int) {
	s.plan.Health = binding.Health{Broken: 1, Working: working, Failure: &binding.Problem{
		Reason: v1alpha1.ReasonLaunchFailed, Message: "NodeClaim n1 cannot be launched",
	}}
}

func (s *stage) heal() { s.plan.Health = binding.Health{} }
