package binding_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
)

// theirs is what a plant runs before Larder, and after it.
const theirs = "snap-theirs"

// update is a change that a platform makes of itself, which takes it an hour.
type update struct {
	to string
	// other is who asked for it, if Larder did not.
	other string
	since time.Time
	// fails tells how it ends, and stuck that the platform then does not go back to what it was.
	fails, stuck bool
}

// plant is a target whose platform takes its time, as EKS's node groups do: one update at a time, and one that fails is
// taken back. Nothing tells when it is over.
type plant struct {
	*stage
	// runs is what it is set to, and last the last update, which may be under way.
	runs string
	last *update
	// fails and stuck say what becomes of the updates to come.
	fails, stuck bool
	// sick are the snapshots that nodes do not become Ready with.
	sick map[string]bool
	// asked is what Larder asked for, in order; lost is answered once after that was done.
	asked []string
	lost  error
	// denied is what each request is answered with that the platform does not take; nil while it takes them.
	denied *binding.Problem
}

const updateTime = time.Hour

func newPlant(t *testing.T) *plant {
	p := &plant{stage: newStage(t, v1alpha1.RolloutRoll), runs: theirs, sick: map[string]bool{}}
	p.restartPlant()
	return p
}

// restartPlant begins another life of the operator.
func (p *plant) restartPlant() {
	p.restart()
	p.reconciler.Targets, p.reconciler.Source = binding.Targets{unwatched{p}}, p.stage
}

// unwatched has the methods of a Target, and not that of a Watcher.
type unwatched struct{ plant *plant }

func (u unwatched) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	return (&ec2nodeclass.Target{}).Subject(b)
}

func (u unwatched) Observe(context.Context, *v1alpha1.NodeClassBinding, binding.Freshness) (binding.Observation, error) {
	u.plant.work()
	return u, nil
}

func (u unwatched) Act(_ context.Context, write binding.Write) error {
	p := u.plant
	if p.denied != nil {
		return p.denied
	}
	if p.working() {
		p.Fatalf("%s is asked for while %+v is under way", write, p.last)
	}
	p.begin(write.(string), "")
	p.asked = append(p.asked, write.(string))
	err := p.lost
	p.lost = nil
	return err
}

func (p *plant) begin(to, other string) {
	p.work()
	p.last = &update{to: to, other: other, since: p.clock.Now(), fails: p.fails, stuck: p.stuck}
}

func (p *plant) working() bool {
	return p.last != nil && p.clock.Now().Before(p.last.since.Add(updateTime))
}

// work brings an update to its end whose time is up.
func (p *plant) work() {
	if p.last != nil && !p.working() && (!p.last.fails || p.last.stuck) {
		p.runs = p.last.to
	}
}

// Plan implements binding.Observation. Larder's own update counts as what was asked for as long as nobody else asked later.
func (u unwatched) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, _ time.Time) binding.Plan {
	return u.planFor(b, snapshot.ID)
}

func (u unwatched) planFor(b *v1alpha1.NodeClassBinding, to string) binding.Plan {
	p := u.plant
	plan := binding.Plan{InPlace: p.runs}
	last, own := p.last, p.last != nil && p.last.other == ""
	if own {
		plan.InPlace = last.to
	}
	counts := own && b.Status.AppliedTime != nil && !last.since.Before(b.Status.AppliedTime.Time)
	switch {
	case p.working() && own:
		plan.Busy = &binding.Problem{Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: 30 * time.Second, Message: "the plant updates to " + last.to}
		plan.Progress = "updating to " + last.to
	case p.working():
		plan.Busy = &binding.Problem{Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: 30 * time.Second, Message: last.other + " updates the plant"}
	case counts && last.fails:
		plan.Health.Failure = &binding.Problem{Reason: v1alpha1.ReasonUpdateFailed, Message: "the update to " + last.to + " failed: PodEvictionFailure"}
	case p.sick[p.runs]:
		plan.Health = binding.Health{Broken: 1, Failure: &binding.Problem{Reason: v1alpha1.ReasonNodesNotReady, Message: "nodes are not Ready"}}
	default:
		plan.Health = binding.Health{Proven: true, Working: 1}
	}
	underWay := p.working() && last.to == to
	if to != "" && !underWay && (p.runs != to || p.working() && own) {
		plan.Write = to
	}
	if last != nil && last.other != "" && !p.working() {
		plan.TakenBackBy = last.other
	}
	return plan
}

func (u unwatched) PlanWithout(b *v1alpha1.NodeClassBinding, _ time.Time) binding.Plan {
	return u.planFor(b, theirs)
}

func (u unwatched) PlanEnd(b *v1alpha1.NodeClassBinding, _ time.Time) binding.Plan {
	if b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave {
		return binding.Plan{}
	}
	return u.planFor(b, theirs)
}

// after lets time pass, and makes a pass then.
func (p *plant) after(d time.Duration) *v1alpha1.NodeClassBinding {
	p.Helper()
	p.wait(d)
	b := p.look()
	if b != nil && p.next == 0 {
		p.Errorf("nobody looks at the plant again: %+v", b.Status.Conditions)
	}
	return b
}

// provenPlant runs snap-1, which is proven.
func provenPlant(t *testing.T) *plant {
	p := newPlant(t)
	p.after(time.Minute)
	p.after(updateTime)
	b := p.after(10 * time.Minute)
	if !b.Status.LastKnownGoodProven || p.runs != "snap-1" {
		t.Fatalf("the plant runs %s: %+v", p.runs, b.Status)
	}
	return p
}

// expectAsked compares what Larder asked the platform for so far.
func (p *plant) expectAsked(why string, want ...string) {
	p.Helper()
	if diff := cmp.Diff(want, p.asked); diff != "" {
		p.Errorf("%s: what was asked for (-want +got):\n%s", why, diff)
	}
}
