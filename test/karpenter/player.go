package karpenter

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Kinds of Karpenter.
var (
	EC2NodeClass = schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"}
	NodePool     = schema.GroupVersionKind{Group: "karpenter.sh", Version: "v1", Kind: "NodePool"}
	NodeClaim    = schema.GroupVersionKind{Group: "karpenter.sh", Version: "v1", Kind: "NodeClaim"}
)

// manager is Karpenter's field manager.
const manager = "karpenter"

// Player writes what Karpenter writes. It remembers what Karpenter's controllers keep in memory: a new Player is a
// Karpenter that was started again. It is not safe for concurrent use.
type Player struct {
	// Client reads past any cache and writes. Both a real API server and controller-runtime's fake client do, the latter
	// with status subresources or without.
	Client client.Client
	// Clock is what conditions, timeouts and the schedules of budgets go by.
	Clock clock.PassiveClock
	// Usable tells whether EC2 takes a snapshot at the moment; nil takes every one.
	Usable func(snapshotID string) bool

	// amis are the ids that SetAMIs gave, by alias and architecture.
	amis map[string]map[string]string
	// passed are the specs that validation has passed, by the class's UID.
	passed map[types.UID]string
	// registrations are the last four of each NodePool: whether a node came up.
	registrations map[types.UID][]bool
	// underWay are replacements whose nodes are not up yet.
	underWay []Replacement
	launched int
}

// Settle brings what Karpenter writes in step with what others wrote: hashes, conditions, AMIs and drift. Claims that were
// deleted go; those that did not come up in time are deleted.
func (p *Player) Settle(ctx context.Context) error {
	steps := []struct {
		kind   schema.GroupVersionKind
		settle func(context.Context, *unstructured.Unstructured) error
	}{{EC2NodeClass, p.settleClass}, {NodePool, p.settlePool}, {NodeClaim, p.settleClaim}}
	for _, step := range steps {
		objects, err := p.list(ctx, step.kind)
		if err != nil {
			return err
		}
		for _, object := range objects {
			// Somebody else wrote meanwhile: there is a next time.
			if err := step.settle(ctx, object); err != nil && !errors.IsConflict(err) {
				return fmt.Errorf("settling %s %s: %w", step.kind.Kind, object.GetName(), err)
			}
		}
	}
	return nil
}

// list returns all objects of a kind by name.
func (p *Player) list(ctx context.Context, kind schema.GroupVersionKind) ([]*unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := p.Client.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing %ss: %w", kind.Kind, err)
	}
	objects := make([]*unstructured.Unstructured, 0, len(list.Items))
	for i := range list.Items {
		objects = append(objects, &list.Items[i])
	}
	slices.SortFunc(objects, func(a, b *unstructured.Unstructured) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return objects, nil
}

func (p *Player) get(ctx context.Context, kind schema.GroupVersionKind, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if err := p.Client.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, name, err)
	}
	return object, nil
}

// patch writes what a change made of an object, status aside.
func (p *Player) patch(ctx context.Context, object *unstructured.Unstructured, change func()) error {
	before := object.DeepCopy()
	change()
	if reflect.DeepEqual(before.Object, object.Object) {
		return nil
	}
	// The lock is for finalizers: a merge patch replaces the whole list.
	changes := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(p.Client.Patch(ctx, object, changes, client.FieldOwner(manager)))
}

// patchStatus writes what a change made of an object's status.
func (p *Player) patchStatus(ctx context.Context, object *unstructured.Unstructured, change func()) error {
	before := object.DeepCopy()
	change()
	if reflect.DeepEqual(before.Object, object.Object) {
		return nil
	}
	changes := client.MergeFrom(before)
	err := p.Client.Status().Patch(ctx, object, changes, client.FieldOwner(manager))
	if errors.IsNotFound(err) {
		// The object is gone, or this is a fake client that has no status subresource of the kind.
		err = p.Client.Patch(ctx, object, changes, client.FieldOwner(manager))
	}
	return client.IgnoreNotFound(err)
}

func (p *Player) setFinalizer(ctx context.Context, object *unstructured.Unstructured, finalizer string, present bool) error {
	change := controllerutil.RemoveFinalizer
	if present {
		change = controllerutil.AddFinalizer
	}
	return p.patch(ctx, object, func() { change(object, finalizer) })
}

func annotate(object *unstructured.Unstructured, annotations map[string]string) {
	all := object.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	for key, value := range annotations {
		all[key] = value
	}
	object.SetAnnotations(all)
}

// field reads below an object; nil when there is none. Objects are read from an API server that has checked their types.
func field(object map[string]any, path ...string) any {
	value, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	return value
}

func text(object map[string]any, path ...string) string {
	value, _ := field(object, path...).(string)
	return value
}

func entries(object map[string]any, path ...string) []map[string]any {
	list, _ := field(object, path...).([]any)
	all := make([]map[string]any, 0, len(list))
	for _, entry := range list {
		if one, ok := entry.(map[string]any); ok {
			all = append(all, one)
		}
	}
	return all
}

func set(object map[string]any, value any, path ...string) {
	if object[path[0]] == nil {
		delete(object, path[0]) // so the fake client reads a status that was never written
	}
	if err := unstructured.SetNestedField(object, value, path...); err != nil {
		panic(fmt.Sprintf("setting %v: %v", path, err)) // something that is no object is in the way
	}
}
