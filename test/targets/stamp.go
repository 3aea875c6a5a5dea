package targets

import (
	"context"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Stamp has an in-memory API server do what it leaves out: it counts generations, and says when and under which UID an
// object was made.
func Stamp(server client.WithWatch, now clock.PassiveClock) client.WithWatch {
	s := &stamps{now: now}
	return interceptor.NewClient(server, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			s.birth(o)
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return s.change(ctx, c, o, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return s.change(ctx, c, o, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
			if err != nil {
				return err
			}
			applied := &unstructured.Unstructured{Object: content}
			return s.change(ctx, c, applied, func() error { return c.Apply(ctx, o, opts...) })
		},
	})
}

type stamps struct {
	now  clock.PassiveClock
	made int
}

func (s *stamps) birth(object client.Object) {
	s.made++
	object.SetCreationTimestamp(metav1.Time{Time: s.now.Now()})
	object.SetGeneration(1)
	if object.GetUID() == "" {
		object.SetUID(types.UID(fmt.Sprint("uid-", s.made)))
	}
}

// change makes one, and brings the object that was passed for it in step with what is stored then.
func (s *stamps) change(ctx context.Context, c client.Client, object client.Object, make func() error) error {
	kind, err := c.GroupVersionKindFor(object)
	if err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(object)
	before, err := Stored(ctx, c, kind, key)
	if err != nil {
		return err
	}
	if err := make(); err != nil {
		return err
	}
	after, err := Stored(ctx, c, kind, key)
	if err != nil || after == nil {
		return err // its last finalizer went
	}
	switch {
	case before == nil:
		s.birth(after)
	case !reflect.DeepEqual(before.Object["spec"], after.Object["spec"]):
		after.SetGeneration(before.GetGeneration() + 1)
	default:
		return nil
	}
	if err := c.Update(ctx, after, client.FieldOwner("kube-apiserver")); err != nil {
		return err
	}
	object.SetResourceVersion(after.GetResourceVersion())
	object.SetGeneration(after.GetGeneration())
	return nil
}

// Stored reads an object of any kind; nil for one that does not exist.
func Stored(ctx context.Context, c client.Reader, kind schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if err := c.Get(ctx, key, object); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return object, nil
}
