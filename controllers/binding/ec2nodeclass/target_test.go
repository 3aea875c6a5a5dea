package ec2nodeclass

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

// written is when the snapshot of the nodes' class was written.
var written = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// observedNodes observes a class with a NodeClaim that is late, and a NodePool that holds drift, and plans on it.
func observedNodes(t *testing.T, strategy v1alpha1.RolloutStrategy, lists map[string]error) binding.Plan {
	t.Helper()
	class := bottlerocket(rootVolume, entry(dataDevice, mapping{"snapshotID": "snap-1", "volumeSize": "40Gi", "volumeType": "gp3"}))
	class.SetGroupVersionKind(classKind)
	ref := map[string]any{"group": classKind.Group, "kind": classKind.Kind, "name": class.GetName()}
	claim := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"nodeClassRef": ref}, "status": map[string]any{
		"conditions": []any{map[string]any{"type": "Launched", "status": "True"}, map[string]any{"type": "Ready", "status": "Unknown"}},
	}}}
	claim.SetGroupVersionKind(fleet.ClaimKind)
	claim.SetName("claim")
	claim.SetLabels(map[string]string{"karpenter.sh/nodepool": "default"})
	claim.SetCreationTimestamp(metav1.NewTime(written))
	pool := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"template":   map[string]any{"spec": map[string]any{"nodeClassRef": ref}},
		"disruption": map[string]any{"budgets": []any{map[string]any{"nodes": "0"}}},
	}}}
	pool.SetGroupVersionKind(fleet.PoolKind)
	pool.SetName("default")

	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{classKind, fleet.ClaimKind, fleet.PoolKind} {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	server := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithRESTMapper(mapper).WithObjects(class, claim, pool).
		WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if err := lists[list.GetObjectKind().GroupVersionKind().Kind]; err != nil {
					return err
				}
				return c.List(ctx, list, opts...)
			},
		}).Build()
	b := bindingWith(v1alpha1.Device{})
	b.Spec.Rollout.Strategy = strategy
	b.Status.AppliedTime = &metav1.Time{Time: written}
	observation, err := (&Target{Client: server, Reader: server, Cache: server}).Observe(t.Context(), b, binding.Heard)
	if err != nil {
		t.Fatal(err)
	}
	return observation.Plan(b, binding.Snapshot{ID: "snap-1", SizeGiB: 40}, written.Add(11*time.Minute))
}

func TestObserveNodes(t *testing.T) {
	noMatch := func(kind string) error { return &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: kind}} }
	notFound := apierrors.NewNotFound(schema.GroupResource{Resource: "nodepools"}, "")
	denied := apierrors.NewForbidden(schema.GroupResource{Resource: "nodepools"}, "", nil)
	held := []binding.Pool{{Name: "default", Current: 1, Staying: 1, HoldsDrift: true}}
	free := []binding.Pool{{Name: "default", Current: 1, Staying: 1}}
	cases := map[string]struct {
		reason   string
		strategy v1alpha1.RolloutStrategy
		lists    map[string]error
		pools    []binding.Pool
		failure  string
		problem  string
	}{
		"Roll":                {reason: "a bad snapshot is taken back under every strategy", strategy: v1alpha1.RolloutRoll, pools: held, failure: v1alpha1.ReasonNodesNotReady},
		"NewNodesOnly":        {reason: "it looks at the budgets, too", strategy: v1alpha1.RolloutNewNodesOnly, pools: held, failure: v1alpha1.ReasonNodesNotReady},
		"no kind NodeClaim":   {reason: "then there are no nodes", lists: map[string]error{"NodeClaimList": noMatch("NodeClaim")}},
		"no kind NodePool":    {reason: "then nothing holds drift", lists: map[string]error{"NodePoolList": noMatch("NodePool")}, pools: free, failure: v1alpha1.ReasonNodesNotReady},
		"NodePools just gone": {reason: "the discovery is older than the answer", lists: map[string]error{"NodePoolList": notFound}, pools: free, failure: v1alpha1.ReasonNodesNotReady},
		"denied NodePools":    {reason: "what cannot be seen may not be risked", lists: map[string]error{"NodePoolList": denied}, problem: v1alpha1.ReasonTargetUnreadable},
		"denied NodeClaims":   {reason: "what cannot be seen may not be risked", lists: map[string]error{"NodeClaimList": denied}, problem: v1alpha1.ReasonTargetUnreadable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan := observedNodes(t, c.strategy, c.lists)
			if diff := cmp.Diff(c.pools, plan.Pools); diff != "" {
				t.Errorf("%s: pools (-want +got):\n%s", c.reason, diff)
			}
			if got := reasonOf(plan.Health.Failure); got != c.failure {
				t.Errorf("%s: the health is %q", c.reason, got)
			}
			if got := reasonOf(plan.Problem); got != c.problem {
				t.Errorf("%s: the problem is %q", c.reason, got)
			}
		})
	}
}

func reasonOf(problem *binding.Problem) string {
	if problem == nil {
		return ""
	}
	return problem.Reason
}

func TestRollbackAfter(t *testing.T) {
	class := classWith(nil)
	claim := &unstructured.Unstructured{Object: map[string]any{
		"spec":   map[string]any{"nodeClassRef": map[string]any{"group": classKind.Group, "kind": classKind.Kind, "name": "gpu"}},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Launched", "status": "True"}}},
	}}
	claim.SetCreationTimestamp(metav1.NewTime(written))
	o := &observation{class: class, fleet: fleet.Of("gpu", class, []unstructured.Unstructured{*claim}, nil)}
	cases := map[string]struct {
		reason string
		after  *metav1.Duration
		want   time.Duration
	}{
		"said":     {reason: "the binding's word", after: &metav1.Duration{Duration: time.Hour}, want: 59 * time.Minute},
		"not said": {reason: "ten minutes", want: 9 * time.Minute},
		"never":    {reason: "no deadline", after: &metav1.Duration{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bindingWith(v1alpha1.Device{})
			b.Status.AppliedTime = &metav1.Time{Time: written}
			b.Spec.Rollout.Rollback.After = c.after
			if _, health := o.nodes(b, written.Add(time.Minute)); health.RetryAfter != c.want {
				t.Errorf("%s: looked at again after %s, want %s", c.reason, health.RetryAfter, c.want)
			}
		})
	}
}
