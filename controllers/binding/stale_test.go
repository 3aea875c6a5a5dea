package binding_test

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
	"github.com/larder-dev/larder/test/targets"
)

// A cache that has not heard of a node costs nobody that node, and a pass that writes nothing does not list all of them.
func TestNodesAreListedBeforeAWrite(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("b", v1alpha1.RolloutNewNodesOnly), newClaim("n", "gpu"))
	listed := 0
	target := w.reconciler.Targets[0].(*ec2nodeclass.Target)
	target.Cache = interceptor.NewClient(w.client, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
	})
	target.Reader = interceptor.NewClient(w.client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if nodes, isList := list.(*unstructured.UnstructuredList); isList && nodes.GetKind() == claimKind.Kind+"List" {
				listed++
			}
			return c.List(ctx, list, opts...)
		},
	})
	if got := targets.Describe(w.passes("b"), v1alpha1.ConditionApplied); got != "False NodesWouldBeReplaced" || w.device() != nil {
		t.Errorf("the node that the cache has not heard of is not spared: Applied is %s, and the device %v", got, w.device())
	}
	if listed != 1 {
		t.Errorf("the nodes were listed %d times before the write, want 1", listed)
	}
	w.delete(newClaim("n", "gpu"))
	if got := targets.Describe(w.passes("b"), v1alpha1.ConditionApplied); got != "True Applied" {
		t.Errorf("without nodes Applied is %s", got)
	}
	listed = 0
	w.passes("b")
	if listed > 0 {
		t.Error("a pass with nothing to write lists all nodes")
	}
}
