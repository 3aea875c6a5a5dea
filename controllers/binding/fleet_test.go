package binding_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
)

func TestRequests(t *testing.T) {
	derives := newBinding("derives", v1alpha1.RolloutRoll)
	derives.Spec.Target.EC2NodeClass.Derive = &v1alpha1.DerivedNodeClass{Name: "gpu-larder"}
	w := newWorld(t, newBinding("in-place", v1alpha1.RolloutRoll), derives)
	cases := map[string]struct {
		reason string
		want   []string
	}{
		"gpu":        {reason: "both need it: one to write it, one to copy it", want: []string{"derives", "in-place"}},
		"gpu-larder": {reason: "the class that a binding derives is the one its nodes come from", want: []string{"derives"}},
		"cpu":        {reason: "nobody binds it"},
	}
	for class, c := range cases {
		t.Run(class, func(t *testing.T) {
			var want []reconcile.Request
			for _, name := range c.want {
				want = append(want, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
			}
			got := binding.Requests(context.Background(), w.client, ec2nodeclass.Kind, class)
			if diff := cmp.Diff(want, append([]reconcile.Request(nil), got...)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// testNodesThatDrift lets nodes drift, which no binding hears of but by the watches on NodeClaims and NodePools.
func testNodesThatDrift(c *cluster) {
	const hash, version = "karpenter.sh/nodepool-hash", "karpenter.sh/nodepool-hash-version"
	annotations := map[string]string{hash: "1", version: "v3"}
	pool := newPool("drifting", "drifting")
	pool.SetAnnotations(annotations)
	claim := newClaim("drifting", "drifting")
	claim.SetLabels(map[string]string{"karpenter.sh/nodepool": "drifting"})
	claim.SetAnnotations(annotations)
	c.create(pool, claim)
	c.setConditions(pool, "Ready")
	c.setConditions(claim, "Launched")
	b := c.bound("drifting", v1alpha1.RolloutNewNodesOnly, root)
	c.waitFor("drifting", v1alpha1.ConditionReady, "False NodesWouldBeReplaced")
	pool.SetAnnotations(map[string]string{hash: "2", version: "v3"}) // as Karpenter does when the pool's template changes
	c.must(c.admin.Update(context.Background(), pool))
	c.waitFor("drifting", v1alpha1.ConditionReady, "True Ready")

	pool.SetAnnotations(annotations)
	c.must(c.admin.Update(context.Background(), pool))
	c.renew("drifting", "snap-2")
	c.waitFor("drifting", v1alpha1.ConditionReady, "True NodesWouldBeReplaced")
	c.setConditions(claim, "Launched", "Drifted")
	c.waitFor("drifting", v1alpha1.ConditionReady, "True Ready")
	c.must(c.admin.Delete(context.Background(), claim))
	c.must(c.admin.Delete(context.Background(), pool))
	c.remove(b)
	c.expectNoTrace("drifting")
}

// setConditions gives an object of Karpenter's these conditions, all True, for its generation.
func (c *cluster) setConditions(object *unstructured.Unstructured, types ...string) {
	c.Helper()
	var conditions []any
	for _, conditionType := range types {
		conditions = append(conditions, map[string]any{"type": conditionType, "status": "True", "reason": conditionType, "message": "",
			"observedGeneration": object.GetGeneration(), "lastTransitionTime": metav1.Now().UTC().Format("2006-01-02T15:04:05Z")})
	}
	c.must(unstructured.SetNestedSlice(object.Object, conditions, "status", "conditions"))
	c.must(c.admin.Status().Update(context.Background(), object))
}

func newPool(name, class string) *unstructured.Unstructured {
	pool := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"nodeClassRef": map[string]any{"group": classKind.Group, "kind": classKind.Kind, "name": class},
		"requirements": []any{map[string]any{"key": "kubernetes.io/arch", "operator": "Exists"}},
	}}}}}
	pool.SetGroupVersionKind(poolKind)
	pool.SetName(name)
	return pool
}
