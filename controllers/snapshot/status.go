package snapshot

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// outcome is how a pass went.
type outcome struct {
	// failure is the one that decides, or nil.
	failure *failure
	// retry is an error of this very pass that may pass by itself.
	retry error
	after time.Duration
}

// result returns no terminal error for what needs a person: it would never be tried again.
func (o outcome) result() (ctrl.Result, error) {
	if o.retry != nil {
		return ctrl.Result{}, o.retry
	}
	if o.after == 0 {
		o.after = slowRetry
	}
	return ctrl.Result{RequeueAfter: o.after}, nil
}

// report writes into the object's status what the pass found and decided.
func (r *Reconciler) report(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision, acted *failure) outcome {
	r.reportBuild(object, f, d)
	r.reportCurrent(object, f, d)
	var attempted *failure
	if d.failed != nil {
		attempted = d.failed.failure
	}
	o := judge(f.unresolvable, f.unlisted, f.unheld, acted, attempted)
	if o.failure != nil && o.failure == attempted {
		o.retry = nil // its time is in d.after
	}
	o.after = d.after

	c := conditions{status: &object.Status, generation: object.Generation, now: f.now}
	c.images(f)
	c.built(d, attempted)
	c.snapshot(object.Status.SnapshotID, d, firstOf(f.unlisted, f.unheld, acted))
	c.summary(d, o.failure, readyMessage(object))
	if o.retry == nil {
		object.Status.ObservedGeneration = object.Generation
	}
	return o
}

// judge picks the failure that the conditions name: the first that needs a person, or else the first.
func judge(failures ...*failure) outcome {
	var o outcome
	for _, one := range failures {
		switch {
		case one == nil:
		case o.failure == nil, one.needsPerson && !o.failure.needsPerson:
			o.failure = one
		}
	}
	if o.failure != nil && !o.failure.needsPerson {
		o.retry = o.failure.err
	}
	return o
}

func firstOf(failures ...*failure) *failure {
	for _, one := range failures {
		if one != nil {
			return one
		}
	}
	return nil
}

func (r *Reconciler) reportBuild(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision) {
	before := object.Status.Build
	object.Status.Build = d.attempt
	if before == nil || d.attempt == nil {
		return
	}
	m := r.memories.of(object.UID)
	same := before.Revision == d.attempt.Revision && before.Attempt == d.attempt.Attempt &&
		before.Step == d.attempt.Step && before.SnapshotID == d.attempt.SnapshotID
	if same && f.now.Sub(m.progressAt) < progressInterval {
		object.Status.Build.Progress = before.Progress
		return
	}
	m.progressAt = f.now
}

func (r *Reconciler) reportCurrent(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision) {
	status := &object.Status
	if d.lost {
		status.SnapshotID, status.ContentHash, status.Format, status.VolumeSize, status.Images = "", "", "", nil, nil
	}
	if d.current == nil {
		return
	}
	status.Region = r.Region
	status.SnapshotID = d.current.ID
	status.ContentHash, status.Format = f.wanted(), object.Spec.Format // the hash has the format in it
	status.VolumeSize = gibibytes(d.current.VolumeSize)
	// It counts the snapshots made, so it stays when the spec was changed back to what an older one holds.
	status.Revision = max(status.Revision, numberTag(d.current, ebs.TagRevision), 1)
	if f.resolution != nil {
		status.Images = f.resolution.statuses
	}
}

func readyMessage(object *larderv1alpha1.ImageCacheSnapshot) string {
	return fmt.Sprintf("snapshot %s holds the images of this spec: %d", object.Status.SnapshotID, len(object.Status.Images))
}

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
	case f.resolution != nil:
		c.set(kind, metav1.ConditionTrue, larderv1alpha1.ReasonResolved,
			fmt.Sprintf("all references are resolved to digests: %d", len(f.resolution.images)))
	}
}

func (c *conditions) built(d decision, attempted *failure) {
	kind := larderv1alpha1.ConditionBuilt
	switch {
	case d.usable:
		c.set(kind, metav1.ConditionTrue, larderv1alpha1.ReasonBuilt, "the volume is in snapshot "+c.status.SnapshotID)
	case attempted != nil:
		c.set(kind, metav1.ConditionFalse, attempted.reason, clip(attemptName(d.attempt)+": "+attempted.message))
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
			"the snapshot no longer exists in AWS: someone else deleted it; it is made again")
	case aws != nil:
		c.set(kind, metav1.ConditionFalse, aws.reason, aws.message)
	case d.reason != "":
		c.set(kind, metav1.ConditionFalse, d.reason, d.message)
	}
}

// summary sets Ready, and exactly one or none of Reconciling and Stalled.
func (c *conditions) summary(d decision, failed *failure, readyMessage string) {
	reason, message := d.reason, d.message
	if failed != nil {
		reason, message = failed.reason, failed.message
	}
	if d.usable {
		c.set(larderv1alpha1.ConditionReady, metav1.ConditionTrue, larderv1alpha1.ReasonReady, readyMessage)
	} else {
		c.set(larderv1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
	}
	stalled := failed != nil && failed.needsPerson
	c.setWhile(stalled, larderv1alpha1.ConditionStalled, reason, message)
	c.setWhile(!stalled && (failed != nil || !d.usable), larderv1alpha1.ConditionReconciling, reason, message)
}

// setWhile keeps a condition that is there only while it is true, with the time at which it became so.
func (c *conditions) setWhile(holds bool, kind, reason, message string) {
	if !holds {
		meta.RemoveStatusCondition(&c.status.Conditions, kind)
		return
	}
	c.set(kind, metav1.ConditionTrue, reason, message)
}

// patchStatus writes the status if it has changed, and then tells of transitions.
func (r *Reconciler) patchStatus(ctx context.Context, before, object *larderv1alpha1.ImageCacheSnapshot) error {
	if apiequality.Semantic.DeepEqual(before.Status, object.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, object, lockedPatch(before)); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	r.tell(before, object)
	return nil
}

// tell emits an event when Ready changes its meaning, and when an image turns out to lack a platform.
func (r *Reconciler) tell(before, object *larderv1alpha1.ImageCacheSnapshot) {
	for _, kind := range []string{larderv1alpha1.ConditionImagesResolved, larderv1alpha1.ConditionSnapshotReady, larderv1alpha1.ConditionReady} {
		was, is := meta.FindStatusCondition(before.Status.Conditions, kind), meta.FindStatusCondition(object.Status.Conditions, kind)
		if is == nil || was != nil && was.Reason == is.Reason {
			continue
		}
		worthTelling := kind == larderv1alpha1.ConditionReady ||
			is.Reason == larderv1alpha1.ReasonSnapshotMissing ||
			is.Reason == larderv1alpha1.ReasonPlatformMissing && is.Status == metav1.ConditionTrue
		if worthTelling {
			r.Recorder.Eventf(object, nil, eventType(is), is.Reason, "Reconcile", "%s", clip(is.Message))
		}
	}
}

// ordinary are the reasons that nobody has to look into.
var ordinary = []string{
	larderv1alpha1.ReasonReady,
	larderv1alpha1.ReasonBuilding,
	larderv1alpha1.ReasonPending,
	larderv1alpha1.ReasonProgressing,
	larderv1alpha1.ReasonDeleting,
}

func eventType(condition *metav1.Condition) string {
	if slices.Contains(ordinary, condition.Reason) {
		return corev1.EventTypeNormal
	}
	return corev1.EventTypeWarning
}
