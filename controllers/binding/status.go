package binding

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// longestMessage is how much a condition says, in bytes: metav1.Condition allows 32768 characters.
const longestMessage = 32768

// foremost returns the problem that Ready speaks of: one that needs a person before those that solve themselves.
func (d decision) foremost() *Problem {
	for _, problem := range []*Problem{d.unapplied, d.unhealthy, d.unavailable, d.unfit} {
		if problem != nil && problem.Stalled {
			return problem
		}
	}
	for _, problem := range []*Problem{d.unavailable, d.unfit, d.unapplied} {
		if problem != nil {
			return problem
		}
	}
	return nil
}

// mark writes the outcome into the status. observedGeneration moves only when the pass came to an end: kstatus reads
// it before the conditions, so a spec that needs a person must count as observed, and one that is under way must not.
func mark(binding *v1alpha1.NodeClassBinding, d decision, now time.Time) {
	m := marker{binding, now}
	m.set(v1alpha1.ConditionSnapshotAvailable, snapshotAvailable(d))
	m.set(v1alpha1.ConditionPreflightPassed, preflightPassed(d))
	m.set(v1alpha1.ConditionApplied, applied(d))
	markPending(binding, d, now)
	binding.Status.Rival = d.rival
	justWritten := settle(&binding.Status, d, now)
	markHandled(binding, d)
	m.markNodes(d, justWritten)
	if m.summarise(d) {
		binding.Status.ObservedGeneration = binding.Generation
	}
}

// markHandled records that larder.dev/apply-now was acted on, which a write that failed did not, and one that the platform
// held back.
func markHandled(binding *v1alpha1.NodeClassBinding, d decision) {
	if d.asked && !d.failed && !d.held {
		binding.Status.LastHandledApplyNow = requestOf(binding)
	}
}

func markPending(binding *v1alpha1.NodeClassBinding, d decision, now time.Time) {
	if d.waiting == nil {
		binding.Status.Pending = nil
		return
	}
	binding.Status.Pending = pendingOf(binding, *d.waiting, d.unapplied.Reason, now)
}

func snapshotAvailable(d decision) metav1.Condition {
	if d.unavailable != nil {
		return failed(d.unavailable)
	}
	return metav1.Condition{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompleted,
		Message: fmt.Sprintf("%s is completed and has %d GiB", d.wanted.ID, d.wanted.SizeGiB),
	}
}

func preflightPassed(d decision) metav1.Condition {
	switch {
	case d.unfit != nil:
		return failed(d.unfit)
	case d.unavailable != nil:
		return metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: d.unavailable.Reason,
			Message: "nothing is wrong with the target, but the size of the snapshot is not known",
		}
	case len(d.observed.Warnings) > 0:
		warnings := make([]string, len(d.observed.Warnings))
		for i, warning := range d.observed.Warnings {
			warnings[i] = warning.Reason + ": " + warning.Message
		}
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPassedWithWarnings, Message: strings.Join(warnings, "; "),
		}
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPassed, Message: "the target can take the snapshot",
		}
	}
}

func applied(d decision) metav1.Condition {
	switch {
	case d.unapplied != nil:
		return failed(d.unapplied)
	case d.goal == nil:
		return metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: d.foremost().Reason,
			Message: d.subject.Target() + " was left as it is",
		}
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonApplied,
			Message: fmt.Sprintf("%s names %s", d.subject, d.goal.snapshot.ID),
		}
	}
}

func failed(problem *Problem) metav1.Condition {
	return metav1.Condition{Status: metav1.ConditionFalse, Reason: problem.Reason, Message: problem.Message}
}

// marker sets conditions of one binding, as of one moment.
type marker struct {
	binding *v1alpha1.NodeClassBinding
	now     time.Time
}

func (m marker) set(conditionType string, condition metav1.Condition) {
	condition.Type = conditionType
	condition.Message = message.Clip(condition.Message, longestMessage)
	condition.ObservedGeneration = m.binding.Generation
	condition.LastTransitionTime = metav1.Time{Time: m.now}
	meta.SetStatusCondition(&m.binding.Status.Conditions, condition)
}

func (m marker) setWhile(present bool, conditionType string, problem *Problem) {
	if !present {
		meta.RemoveStatusCondition(&m.binding.Status.Conditions, conditionType)
		return
	}
	m.set(conditionType, metav1.Condition{
		Status: metav1.ConditionTrue, Reason: problem.Reason, Message: problem.Message,
	})
}

// summarise sets Ready, Reconciling and Stalled, and tells whether the pass came to an end: what remains to be
// done, if anything, is up to a person, to time, or to nodes that the strategy spares.
func (m marker) summarise(d decision) bool {
	problem := d.foremost()
	if problem == nil {
		m.set(v1alpha1.ConditionReady, metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady,
			Message: d.subject.serves(d.goal.snapshot.ID),
		})
		m.setWhile(false, v1alpha1.ConditionReconciling, nil)
		m.setWhile(false, v1alpha1.ConditionStalled, nil)
		return true
	}
	ready := failed(problem)
	stillServes := !problem.Stalled && problem == d.unapplied && d.serves()
	if stillServes {
		ready.Status = metav1.ConditionTrue
	}
	staged := stillServes && d.waiting != nil && !d.failed
	m.set(v1alpha1.ConditionReady, ready)
	m.setWhile(!problem.Stalled && !staged, v1alpha1.ConditionReconciling, problem)
	m.setWhile(problem.Stalled, v1alpha1.ConditionStalled, problem)
	return problem.Stalled || staged
}

func equalStatus(a, b *v1alpha1.NodeClassBindingStatus) bool {
	return equality.Semantic.DeepEqual(a, b)
}
