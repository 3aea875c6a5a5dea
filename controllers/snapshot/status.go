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
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
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

// reportRevisions writes into the object's status what is current, and what else there is.
func (r *Reconciler) reportRevisions(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision) {
	r.reportBuild(object, f, d)
	if !f.suspended {
		r.reportCurrent(object, f, d)
	}
}

// report writes into the object's conditions what the pass found and decided.
func (r *Reconciler) report(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision, made distribution.Outcome, acted *failure) outcome {
	var attempted *failure
	if d.failed != nil {
		attempted = d.failed.failure
	}
	failures := append([]*failure{d.refused, f.unresolvable, f.unlisted, f.unheld, acted, attempted}, distributionFailures(made)...)
	o := judge(failures...)
	if o.failure != nil && (o.failure == attempted || o.failure == f.unresolvable) {
		o.retry = nil // its time is in d.after
	}
	o.after = sooner(d.after, made.After)

	c := conditions{status: &object.Status, generation: object.Generation, now: f.now}
	if f.suspended {
		o.failure, o.retry = nil, nil
		c.suspended(d.usable)
	} else {
		c.images(f)
		c.built(d, attempted)
		c.snapshot(object.Status.SnapshotID, d, firstOf(f.unlisted, f.unheld, acted))
		if waiting := unfinished(&object.Status); waiting != nil && d.upToDate {
			d.upToDate, d.reason, d.message = false, waiting.Reason, waiting.Message
		}
		c.summary(d, o.failure, readyReason(f), readyMessage(object, f))
	}
	if o.retry == nil {
		object.Status.ObservedGeneration = object.Generation
	}
	if f.asked || f.pin > 0 {
		object.Status.LastHandledReconcileAt = requestOf(object)
	}
	return o
}

// sooner returns the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
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
		status.SnapshotID, status.ContentHash, status.RecipeHash, status.Format, status.VolumeSize = "", "", "", "", nil
		status.Images = nil
	}
	if d.current != nil {
		r.makeCurrent(object, f, d)
	}
	if !f.build.running() && f.unlisted == nil {
		status.Revisions = revisionLines(f, status)
	}
}

func (r *Reconciler) makeCurrent(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision) {
	status := &object.Status
	changed := status.SnapshotID != d.current.ID
	status.Region = r.Region
	status.SnapshotID = d.current.ID
	status.Revision = max(numberTag(d.current, ebs.TagRevision), 1)
	status.LatestRevision = max(status.LatestRevision, status.Revision)
	status.VolumeSize = gibibytes(d.current.VolumeSize)
	if d.contents != nil {
		status.Format, status.Images = d.contents.format, d.contents.images
	}
	switch {
	case f.pin == 0:
		status.ContentHash, status.RecipeHash = f.wanted(), f.recipe
	case changed:
		// By which recipe it was made is not known: without the pin, all is resolved anew.
		status.ContentHash, status.RecipeHash = d.current.Tags[ebs.TagContentHash], ""
	}
}

func readyReason(f *facts) string {
	if f.pin > 0 {
		return larderv1alpha1.ReasonPinned
	}
	return larderv1alpha1.ReasonReady
}

func readyMessage(object *larderv1alpha1.ImageCacheSnapshot, f *facts) string {
	status := object.Status
	if f.pin > 0 {
		return fmt.Sprintf("snapshot %s is pinned: nothing is resolved or built until spec.revision %d is removed", status.SnapshotID, f.pin)
	}
	return fmt.Sprintf("snapshot %s holds the images of this spec: %d", status.SnapshotID, len(status.Images))
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

// tell emits an event when Ready changes its meaning or its snapshot, and when something beside it goes wrong.
func (r *Reconciler) tell(before, object *larderv1alpha1.ImageCacheSnapshot) {
	renewed := before.Status.SnapshotID != object.Status.SnapshotID && object.Status.SnapshotID != ""
	for _, is := range object.Status.Conditions {
		was := meta.FindStatusCondition(before.Status.Conditions, is.Type)
		changed := was == nil || was.Reason != is.Reason
		switch is.Type {
		case larderv1alpha1.ConditionReady:
			changed = changed || renewed
		case larderv1alpha1.ConditionReconciling, larderv1alpha1.ConditionStalled:
			continue // Ready or the failing condition says the same
		default:
			warns := is.Reason == larderv1alpha1.ReasonPlatformMissing || is.Status == metav1.ConditionFalse && eventType(&is) == corev1.EventTypeWarning
			changed = changed && warns && !readySays(object, is)
		}
		if changed {
			r.Recorder.Eventf(object, nil, eventType(&is), is.Reason, "Reconcile", "%s", clip(is.Message))
		}
	}
}

// readySays holds for what the event of Ready tells already.
func readySays(object *larderv1alpha1.ImageCacheSnapshot, condition metav1.Condition) bool {
	ready := meta.FindStatusCondition(object.Status.Conditions, larderv1alpha1.ConditionReady)
	return ready != nil && ready.Reason == condition.Reason
}

// ordinary are the reasons that nobody has to look into.
var ordinary = []string{
	larderv1alpha1.ReasonReady,
	larderv1alpha1.ReasonBuilding,
	larderv1alpha1.ReasonPending,
	larderv1alpha1.ReasonProgressing,
	larderv1alpha1.ReasonDeleting,
	larderv1alpha1.ReasonPinned,
	larderv1alpha1.ReasonSuspended,
	larderv1alpha1.ReasonCopying,
	larderv1alpha1.ReasonEnabling,
}

func eventType(condition *metav1.Condition) string {
	if slices.Contains(ordinary, condition.Reason) {
		return corev1.EventTypeNormal
	}
	return corev1.EventTypeWarning
}
