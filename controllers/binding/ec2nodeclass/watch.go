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

// begin watches NodeClaims before classes. A pass that saw a NodeClaim which was gone before its watch began would never
// hear of it; but each class is announced when its own watch begins, and so all bindings are looked at once more.
func (w watcher) begin(ctx context.Context) error {
	if !w.waitUntilServed(ctx, claimKind) {
		return nil
	}
	claims := kindObject(claimKind)
	// GetInformer returns when the informer is in step, or when the manager stops.
	if _, err := w.mgr.GetCache().GetInformer(ctx, claims); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watching NodeClaims: %w", err)
	}
	// A NodeClaim never changes its class, so only its coming and going counts.
	comingAndGoing := predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	if err := w.watch(claims, w.ofClaim, comingAndGoing); err != nil {
		return fmt.Errorf("watching NodeClaims: %w", err)
	}
	if !w.waitUntilServed(ctx, classKind) {
		return nil
	}
	if err := w.watch(kindObject(classKind), w.ofClass); err != nil {
		return fmt.Errorf("watching EC2NodeClasses: %w", err)
	}
	ctrl.LoggerFrom(ctx).Info("Watching Karpenter's EC2NodeClasses and NodeClaims")
	return nil
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

func (w watcher) watch(object client.Object, requests handler.MapFunc, which ...predicate.Predicate) error {
	return w.controller.Watch(source.Kind(w.mgr.GetCache(), object, handler.EnqueueRequestsFromMapFunc(requests), which...))
}

func (w watcher) ofClass(ctx context.Context, class client.Object) []reconcile.Request {
	return binding.Requests(ctx, w.mgr.GetClient(), binding.KindEC2NodeClass, class.GetName())
}

func (w watcher) ofClaim(ctx context.Context, claim client.Object) []reconcile.Request {
	return binding.Requests(ctx, w.mgr.GetClient(), binding.KindEC2NodeClass, classOf(claim.(*unstructured.Unstructured)))
}
