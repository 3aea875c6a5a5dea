package snapshot

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
)

// inUseInterval is how often a deletion looks whether its snapshots are still in use.
const inUseInterval = 15 * time.Second

// wayOut ends what is said of a deletion that fails.
const wayOut = "; to delete the object without its snapshots, set spec.deletionPolicy to Retain"

// finalize lets the object go once nobody needs what it made. The snapshots themselves are then the collection's: it
// alone can tell them from what only looks like them, and keeps what others may have learnt of.
func (r *Reconciler) finalize(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(object, Finalizer) {
		return ctrl.Result{}, nil
	}
	before := object.DeepCopy()
	waiting, failed := r.letGo(ctx, object)
	if waiting == nil && failed == nil {
		return ctrl.Result{}, r.release(ctx, object)
	}
	o := judge(failed)
	c := conditions{status: &object.Status, generation: object.Generation, now: r.Clock.Now()}
	d := decision{}
	if waiting != nil {
		d.reason, d.message, o.after = waiting.reason, waiting.message, waiting.after
	}
	c.summary(d, o.failure, "", "")
	if o.retry == nil {
		object.Status.ObservedGeneration = object.Generation
	}
	if err := r.patchStatus(ctx, before, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	return o.result()
}

// hindrance is why a deletion cannot go on yet.
type hindrance struct {
	reason, message string
	after           time.Duration
}

// letGo returns nil twice when the object may go.
func (r *Reconciler) letGo(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) (*hindrance, *failure) {
	if r.Runner.look(object.UID).running() {
		r.Runner.cancel(object.UID)
		return &hindrance{larderv1alpha1.ReasonDeleting, "stopping the build", progressInterval}, nil
	}
	if object.Spec.DeletionPolicy == larderv1alpha1.DeletionRetain {
		return nil, r.retain(ctx, object)
	}
	waiting, failed := r.unused(ctx, object)
	if failed != nil {
		failed.message = message.Clip(failed.message, message.Longest-len(wayOut)) + wayOut
	}
	return waiting, failed
}

// retain lets go of the snapshots, and says so. It needs nothing of AWS, which may be out of reach for good.
func (r *Reconciler) retain(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) *failure {
	if err := r.Collection.Retain(ctx, object); err != nil {
		return failure{reason: larderv1alpha1.ReasonWriteFailed}.with(err)
	}
	r.Recorder.Eventf(object, nil, corev1.EventTypeNormal, larderv1alpha1.ReasonRetained, "Delete", "%s",
		"the snapshots, their copies and what was published of them are left to you, as spec.deletionPolicy asks for")
	return nil
}

// unused waits until nobody boots from a snapshot of the object, and takes back what was published of it.
func (r *Reconciler) unused(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) (*hindrance, *failure) {
	users, err := r.References.List(ctx, r.Consumers...)
	if err != nil {
		return nil, referencesFailure(err)
	}
	if names := users.OfObject(object.Name, idsOf(&object.Status)...); len(names) > 0 {
		return &hindrance{larderv1alpha1.ReasonInUse, clip(fmt.Sprintf(
			"the snapshots are kept until nobody needs them: delete or change %s", strings.Join(names, ", "))), inUseInterval}, nil
	}
	return nil, awsFailure(r.Distribution.Withdraw(ctx, object))
}

func idsOf(status *larderv1alpha1.ImageCacheSnapshotStatus) []string {
	ids := []string{status.SnapshotID}
	for _, made := range status.Revisions {
		ids = append(ids, made.SnapshotID)
	}
	if status.Build != nil {
		ids = append(ids, status.Build.SnapshotID)
	}
	return ids
}

func (r *Reconciler) release(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) error {
	before := object.DeepCopy()
	controllerutil.RemoveFinalizer(object, Finalizer)
	if err := r.Client.Patch(ctx, object, lockedPatch(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing finalizer %s: %w", Finalizer, err)
	}
	r.Runner.forget(object.UID)
	r.memories.drop(object.UID)
	r.Collection.Wake()
	return nil
}
