package snapshot

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// conditions writes an object's conditions.
type conditions struct {
	status     *larderv1alpha1.ImageCacheSnapshotStatus
	generation int64
	now        time.Time
}

func (c *conditions) set(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&c.status.Conditions, metav1.Condition{
		Type:               kind,
		Status:             status,
		ObservedGeneration: c.generation,
		// The given time counts only when the status changes.
		LastTransitionTime: metav1.NewTime(c.now),
		Reason:             reason,
		Message:            message,
	})
}

func (c *conditions) images(f *facts) {
	kind := larderv1alpha1.ConditionImagesResolved
	switch {
	case f.unresolvable != nil:
		c.set(kind, metav1.ConditionFalse, f.unresolvable.reason, f.unresolvable.message)
	case f.resolution != nil && f.resolution.missing != "":
		c.set(kind, metav1.ConditionTrue, larderv1alpha1.ReasonPlatformMissing,
			clip("images are cached only for the platforms they have: "+f.resolution.missing))
	case f.resolution != nil, f.asked:
		c.set(kind, metav1.ConditionTrue, larderv1alpha1.ReasonResolved,
			fmt.Sprintf("all references are resolved to digests: %d", f.images))
	}
}

func (c *conditions) built(d decision, attempted *failure) {
	kind := larderv1alpha1.ConditionBuilt
	switch {
	case attempted != nil:
		c.set(kind, metav1.ConditionFalse, attempted.reason, clip(attemptName(d.attempt)+": "+attempted.message))
	case d.usable:
		c.set(kind, metav1.ConditionTrue, larderv1alpha1.ReasonBuilt, "the volume is in snapshot "+c.status.SnapshotID)
	case d.attempt != nil && d.attempt.Step == larderv1alpha1.BuildCompleting:
		c.set(kind, metav1.ConditionTrue, larderv1alpha1.ReasonBuilt, "the volume was handed to EBS as snapshot "+d.attempt.SnapshotID)
	case d.reason != "":
		c.set(kind, metav1.ConditionFalse, d.reason, d.message)
	}
}

func (c *conditions) snapshot(current string, d decision, aws *failure) {
	kind := larderv1alpha1.ConditionSnapshotReady
	switch {
	case d.usable:
		c.set(kind, metav1.ConditionTrue, larderv1alpha1.ReasonCompleted, "EBS has completed snapshot "+current)
	case d.lost:
		c.set(kind, metav1.ConditionFalse, larderv1alpha1.ReasonSnapshotMissing,
			"the snapshot no longer exists in AWS, or has failed there: it is made again")
	case aws != nil:
		c.set(kind, metav1.ConditionFalse, aws.reason, aws.message)
	case d.reason != "":
		c.set(kind, metav1.ConditionFalse, d.reason, d.message)
	}
}

// summary sets Ready, and exactly one or none of Reconciling and Stalled.
func (c *conditions) summary(d decision, failed *failure, readyReason, readyMessage string) {
	reason, message := d.reason, d.message
	if failed != nil {
		reason, message = failed.reason, failed.message
	}
	if d.usable {
		c.set(larderv1alpha1.ConditionReady, metav1.ConditionTrue, readyReason, readyMessage)
	} else {
		c.set(larderv1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
	}
	stalled := failed != nil && failed.needsPerson
	c.setWhile(stalled, larderv1alpha1.ConditionStalled, reason, message)
	c.setWhile(!stalled && (failed != nil || !d.usable || !d.upToDate), larderv1alpha1.ConditionReconciling, reason, message)
}

// suspended leaves Ready as it was.
func (c *conditions) suspended(usable bool) {
	status := metav1.ConditionFalse
	if usable {
		status = metav1.ConditionTrue
	}
	c.set(larderv1alpha1.ConditionReady, status, larderv1alpha1.ReasonSuspended,
		"nothing is resolved, built or collected until spec.suspend is false")
	meta.RemoveStatusCondition(&c.status.Conditions, larderv1alpha1.ConditionStalled)
	meta.RemoveStatusCondition(&c.status.Conditions, larderv1alpha1.ConditionReconciling)
}

// setWhile keeps a condition that is there only while it is true, with the time at which it became so.
func (c *conditions) setWhile(holds bool, kind, reason, message string) {
	if !holds {
		meta.RemoveStatusCondition(&c.status.Conditions, kind)
		return
	}
	c.set(kind, metav1.ConditionTrue, reason, message)
}
