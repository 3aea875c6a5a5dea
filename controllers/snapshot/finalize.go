package snapshot

import (
	"context"
	"fmt"
	"strings"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
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

// deleteSnapshots returns nil twice when nothing of the object is left in AWS.
func (r *Reconciler) deleteSnapshots(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) (*hindrance, *failure) {
	m := r.memories.of(object.UID)
	f := r.newFacts(object, m)
	if f.build.running() {
		r.Runner.cancel(object.UID)
		return &hindrance{larderv1alpha1.ReasonDeleting, "stopping the build", progressInterval}, nil
	}
	if r.observeSnapshots(ctx, object, m, f); f.unlisted != nil {
		return nil, f.unlisted
	}
	all, err := r.holders(ctx)
	if err != nil {
		return nil, failure{reason: larderv1alpha1.ReasonProgressing}.with(err)
	}
	if names := holdersOf(all, object.Name, idsOf(f)); len(names) > 0 {
		return &hindrance{larderv1alpha1.ReasonInUse, clip(fmt.Sprintf(
			"the snapshots are kept until nobody needs them: delete or change %s", strings.Join(names, ", "))), inUseInterval}, nil
	}
	if err := r.deleteAll(ctx, f.owned); err != nil {
		return nil, awsFailure(err)
	}
	return f.mayHide(m), nil
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
