package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// inUseInterval is how often a deletion looks whether its snapshots are still in use.
const inUseInterval = 15 * time.Second

// finalize deletes what the object has in AWS, once nobody needs it, and then lets the object go.
func (r *Reconciler) finalize(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(object, Finalizer) {
		return ctrl.Result{}, nil
	}
	before := object.DeepCopy()
	waiting, failed := r.deleteSnapshots(ctx, object)
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

// deleteSnapshots returns nil twice when the object may go.
func (r *Reconciler) deleteSnapshots(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) (*hindrance, *failure) {
	m := r.memories.of(object.UID)
	f := r.newFacts(object, m)
	if f.build.running() {
		r.Runner.cancel(object.UID)
		return &hindrance{larderv1alpha1.ReasonDeleting, "stopping the build", progressInterval}, nil
	}
	if object.Spec.DeletionPolicy == larderv1alpha1.DeletionRetain {
		return nil, r.retain(ctx, object)
	}
	waiting, failed := r.deleteOwned(ctx, object, m, f)
	if failed != nil {
		failed.message = clipTo(failed.message, longestMessage-len(wayOut)) + wayOut
	}
	return waiting, failed
}

// wayOut ends what is said of a deletion that fails.
const wayOut = "; to delete the object without its snapshots, set spec.deletionPolicy to Retain"

// retain lets go of the snapshots, and says so. It needs nothing of AWS, which may be out of reach for good.
func (r *Reconciler) retain(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) *failure {
	if err := r.Collection.Retain(ctx, object); err != nil {
		return failure{reason: larderv1alpha1.ReasonWriteFailed}.with(err)
	}
	r.Recorder.Eventf(object, nil, corev1.EventTypeNormal, larderv1alpha1.ReasonRetained, "Delete", "%s",
		"the snapshots, their copies and what was published of them are left to you, as spec.deletionPolicy asks for")
	return nil
}

// deleteOwned deletes what nobody else can know of, and leaves what was copied, shared or published to the collection,
// which keeps it for a while.
func (r *Reconciler) deleteOwned(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, m *memory, f *facts) (*hindrance, *failure) {
	if r.observeSnapshots(ctx, object, m, f); f.unlisted != nil {
		return nil, f.unlisted
	}
	users, err := r.References.List(ctx, r.Templates)
	if err != nil {
		return nil, referencesFailure(err)
	}
	if names := users.OfObject(object.Name, idsOf(f)...); len(names) > 0 {
		return &hindrance{larderv1alpha1.ReasonInUse, clip(fmt.Sprintf(
			"the snapshots are kept until nobody needs them: delete or change %s", strings.Join(names, ", "))), inUseInterval}, nil
	}
	if err := r.Distribution.Withdraw(ctx, object); err != nil {
		return nil, awsFailure(err)
	}
	exposed := func(s ebs.Snapshot) bool { return distribution.Exposed(s.Tags) }
	unexposed := slices.DeleteFunc(slices.Clone(f.owned), exposed)
	if waiting, err := r.withoutFastRestores(ctx, unexposed); waiting != nil || err != nil {
		return waiting, awsFailure(err)
	}
	if err := r.deleteAll(ctx, unexposed); err != nil {
		return nil, awsFailure(err)
	}
	if waiting := f.mayHide(m); waiting != nil {
		return waiting, nil
	}
	if left := len(f.owned) - len(unexposed); left > 0 {
		r.Recorder.Eventf(object, nil, corev1.EventTypeNormal, larderv1alpha1.ReasonCollectable, "Delete",
			"%d snapshots were copied, shared or published: they are deleted when others had the time to see that", left)
	}
	r.Collection.Wake()
	return nil, nil
}

// withoutFastRestores turns them off first: AWS bills for them, and refuses to delete what has them.
func (r *Reconciler) withoutFastRestores(ctx context.Context, snapshots []ebs.Snapshot) (*hindrance, error) {
	if len(snapshots) == 0 {
		return nil, nil
	}
	ids := make([]string, len(snapshots))
	for i, snapshot := range snapshots {
		ids[i] = snapshot.ID
	}
	restores, err := r.Snapshots.FastRestores(ctx, ids)
	if err != nil {
		return nil, err
	}
	on := false
	for _, one := range restores {
		on = on || one.State != ebs.FastRestoreDisabled
		if one.State != ebs.FastRestoreDisabled && one.State != ebs.FastRestoreDisabling {
			if err := r.Snapshots.DisableFastRestore(ctx, one.SnapshotID, []string{one.AvailabilityZone}); err != nil {
				return nil, err
			}
		}
	}
	if !on {
		return nil, nil
	}
	return &hindrance{larderv1alpha1.ReasonDeleting, "turning off fast snapshot restore", completionInterval}, nil
}

func idsOf(f *facts) []string {
	ids := []string{f.status.SnapshotID, f.attempt().SnapshotID}
	for _, snapshot := range f.owned {
		ids = append(ids, snapshot.ID)
	}
	return ids
}

// mayHide returns a hindrance while AWS may have a snapshot of the object that it does not show yet. After the
// finalizer is gone nobody would look for it.
func (f *facts) mayHide(m *memory) *hindrance {
	left := m.hiddenUntil.Sub(f.now)
	for name, since := range f.missing {
		if name != f.status.SnapshotID {
			left = max(left, ebs.AppearsWithin-since)
		}
	}
	if left <= 0 {
		return nil
	}
	return &hindrance{larderv1alpha1.ReasonDeleting, "making sure that an interrupted build left nothing in AWS", min(left, completionInterval)}
}

func (r *Reconciler) release(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) error {
	before := object.DeepCopy()
	controllerutil.RemoveFinalizer(object, Finalizer)
	if err := r.Client.Patch(ctx, object, lockedPatch(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing finalizer %s: %w", Finalizer, err)
	}
	r.Runner.forget(object.UID)
	r.memories.drop(object.UID)
	return nil
}
