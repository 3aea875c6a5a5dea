package binding

import (
	"fmt"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// purpose is what a write is for.
type purpose int

const (
	// first makes the target name a snapshot of the binding, and another makes it name a newer one.
	first purpose = iota
	another
	// mend writes the applied snapshot again: the device was taken back, or the spec says something else of it.
	mend
	// retreat takes a bad snapshot out of the target.
	retreat
	// restore is for a binding that is being deleted.
	restore
)

// mayWrite tells why a planned write has to wait; nil when it may be made now. A problem's RetryAfter is when time alone
// changes the answer; zero when only nodes, or people, do.
func mayWrite(binding *v1alpha1.NodeClassBinding, g goal, asked bool, now time.Time) *Problem {
	rollout := &binding.Spec.Rollout
	say := sentences{binding, g}
	switch {
	case rollout.Paused:
		return say.paused()
	case asked:
		return nil
	case g.purpose == restore && binding.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave:
		return nil
	}
	opens := windowAt(binding, now)
	problem := agreed(say, opens, now)
	switch {
	case problem == nil && g.purpose == another:
		return minIntervalOver(say, opens, now)
	case problem != nil && g.purpose == retreat && sparesWorking(g.plan):
		return nil
	case problem != nil && g.purpose == retreat:
		return say.noWayBack(problem)
	}
	return problem
}

// agreed tells whether the strategy and the window allow to replace what the write would replace.
func agreed(say sentences, opens windowState, now time.Time) *Problem {
	binding, pools := say.binding, say.goal.plan.Pools
	switch strategy := binding.Spec.Rollout.Strategy; {
	case opens.invalid != nil:
		return opens.invalid
	case say.goal.purpose == restore && total(pools, staying) == 0:
		return nil // what replaces nothing need not keep a deletion waiting
	case strategy == v1alpha1.RolloutWithNextDrift:
		if total(pools, staying) == 0 || opens.open {
			return nil
		}
		return say.waitingForDrift(opens, now)
	case strategy == v1alpha1.RolloutNewNodesOnly && total(pools, replaced) > 0:
		return say.nodesWouldBeReplaced()
	case opens.exists && !opens.open:
		return say.waitingForWindow(opens, now)
	}
	return nil
}

// minIntervalOver tells whether enough time went by since the last snapshot was written.
func minIntervalOver(say sentences, opens windowState, now time.Time) *Problem {
	least, last := say.binding.Spec.Rollout.MinInterval, say.binding.Status.AppliedTime
	if least == nil || last == nil || !now.Before(last.Add(least.Duration)) {
		return nil
	}
	over := last.Add(least.Duration)
	problem := say.minIntervalNotOver(over)
	problem.RetryAfter = until(over, now)
	if opens.open {
		problem.RetryAfter = min(problem.RetryAfter, until(opens.closes, now))
	}
	return problem
}

// sparesWorking tells whether a bad snapshot can be taken out without replacing a node that works.
func sparesWorking(plan Plan) bool {
	return plan.Health.Working == 0 || total(plan.Pools, replaced) == 0
}

// staying nodes of a pool would drift by a write that nothing else replaces already.
func staying(pool Pool) int { return pool.Staying }

// replaced nodes of a pool would not only drift but go.
func replaced(pool Pool) int {
	if pool.HoldsDrift {
		return 0
	}
	return pool.Staying
}

func total(pools []Pool, count func(Pool) int) int {
	sum := 0
	for _, pool := range pools {
		sum += count(pool)
	}
	return sum
}

// sentences are what is said of a change that waits.
type sentences struct {
	binding *v1alpha1.NodeClassBinding
	goal    goal
}

// waits begins a sentence that goes on with "until" or "while".
func (s sentences) waits() string {
	switch {
	case s.goal.purpose == restore:
		return fmt.Sprintf("the deletion waits, and with it the restoration of %s,", s.goal.subject)
	case s.goal.snapshot.ID == "":
		return fmt.Sprintf("%s is not made what it was before the binding", s.goal.subject)
	default:
		return fmt.Sprintf("%s is not written to %s", s.goal.snapshot.ID, s.goal.subject)
	}
}

// meanwhile says what new nodes boot with as long as the change waits.
func (s sentences) meanwhile() string {
	applied := s.binding.Status.AppliedSnapshotID
	leaves := s.goal.purpose == retreat || s.goal.purpose == restore // the applied one, whatever became of the target since
	if applied == "" || !leaves && !s.goal.inPlace {
		return "no snapshot of this binding is in use yet"
	}
	return s.goal.subject.serves(applied) + " until then"
}

func (s sentences) wouldReplace() string {
	return "it would replace " + s.goal.subject.count(s.goal.plan.Pools, replaced)
}

func (s sentences) problem(reason, format string, args ...any) *Problem {
	return &Problem{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func (s sentences) paused() *Problem {
	return s.problem(v1alpha1.ReasonPaused, "%s while rollout.paused is set, which %s waits for too: set it to false; %s; %s",
		s.waits(), v1alpha1.AnnotationApplyNow, s.wouldReplace(), s.meanwhile())
}

func (s sentences) nodesWouldBeReplaced() *Problem {
	return s.problem(v1alpha1.ReasonNodesWouldReplace, "%s until it would replace no %s, as strategy NewNodesOnly asks: %s; %s. "+
		"To have it now: %s", s.waits(), s.goal.subject.Node, s.wouldReplace(), s.meanwhile(), howToAsk(s.binding))
}

func (s sentences) waitingForDrift(opens windowState, now time.Time) *Problem {
	or := ""
	if opens.exists {
		or = " or the window opens at " + clockTime(opens.next)
	}
	problem := s.problem(v1alpha1.ReasonWaitingForDrift, "%s until all %ss are being replaced for another cause%s: "+
		"%s stay, and %s; %s. To have it now: %s",
		s.waits(), s.goal.subject.Node, or, s.goal.subject.count(s.goal.plan.Pools, staying), s.wouldReplace(), s.meanwhile(), howToAsk(s.binding))
	if opens.exists {
		problem.RetryAfter = until(opens.next, now)
	}
	return problem
}

func (s sentences) waitingForWindow(opens windowState, now time.Time) *Problem {
	problem := s.problem(v1alpha1.ReasonWaitingForWindow, "%s until the window opens at %s: %s; %s. To have it now: %s",
		s.waits(), clockTime(opens.next), s.wouldReplace(), s.meanwhile(), howToAsk(s.binding))
	problem.RetryAfter = until(opens.next, now)
	return problem
}

func (s sentences) minIntervalNotOver(over time.Time) *Problem {
	return s.problem(v1alpha1.ReasonMinInterval, "%s until %s, when rollout.minInterval of %s is over since %s was written: %s; %s. "+
		"To have it now: %s", s.waits(), clockTime(over), s.binding.Spec.Rollout.MinInterval.Duration,
		s.binding.Status.AppliedSnapshotID, s.wouldReplace(), s.meanwhile(), howToAsk(s.binding))
}

// noWayBack is for a bad snapshot that stays, because nodes work with it all the same. Nodes cannot be launched meanwhile,
// so a person is to know, also when a window that opens ends it.
func (s sentences) noWayBack(because *Problem) *Problem {
	strategy, or := s.binding.Spec.Rollout.Strategy, ""
	if strategy != v1alpha1.RolloutRoll {
		or = "; or set rollout.strategy to Roll"
	}
	return &Problem{
		Reason: v1alpha1.ReasonNoWayBack, Stalled: true, RetryAfter: because.RetryAfter,
		Message: fmt.Sprintf("%s although %s failed, since %s, with which the rollout, of strategy %s, does not agree (%s). "+
			"To have it now: %s%s", s.waits(), s.binding.Status.AppliedSnapshotID, s.wouldReplace(), strategy, because.Reason,
			howToAsk(s.binding), or),
	}
}
