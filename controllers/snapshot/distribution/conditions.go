package distribution

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// conditions writes those of an object that this package is for.
type conditions struct {
	status     *larderv1alpha1.ImageCacheSnapshotStatus
	generation int64
	now        time.Time
}

// asked tells which conditions a spec asks for.
func asked(spec larderv1alpha1.ImageCacheSnapshotSpec) map[string]bool {
	return map[string]bool{
		larderv1alpha1.ConditionCopiesReady:              len(spec.Copies) > 0,
		larderv1alpha1.ConditionShared:                   len(spec.SharedWith) > 0,
		larderv1alpha1.ConditionFastSnapshotRestoreReady: spec.FastSnapshotRestore != nil,
		larderv1alpha1.ConditionPublished:                spec.Publish != nil,
	}
}

// forget removes the conditions that the spec does not ask for.
func (c conditions) forget(spec larderv1alpha1.ImageCacheSnapshotSpec) {
	for kind, wanted := range asked(spec) {
		if !wanted {
			meta.RemoveStatusCondition(&c.status.Conditions, kind)
		}
	}
}

// wait says of all that the spec asks for that there is no snapshot for it yet.
func (c conditions) wait(spec larderv1alpha1.ImageCacheSnapshotSpec) {
	for kind, wanted := range asked(spec) {
		if wanted {
			c.progressing(kind, larderv1alpha1.ReasonProgressing, "waiting for the current revision's snapshot to be completed")
		}
	}
}

func (c conditions) done(kind, reason, message string) {
	c.set(kind, metav1.ConditionTrue, reason, message)
}

func (c conditions) progressing(kind, reason, message string) {
	c.set(kind, metav1.ConditionFalse, reason, message)
}

// failed gives all problems, and then how the rest stands.
func (c conditions) failed(kind string, problems []Problem, rest string) {
	message := joined(problems)
	if rest != "" {
		message += "; " + rest
	}
	c.set(kind, metav1.ConditionFalse, gravest(problems).Reason, message)
}

func (c conditions) set(kind string, status metav1.ConditionStatus, reason, text string) {
	meta.SetStatusCondition(&c.status.Conditions, metav1.Condition{
		Type:               kind,
		Status:             status,
		ObservedGeneration: c.generation,
		LastTransitionTime: metav1.NewTime(c.now), // counts only when the status changes
		Reason:             reason,
		Message:            message.Clip(text, message.Longest),
	})
}
