package ec2nodeclass

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

// discoveryInterval is how often a kind that the API server does not serve is asked for again.
const discoveryInterval = 10 * time.Second

// Watch implements binding.Target. Karpenter may be installed long after Larder: a watch on a kind that does not exist
// would end the manager, so the watches begin when their kinds are there.
func (t *Target) Watch(mgr manager.Manager, c controller.Controller) error {
	w := watcher{mgr: mgr, controller: c}
	if err := mgr.Add(manager.RunnableFunc(w.begin)); err != nil {
		return fmt.Errorf("adding the watches on Karpenter: %w", err)
	}
	return nil
}

type watcher struct {
	mgr        manager.Manager
	controller controller.Controller
}

// begin watches NodeClaims and NodePools before classes. A pass that saw a NodeClaim which was gone before its watch began
// would never hear of it; but each class is announced when its own watch begins, and so all bindings are looked at once more.
func (w watcher) begin(ctx context.Context) error {
	kinds := []watched{
		{fleet.ClaimKind, w.ofObject(fleet.ClassOfClaim), onUpdate(fleet.ClaimChanged)},
		{fleet.PoolKind, w.ofObject(fleet.ClassOfPool), onUpdate(fleet.PoolChanged)},
		{classKind, w.ofObject((*unstructured.Unstructured).GetName), predicate.Funcs{}},
	}
	for _, kind := range kinds {
		if !w.waitUntilServed(ctx, kind.GroupVersionKind) {
			return nil
		}
		if err := w.watch(ctx, kind); err != nil {
			return fmt.Errorf("watching %ss: %w", kind.Kind, err)
		}
	}
	ctrl.LoggerFrom(ctx).Info("Watching Karpenter's EC2NodeClasses, NodeClaims and NodePools")
	return nil
}

// watched is a kind, the bindings that one of its objects concerns, and which of its events count.
type watched struct {
	schema.GroupVersionKind
	requests handler.MapFunc
	which    predicate.Predicate
}

func onUpdate(changed func(before, after *unstructured.Unstructured) bool) predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(update event.UpdateEvent) bool {
		return changed(update.ObjectOld.(*unstructured.Unstructured), update.ObjectNew.(*unstructured.Unstructured))
	}}
}

func kindObject(kind schema.GroupVersionKind) client.Object {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object
}

// waitUntilServed returns false when the manager stops before the kind appears.
func (w watcher) waitUntilServed(ctx context.Context, kind schema.GroupVersionKind) bool {
	return wait.PollUntilContextCancel(ctx, discoveryInterval, true, func(context.Context) (bool, error) {
		_, err := w.mgr.GetRESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
		return err == nil, nil
	}) == nil
}

func (w watcher) watch(ctx context.Context, kind watched) error {
	object := kindObject(kind.GroupVersionKind)
	// GetInformer returns when the informer is in step, or when the manager stops.
	if _, err := w.mgr.GetCache().GetInformer(ctx, object); err != nil && ctx.Err() == nil {
		return err
	}
	return w.controller.Watch(source.Kind(w.mgr.GetCache(), object, handler.EnqueueRequestsFromMapFunc(kind.requests), kind.which))
}

// ofObject asks for the bindings of the class that an object names; an object that names another after an update than
// before concerns both.
func (w watcher) ofObject(classOf func(*unstructured.Unstructured) string) handler.MapFunc {
	return func(ctx context.Context, object client.Object) []reconcile.Request {
		class := classOf(object.(*unstructured.Unstructured))
		if class == "" {
			return nil
		}
		return binding.Requests(ctx, w.mgr.GetClient(), Kind, class)
	}
}
