package volumesnapshot

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/larder-dev/larder/controllers/binding"
)

// discoveryInterval is how often a kind that the API server does not serve is asked for again.
const discoveryInterval = 10 * time.Second

// Watch implements binding.Watcher. The snapshot controller may be installed long after Larder: a watch on a kind that
// does not exist would end the manager, so the watches begin when their kinds are there.
func (t *Target) Watch(mgr manager.Manager, c controller.Controller) error {
	w := watcher{mgr: mgr, controller: c}
	if err := mgr.Add(manager.RunnableFunc(w.begin)); err != nil {
		return fmt.Errorf("adding the watches on VolumeSnapshots: %w", err)
	}
	return nil
}

type watcher struct {
	mgr        manager.Manager
	controller controller.Controller
}

// begin watches contents before VolumeSnapshots: each of these is announced when its own watch begins, so that a pass comes
// after both.
func (w watcher) begin(ctx context.Context) error {
	for _, kind := range []string{"VolumeSnapshotContent", Kind} {
		if !w.waitUntilServed(ctx, kind) {
			return nil
		}
	}
	for _, object := range []client.Object{&snapshotv1.VolumeSnapshotContent{}, &snapshotv1.VolumeSnapshot{}} {
		if err := w.watch(ctx, object); err != nil {
			return fmt.Errorf("watching %Ts: %w", object, err)
		}
	}
	ctrl.LoggerFrom(ctx).Info("Watching VolumeSnapshots and VolumeSnapshotContents")
	return nil
}

// waitUntilServed returns false when the manager stops before the kind appears.
func (w watcher) waitUntilServed(ctx context.Context, kind string) bool {
	return wait.PollUntilContextCancel(ctx, discoveryInterval, true, func(context.Context) (bool, error) {
		_, err := w.mgr.GetRESTMapper().RESTMapping(schema.GroupKind{Group: snapshotv1.GroupName, Kind: kind}, snapshotv1.SchemeGroupVersion.Version)
		return err == nil, nil
	}) == nil
}

func (w watcher) watch(ctx context.Context, object client.Object) error {
	// GetInformer returns when the informer is in step, or when the manager stops.
	if _, err := w.mgr.GetCache().GetInformer(ctx, object); err != nil && ctx.Err() == nil {
		return err
	}
	return w.controller.Watch(source.Kind(w.mgr.GetCache(), object, handler.EnqueueRequestsFromMapFunc(w.requests)))
}

// requests asks for the bindings of the VolumeSnapshot that an object is, or names.
func (w watcher) requests(ctx context.Context, object client.Object) []reconcile.Request {
	key := client.ObjectKeyFromObject(object)
	if content, ok := object.(*snapshotv1.VolumeSnapshotContent); ok {
		key = types.NamespacedName{Namespace: content.Spec.VolumeSnapshotRef.Namespace, Name: content.Spec.VolumeSnapshotRef.Name}
	}
	return binding.Requests(ctx, w.mgr.GetClient(), Kind, key.String())
}
