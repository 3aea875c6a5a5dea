package binding

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// announce records events: one for each write, since a write can replace nodes, one whenever Ready changes its mind or
// its reason, and one when the platform begins, or ends, to do what was written.
func (r *Reconciler) announce(before, binding *v1alpha1.NodeClassBinding, d decision, failure error) {
	r.announceProgress(before, binding)
	if d.write != nil && !d.failed {
		r.event(binding, eventTypeOf(d), reasonOf(d), wrote(d))
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

func (r *Reconciler) announceProgress(before, binding *v1alpha1.NodeClassBinding) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionRolledOut)
	is := meta.FindStatusCondition(binding.Status.Conditions, v1alpha1.ConditionRolledOut)
	begins := is != nil && is.Reason == v1alpha1.ReasonUpdateInProgress
	ends := was != nil && was.Reason == v1alpha1.ReasonUpdateInProgress
	if is != nil && begins != ends {
		r.event(binding, corev1.EventTypeNormal, is.Reason, is.Message)
	}
}

func (d decision) isRollback() bool { return !d.upkeep && d.goal != nil && d.goal.purpose == retreat }

func eventTypeOf(d decision) string {
	if d.isRollback() {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

func reasonOf(d decision) string {
	if d.isRollback() {
		return v1alpha1.ReasonRolledBack
	}
	return v1alpha1.ReasonApplied
}

// wrote says what a pass wrote.
func wrote(d decision) string {
	switch {
	case d.upkeep:
		return fmt.Sprintf("brought %s in step with what its owner changed; its snapshot stays", d.subject.Target())
	case d.isRollback() && d.goal.snapshot.ID == "":
		return fmt.Sprintf("made %s what it was before this binding, since %s failed: %s",
			d.subject, d.trial.rejected, d.trial.because)
	case d.isRollback():
		return fmt.Sprintf("brought %s back to %s, since %s failed: %s",
			d.goal.snapshot.ID, d.subject, d.trial.rejected, d.trial.because)
	default:
		return fmt.Sprintf("wrote %s to %s", d.goal.snapshot.ID, d.subject)
	}
}

// event cuts the note at 1024 bytes, beyond which the API server refuses the event.
func (r *Reconciler) event(binding *v1alpha1.NodeClassBinding, eventType, reason, note string) {
	r.Recorder.Eventf(binding, nil, eventType, reason, "Reconcile", "%s", message.Clip(note, message.Longest))
}
