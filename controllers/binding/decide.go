package binding

import (
	"fmt"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// goal is what a target is to name, and what that takes.
type goal struct {
	subject Subject
	// snapshot is empty for the device as it was before the binding.
	snapshot Snapshot
	plan     Plan
	purpose  purpose
	// inPlace tells that nodes are launched, for the time being, with the snapshot that was applied last.
	inPlace bool
}

// decision is what a pass will do, and what it will say.
type decision struct {
	subject Subject
	wanted  Snapshot
	// observed is the plan for the wanted snapshot: it says what there is.
	observed Plan
	// inPlace tells that nodes are launched with the snapshot that this binding applied last.
	inPlace bool
	// held tells that the platform alone keeps a write from being made.
	held  bool
	asked bool
	trial trial
	rival *v1alpha1.Rival
	// unavailable, unfit, unapplied and unhealthy are the problems behind SnapshotAvailable, PreflightPassed, Applied, and
	// a snapshot that is applied and fails.
	unavailable, unfit, unapplied, unhealthy *Problem
	// goal is what the target names after this pass; nil when it is left as it is.
	goal *goal
	// waiting is what it is to name, and does not yet; nil when nothing waits.
	waiting *goal
	// write is the one change to make, and upkeep tells that it is not for the goal; nil when there is nothing to write,
	// or when it may not be written.
	write  Write
	upkeep bool
	// failed tells that it could not be made, which unapplied says then.
	failed bool
}

// decide is pure.
func decide(binding *v1alpha1.NodeClassBinding, f facts, now time.Time) decision {
	d := decision{subject: f.subject, wanted: f.wanted, unavailable: f.unavailable, asked: isAsked(binding), rival: binding.Status.Rival}
	usable := f.wanted
	if f.unavailable != nil {
		usable = Snapshot{}
	}
	d.observed = f.target.Plan(binding, usable, now)
	d.unfit = d.observed.Problem
	d.inPlace = isInPlace(binding, f, d.observed, now)
	if f.holder != nil {
		if d.unfit == nil {
			d.unfit = claimed(f.subject, f.holder)
		}
		d.trial = trial{rejected: binding.Status.RejectedSnapshotID, because: binding.Status.RejectedBecause}
		return d
	}
	d.trial = judge(binding, d.observed, f, d.asked, now)
	d.unhealthy = d.trial.failing
	d.advance(binding, now)
	d.goBack(binding, f, now)
	if d.held && d.trial.hasRejected(binding.Status.AppliedSnapshotID) {
		d.inPlace = false // nodes are launched with it for now, and it serves nobody
	}
	d.keepUp(binding)
	return d
}

// advance goes for the wanted snapshot, unless that is the bad one.
func (d *decision) advance(binding *v1alpha1.NodeClassBinding, now time.Time) {
	if d.unavailable != nil || d.unfit != nil || d.trial.hasRejected(d.wanted.ID) {
		return
	}
	g := goal{subject: d.subject, snapshot: d.wanted, plan: d.observed, purpose: another}
	switch binding.Status.AppliedSnapshotID {
	case "":
		g.purpose = first
	case d.wanted.ID:
		g.purpose = mend
	}
	d.rival = rivalAfter(binding, g, d.asked, now)
	d.unapplied = d.pursue(binding, g, now)
}

// goBack takes a bad snapshot out. A newer one that may be written at once does that as well.
func (d *decision) goBack(binding *v1alpha1.NodeClassBinding, f facts, now time.Time) {
	if d.goal != nil || !d.trial.demandsAnother(binding, d.wanted.ID) {
		return
	}
	newer := d.waiting
	g := wayBack(binding, f, d.trial, now)
	if g.plan.Problem != nil && d.unfit != nil {
		return // what is wrong with the target is said already
	}
	g.plan.Health = d.observed.Health
	d.rival = rivalAfter(binding, g, d.asked, now)
	problem := d.pursue(binding, g, now)
	switch {
	case newer != nil:
		d.waiting, d.unhealthy = newer, problem
	case problem != nil:
		d.unapplied = problem
	default:
		d.unapplied = rolledBack(binding, d.trial, g, d.findings())
	}
}

// pursue writes what a goal takes, or returns why that has to wait.
func (d *decision) pursue(binding *v1alpha1.NodeClassBinding, g goal, now time.Time) *Problem {
	switch {
	case g.plan.Problem != nil:
		return g.plan.Problem
	case g.plan.Write == nil:
		d.goal = &g
		return nil
	}
	g.inPlace = d.inPlace
	problem := mayWrite(binding, g, d.asked, now)
	if hasStopped(d.rival) && (problem == nil || problem.Reason != v1alpha1.ReasonPaused) {
		problem = rivalProblem(binding, g, d.rival)
	}
	if problem == nil {
		problem = platformHolds(binding, g, d.observed, d.asked)
		d.held = problem != nil
	}
	if problem != nil {
		d.waiting = &g
		return problem
	}
	d.goal, d.write = &g, g.plan.Write
	return nil
}

// keepUp brings the target in step with its owner while nothing else is written to it.
func (d *decision) keepUp(binding *v1alpha1.NodeClassBinding) {
	plan := d.observed
	if d.goal != nil {
		plan = d.goal.plan
	}
	if d.write == nil && plan.Upkeep != nil && plan.Busy == nil && !binding.Spec.Rollout.Paused && !hasStopped(d.rival) {
		d.write, d.upkeep = plan.Upkeep, true
	}
}

// findings are what speaks against a rejected snapshot now; nil when nothing does, or when it is not the wanted one.
func (d *decision) findings() *Problem {
	switch {
	case !d.trial.hasRejected(d.wanted.ID):
		return d.trial.lost
	case d.unavailable != nil:
		return d.unavailable
	default:
		return d.unfit
	}
}

func claimed(subject Subject, holder *v1alpha1.NodeClassBinding) *Problem {
	return &Problem{
		Reason:  v1alpha1.ReasonDeviceClaimed,
		Stalled: true,
		Message: fmt.Sprintf("NodeClassBinding %s is older and holds %s: delete one of the two bindings, or "+
			"give this one another device", holder.Name, subject),
	}
}
