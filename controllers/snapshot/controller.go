package snapshot

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
)

// Finalizer keeps an object until its snapshots are deleted.
const Finalizer = "larder.dev/snapshot"

const (
	// passes is how many objects are worked on at once: a pass may wait for a registry, and others need not.
	passes = 4
	// firstBackoff and longestBackoff bound the waits after errors that may pass by themselves.
	firstBackoff   = time.Second
	longestBackoff = 5 * time.Minute
)

// Reconciler makes EBS snapshots of what ImageCacheSnapshots ask for. All fields are required.
type Reconciler struct {
	// Client writes, and Live reads: what a cache still shows would make a finished build look interrupted, and
	// an interrupted build's snapshot is deleted.
	Client client.Client
	Live   client.Reader

	Registries Registries
	Snapshots  Snapshots
	Contents   Contents
	Keys       Keys
	Runner     *Runner
	References References
	// Consumers are what makes volumes of snapshots in the operator's Region.
	Consumers    []references.Consumers
	Distribution Distribution
	Collection   Collection
	Recorder     events.EventRecorder
	Clock        clock.PassiveClock

	// ClusterUID is the UID of the kube-system namespace; see ClusterUID.
	ClusterUID types.UID
	// Region is the AWS Region that Snapshots and the Builder work in.
	Region string

	memories memories
}

// SetupWithManager registers the controller, and the Runner as one of the manager's runnables.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	if err := manager.Add(r.Runner); err != nil {
		return fmt.Errorf("adding the runner of builds: %w", err)
	}
	return ctrl.NewControllerManagedBy(manager).
		Named("imagecachesnapshot").
		// Our own status writes change neither generation nor annotations; a deletion changes the generation.
		For(&larderv1alpha1.ImageCacheSnapshot{}, builder.WithPredicates(predicate.Or[client.Object](
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesRawSource(source.Channel(r.Runner.wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: passes,
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				firstBackoff, longestBackoff),
		}).
		Complete(r)
}

// Look asks for a pass over an object, soon.
func (r *Reconciler) Look(object *larderv1alpha1.ImageCacheSnapshot) { r.Runner.notify(object) }

// Reconcile is one pass over one object.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := &larderv1alpha1.ImageCacheSnapshot{}
	if err := r.Live.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !object.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, object)
	}
	// First of all: a snapshot made without the finalizer would outlive its object, unknown to anyone.
	if err := r.ensureFinalizer(ctx, object); err != nil {
		return ctrl.Result{}, err
	}

	before := object.DeepCopy()
	facts := r.observe(ctx, object)
	decision := plan(facts)
	failed := r.act(ctx, object, facts, &decision)
	r.reportRevisions(object, facts, decision)
	made := r.distribute(ctx, object, facts)
	outcome := r.report(object, facts, decision, made, failed)
	if err := r.patchStatus(ctx, before, object); err != nil {
		return ctrl.Result{}, err
	}
	// Only now: whoever comes after a crash reads in the accepted status what there may be in AWS.
	r.commit(object, facts, decision)
	if err := r.Distribution.Commit(ctx, object, made); err != nil {
		return ctrl.Result{}, err
	}
	if before.Status.SnapshotID != object.Status.SnapshotID {
		r.Collection.Wake()
	}
	return outcome.result()
}

func (r *Reconciler) ensureFinalizer(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) error {
	before := object.DeepCopy()
	if !controllerutil.AddFinalizer(object, Finalizer) {
		return nil
	}
	if err := r.Client.Patch(ctx, object, lockedPatch(before)); err != nil {
		return fmt.Errorf("adding finalizer %s: %w", Finalizer, err)
	}
	return nil
}

// lockedPatch is a merge patch that fails if anyone wrote in between: finalizers and conditions are lists, and
// a merge patch replaces them whole.
func lockedPatch(before client.Object) client.Patch {
	return client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
}
