package binding_test

import (
	"context"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// stamped has the in-memory API server of a world do what it leaves out: it counts generations, and says when and under
// which UID an object was made.
func stamped(w *world) client.WithWatch {
	made := 0
	birth := func(object client.Object) {
		made++
		object.SetCreationTimestamp(metav1.Time{Time: w.clock.Now()})
		object.SetGeneration(1)
		if object.GetUID() == "" {
			object.SetUID(types.UID(fmt.Sprint("uid-", made)))
		}
	}
	// stamp makes a change, and brings the object that was passed for it in step with what is stored then.
	stamp := func(ctx context.Context, c client.Client, kind schema.GroupVersionKind, object client.Object, change func() error) error {
		before, err := stored(ctx, c, kind, object.GetName())
		if err != nil {
			return err
		}
		if err := change(); err != nil {
			return err
		}
		after, err := stored(ctx, c, kind, object.GetName())
		if err != nil || after == nil {
			return err // its last finalizer went
		}
		switch {
		case before == nil:
			birth(after)
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
	kindOf := func(object client.Object) schema.GroupVersionKind {
		kind, err := w.client.GroupVersionKindFor(object)
		if err != nil {
			w.Fatal(err)
		}
		return kind
	}
	return interceptor.NewClient(w.client, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			birth(o)
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			return stamp(ctx, c, kindOf(o), o, func() error { return c.Update(ctx, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return stamp(ctx, c, kindOf(o), o, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
			if err != nil {
				return err
			}
			applied := &unstructured.Unstructured{Object: content}
			return stamp(ctx, c, applied.GroupVersionKind(), applied, func() error { return c.Apply(ctx, o, opts...) })
		},
	})
}

// stored returns nil for an object that does not exist.
func stored(ctx context.Context, c client.Reader, kind schema.GroupVersionKind, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if err := c.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return object, nil
}

// account is an AWS account with its snapshots. It implements binding.Snapshots.
type account struct {
	made map[string]*madeSnapshot
}

type madeSnapshot struct {
	gib   int64
	state string
	// refused tells that EC2 launches nothing with it, though its description looks well.
	refused bool
}

func (a account) Describe(_ context.Context, id string) (ebs.Snapshot, error) {
	found := a.made[id]
	if found == nil {
		return ebs.Snapshot{}, notThere(id)
	}
	described := completedSnapshot(id)
	described.VolumeSize, described.State = found.gib, found.state
	return described, nil
}

func (account) FastRestores(context.Context, []string) ([]ebs.FastRestore, error) { return nil, nil }

// launches tells whether EC2 takes a snapshot.
func (a account) launches(id string) bool {
	found := a.made[id]
	return found != nil && found.state == ebs.StateCompleted && !found.refused
}

var _ binding.Snapshots = account{}
