package binding

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// foremost returns the problem that Ready speaks of: one that needs a person before those that solve themselves.
func (d decision) foremost() *Problem {
	var first *Problem
	for _, problem := range []*Problem{d.unavailable, d.unfit, d.unapplied} {
		switch {
		case problem == nil:
		case problem.Stalled:
			return problem
		case first == nil:
			first = problem
		}
	}
	return first
}

// mark writes the outcome into the status. observedGeneration moves only when the pass came to an end: kstatus reads
// it before the conditions, so a spec that needs a person must count as observed, and one that is under way must not.
func mark(binding *v1alpha1.NodeClassBinding, d decision, now time.Time) {
	m := marker{binding, now}
	m.set(v1alpha1.ConditionSnapshotAvailable, snapshotAvailable(d))
	m.set(v1alpha1.ConditionPreflightPassed, preflightPassed(d))
	m.set(v1alpha1.ConditionApplied, applied(binding, d))
	binding.Status.Rival = d.rival
	if d.foremost() == nil && binding.Status.AppliedSnapshotID != d.snapshot.ID {
		// Nodes have run with it, so there is a way back as long as it is kept.
		binding.Status.LastKnownGoodSnapshotID = binding.Status.AppliedSnapshotID
		binding.Status.AppliedSnapshotID = d.snapshot.ID
	}
	if m.summarise(d) {
		binding.Status.ObservedGeneration = binding.Generation
	}
}

// markDeletion says why a binding that is being deleted is still there.
func markDeletion(binding *v1alpha1.NodeClassBinding, d decision, now time.Time) {
	m := marker{binding, now}
	if d.unapplied != nil {
		m.set(v1alpha1.ConditionApplied, metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: d.unapplied.Reason, Message: d.unapplied.Message,
		})
	}
	d.inPlace = false // a binding on its way out is not Ready, whatever the target names
	if m.summarise(d) {
		binding.Status.ObservedGeneration = binding.Generation
	}
}

func snapshotAvailable(d decision) metav1.Condition {
	if d.unavailable != nil {
		return failed(d.unavailable)
	}
	return metav1.Condition{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompleted,
		Message: fmt.Sprintf("%s is completed and has %d GiB", d.snapshot.ID, d.snapshot.SizeGiB),
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
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPassed, Message: "the target can take the snapshot",
		}
	}
}

func applied(binding *v1alpha1.NodeClassBinding, d decision) metav1.Condition {
	kind, name := targetOf(binding)
	switch {
	case d.unapplied != nil:
		return failed(d.unapplied)
	case d.foremost() != nil:
		return metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: d.foremost().Reason,
			Message: fmt.Sprintf("%s %s was left as it is", kind, name),
		}
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonApplied,
			Message: fmt.Sprintf("%s of %s %s names %s", deviceOf(binding), kind, name, d.snapshot.ID),
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
// done, if anything, is up to a person or to nodes that the strategy spares.
func (m marker) summarise(d decision) bool {
	problem := d.foremost()
	if problem == nil {
		m.set(v1alpha1.ConditionReady, metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady,
			Message: "new nodes boot with " + d.snapshot.ID,
		})
		m.setWhile(false, v1alpha1.ConditionReconciling, nil)
		m.setWhile(false, v1alpha1.ConditionStalled, nil)
		return true
	}
	ready := failed(problem)
	stillServes := !problem.Stalled && problem == d.unapplied && d.inPlace
	if stillServes {
		ready.Status = metav1.ConditionTrue
	}
	spared := stillServes && problem.Reason == v1alpha1.ReasonNodesWouldReplace
	m.set(v1alpha1.ConditionReady, ready)
	m.setWhile(!problem.Stalled && !spared, v1alpha1.ConditionReconciling, problem)
	m.setWhile(problem.Stalled, v1alpha1.ConditionStalled, problem)
	return problem.Stalled || spared
}

func equalStatus(a, b *v1alpha1.NodeClassBindingStatus) bool {
	return equality.Semantic.DeepEqual(a, b)
}

// announce records events: one for each write, since a write can replace nodes, and one whenever Ready changes its
// mind or its reason.
func (r *Reconciler) announce(before, binding *v1alpha1.NodeClassBinding, d decision, failure error) {
	kind, name := targetOf(binding)
	if d.write != nil && d.foremost() == nil {
		r.event(binding, corev1.EventTypeNormal, v1alpha1.ReasonApplied, fmt.Sprintf("wrote %s to %s of %s %s",
			d.snapshot.ID, deviceOf(binding), kind, name))
		return
	}
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionReady)
	is := meta.FindStatusCondition(binding.Status.Conditions, v1alpha1.ConditionReady)
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	eventType := corev1.EventTypeNormal
	if meta.IsStatusConditionTrue(binding.Status.Conditions, v1alpha1.ConditionStalled) || failure != nil {
		eventType = corev1.EventTypeWarning
	}
	r.event(binding, eventType, is.Reason, is.Message)
}

// event cuts the note at 1024 bytes, beyond which the API server refuses the event.
func (r *Reconciler) event(binding *v1alpha1.NodeClassBinding, eventType, reason, note string) {
	const longest = 1024
	if len(note) > longest {
		note = note[:longest]
	}
	r.Recorder.Eventf(binding, nil, eventType, reason, "Reconcile", "%s", note)
}
