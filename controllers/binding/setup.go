package binding

import (
	"context"
	"fmt"
	"maps"
	"reflect"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// SetupWithManager registers the controller: its indexes, its watches, and those of its targets.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr manager.Manager) error {
	for field, valuesOf := range r.Targets.Indexes() {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.NodeClassBinding{}, field, valuesOf); err != nil {
			return fmt.Errorf("indexing NodeClassBindings by %s: %w", field, err)
		}
	}
	// A change of the binding's own status is no reason for another pass.
	ofSpec := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	ofSpecOrRequest := builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{},
		predicate.Funcs{UpdateFunc: requestChanged}))
	c, err := ctrl.NewControllerManagedBy(mgr).
		Named("nodeclassbinding").
		For(&v1alpha1.NodeClassBinding{}, ofSpecOrRequest).
		Watches(&v1alpha1.NodeClassBinding{}, handler.EnqueueRequestsFromMapFunc(r.onSameTarget), ofSpec).
		Watches(&v1alpha1.ImageCacheSnapshot{}, handler.EnqueueRequestsFromMapFunc(r.ofSnapshot),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: snapshotChanged})).
		Build(r)
	if err != nil {
		return fmt.Errorf("building the controller of NodeClassBindings: %w", err)
	}
	for _, target := range r.Targets {
		if watcher, watches := target.(Watcher); watches {
			if err := watcher.Watch(mgr, c); err != nil {
				return fmt.Errorf("watching the targets of NodeClassBindings: %w", err)
			}
		}
	}
	return nil
}

// Indexes are the fields by which this package looks NodeClassBindings up, for whoever provides its Client.
func (t Targets) Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		indexSnapshot: func(object client.Object) []string {
			if name := refOf(object.(*v1alpha1.NodeClassBinding)); name != "" {
				return []string{name}
			}
			return nil
		},
		indexTarget: func(object client.Object) []string {
			_, subject := t.of(object.(*v1alpha1.NodeClassBinding))
			values := []string{subject.Kind + "/" + subject.Name}
			if subject.Source != "" {
				values = append(values, subject.Kind+"/"+subject.Source)
			}
			return values
		},
	}
}

// onSameTarget returns the bindings that may have waited for this one to let its device go.
func (r *Reconciler) onSameTarget(ctx context.Context, object client.Object) []reconcile.Request {
	_, subject := r.Targets.of(object.(*v1alpha1.NodeClassBinding))
	return Requests(ctx, r.Client, subject.Kind, subject.Name)
}

func (r *Reconciler) ofSnapshot(ctx context.Context, snapshot client.Object) []reconcile.Request {
	return requests(ctx, r.Client, client.MatchingFields{indexSnapshot: snapshot.GetName()})
}

// Requests asks for a pass over each binding of one target.
func Requests(ctx context.Context, cache client.Reader, kind, name string) []reconcile.Request {
	return requests(ctx, cache, client.MatchingFields{indexTarget: kind + "/" + name})
}

func requests(ctx context.Context, cache client.Reader, which client.MatchingFields) []reconcile.Request {
	var list v1alpha1.NodeClassBindingList
	if err := cache.List(ctx, &list, which); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the bindings that a change concerns", "field", which)
		return nil
	}
	found := make([]reconcile.Request, len(list.Items))
	for i := range list.Items {
		found[i].Name = list.Items[i].Name
	}
	return found
}

// snapshotChanged leaves out the progress of a build, which a binding does not care about.
func snapshotChanged(update event.UpdateEvent) bool {
	before, after := update.ObjectOld.(*v1alpha1.ImageCacheSnapshot), update.ObjectNew.(*v1alpha1.ImageCacheSnapshot)
	return before.Status.Region != after.Status.Region ||
		(before.Status.VolumeSize == nil) != (after.Status.VolumeSize == nil) ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		!reflect.DeepEqual(made(before), made(after)) ||
		!maps.Equal(storedBytes(before), storedBytes(after))
}

func requestChanged(update event.UpdateEvent) bool {
	return update.ObjectOld.GetAnnotations()[v1alpha1.AnnotationApplyNow] != update.ObjectNew.GetAnnotations()[v1alpha1.AnnotationApplyNow]
}
