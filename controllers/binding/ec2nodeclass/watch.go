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
// would end the manager, so each one begins when its kind is there.
func (t *Target) Watch(mgr manager.Manager, c controller.Controller) error {
	w := watcher{mgr: mgr, controller: c}
	if err := mgr.Add(w.begin(classKind, w.ofClass, predicate.Funcs{})); err != nil {
		return fmt.Errorf("adding the watch on EC2NodeClasses: %w", err)
	}
	// A NodeClaim never changes its class, so only its coming and going counts.
	comingAndGoing := predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
	if err := mgr.Add(w.begin(claimKind, w.ofClaim, comingAndGoing)); err != nil {
		return fmt.Errorf("adding the watch on NodeClaims: %w", err)
	}
	return nil
}

type watcher struct {
	mgr        manager.Manager
	controller controller.Controller
}

// begin returns what starts the watch as soon as the kind is served.
func (w watcher) begin(kind schema.GroupVersionKind, requests handler.MapFunc, which predicate.Predicate) manager.RunnableFunc {
	return func(ctx context.Context) error {
		served := func(context.Context) (bool, error) {
			_, err := w.mgr.GetRESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
			return err == nil, nil
		}
		if err := wait.PollUntilContextCancel(ctx, discoveryInterval, true, served); err != nil {
			return nil // the manager stops
		}
		ctrl.LoggerFrom(ctx).Info("Watching Karpenter", "kind", kind.Kind)
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(kind)
		return w.controller.Watch(source.Kind[client.Object](w.mgr.GetCache(), object,
			handler.EnqueueRequestsFromMapFunc(requests), which))
	}
}

func (w watcher) ofClass(ctx context.Context, class client.Object) []reconcile.Request {
	return binding.Requests(ctx, w.mgr.GetClient(), binding.KindEC2NodeClass, class.GetName())
}

func (w watcher) ofClaim(ctx context.Context, claim client.Object) []reconcile.Request {
	return binding.Requests(ctx, w.mgr.GetClient(), binding.KindEC2NodeClass, classOf(claim.(*unstructured.Unstructured)))
}
