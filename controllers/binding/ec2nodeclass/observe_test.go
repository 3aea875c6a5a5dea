package ec2nodeclass

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
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

// newCluster is an API server in memory that knows every kind but those that are named.
func newCluster(t *testing.T, without []schema.GroupVersionKind, objects ...client.Object) client.WithWatch {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{classKind, fleet.ClaimKind, fleet.PoolKind, autoModeKind, definitionKind} {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	cluster := fake.NewClientBuilder().WithScheme(runtime.NewScheme()).WithRESTMapper(mapper).WithReturnManagedFields().Build()
	for _, object := range objects {
		if err := cluster.Create(t.Context(), object.DeepCopyObject().(client.Object), client.FieldOwner("kubectl")); err != nil {
			t.Fatal(err)
		}
	}
	missing := func(object runtime.Object) error {
		for _, kind := range without {
			if got := object.GetObjectKind().GroupVersionKind(); got.Group == kind.Group && strings.HasPrefix(got.Kind, kind.Kind) {
				return &meta.NoKindMatchError{GroupKind: kind.GroupKind()}
			}
		}
		return nil
	}
	return interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
			return unless(missing(object), func() error { return c.Get(ctx, key, object, opts...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			return unless(missing(list), func() error { return c.List(ctx, list, opts...) })
		},
	})
}

func unless(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

func object(kind schema.GroupVersionKind, name string, content map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: content}
	o.SetGroupVersionKind(kind)
	o.SetName(name)
	return o
}

// definition is what the API server knows of EC2NodeClasses, with a field of a device or without.
func definition(field string) *unstructured.Unstructured {
	nested := map[string]any{"snapshotID": map[string]any{"type": "string"}}
	if field != "" {
		nested[field] = map[string]any{"type": "integer"}
	}
	device := map[string]any{"ebs": map[string]any{"properties": nested}}
	spec := map[string]any{"blockDeviceMappings": map[string]any{"items": map[string]any{"properties": device}}}
	return object(definitionKind, classDefinition, map[string]any{"spec": map[string]any{"versions": []any{
		map[string]any{"name": "v1beta1"},
		map[string]any{"name": "v1", "schema": map[string]any{"openAPIV3Schema": map[string]any{"properties": map[string]any{
			"spec": map[string]any{"properties": spec}}}}},
	}}})
}

func named(class *unstructured.Unstructured, name string) *unstructured.Unstructured {
	class.SetGroupVersionKind(classKind)
	class.SetName(name)
	return class
}

func observed(t *testing.T, cluster client.WithWatch, b *v1alpha1.NodeClassBinding) binding.Observation {
	t.Helper()
	o, err := (&Target{Client: cluster, Reader: cluster, Cache: cluster}).Observe(t.Context(), b, binding.Heard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAFieldThatTheClusterMayLack(t *testing.T) {
	class := named(bottlerocket(rootVolume), "gpu")
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "customresourcedefinitions"}, classDefinition, errors.New("no role"))
	cases := map[string]struct {
		reason  string
		device  v1alpha1.Device
		objects []client.Object
		without []schema.GroupVersionKind
		fail    error
		problem string
		warning string
	}{
		"it has it":       {reason: "Karpenter 1.5 and later", device: v1alpha1.Device{VolumeInitializationRate: number(200)}, objects: []client.Object{definition("volumeInitializationRate")}},
		"it lacks it":     {reason: "the API server would drop it without a word", device: v1alpha1.Device{VolumeInitializationRate: number(200)}, objects: []client.Object{definition("")}, problem: v1alpha1.ReasonFieldUnsupported},
		"it is not asked": {reason: "a binding that says no rate needs none", objects: []client.Object{definition("")}},
		"it is not known": {reason: "what cannot be known keeps nobody", device: v1alpha1.Device{VolumeInitializationRate: number(200)}, warning: v1alpha1.ReasonNotChecked},
		"no such kind":    {reason: "the same", device: v1alpha1.Device{VolumeInitializationRate: number(200)}, without: []schema.GroupVersionKind{definitionKind}, warning: v1alpha1.ReasonNotChecked},
		"it is forbidden": {reason: "the same", device: v1alpha1.Device{VolumeInitializationRate: number(200)}, fail: forbidden, warning: v1alpha1.ReasonNotChecked},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cluster := newCluster(t, tc.without, append(tc.objects, class)...)
			if tc.fail != nil {
				cluster = interceptor.NewClient(cluster, interceptor.Funcs{
					Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, opts ...client.GetOption) error {
						if key.Name == classDefinition {
							return tc.fail
						}
						return c.Get(ctx, key, object, opts...)
					},
				})
			}
			plan := observed(t, cluster, bindingWith(tc.device)).Plan(bindingWith(tc.device), stored, time.Now())
			if tc.problem != "" {
				if plan.Problem == nil || plan.Problem.Reason != tc.problem || !plan.Problem.Stalled || plan.Write != nil ||
					!strings.Contains(plan.Problem.Message, "1.5 or later") {
					t.Errorf("%s: got %+v, want %s", tc.reason, plan, tc.problem)
				}
				return
			}
			if plan.Problem != nil || plan.Write == nil {
				t.Errorf("%s: got %+v, want it written", tc.reason, plan)
			}
			var warning string
			for _, w := range plan.Warnings {
				warning += w.Reason
			}
			if warning != tc.warning {
				t.Errorf("%s: warned of %q, want %q", tc.reason, warning, tc.warning)
			}
		})
	}
}

func TestAClassThatIsNotThere(t *testing.T) {
	nodeClass := object(autoModeKind, "gpu", map[string]any{"spec": map[string]any{"role": "nodes"}})
	derived := named(bottlerocket(rootVolume), "gpu-larder")
	derived.SetLabels(map[string]string{v1alpha1.LabelBinding: "uid-b"})
	cases := map[string]struct {
		reason  string
		objects []client.Object
		without []schema.GroupVersionKind
		want    string
		stalled bool
		says    string
	}{
		"nothing": {reason: "whoever makes it later is heard by a watch", want: v1alpha1.ReasonTargetMissing, says: "create it"},
		"derived one left": {reason: "pools launch from it, so it stays", objects: []client.Object{derived}, want: v1alpha1.ReasonTargetMissing,
			says: "so EC2NodeClass gpu-larder, which was made from it, stays as it is"},
		"Auto Mode": {reason: "it has no field for a snapshot", objects: []client.Object{nodeClass}, want: v1alpha1.ReasonUnsupportedTarget, stalled: true,
			says: "NodeClass of EKS Auto Mode"},
		"Auto Mode without Karpenter": {reason: "a cluster of Auto Mode has no EC2NodeClasses", objects: []client.Object{nodeClass}, without: []schema.GroupVersionKind{classKind},
			want: v1alpha1.ReasonUnsupportedTarget, stalled: true, says: "beside it, and bind that one"},
		"another NodeClass of Auto Mode": {reason: "it is not this one", objects: []client.Object{object(autoModeKind, "default", map[string]any{})},
			want: v1alpha1.ReasonTargetMissing, says: "create it"},
		"neither": {reason: "Karpenter may come later", without: []schema.GroupVersionKind{classKind, autoModeKind}, want: v1alpha1.ReasonTargetKindMissing,
			says: "install Karpenter"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := derivingBinding(v1alpha1.Device{})
			o := observed(t, newCluster(t, tc.without, tc.objects...), b)
			for what, plan := range map[string]binding.Plan{"Plan": o.Plan(b, stored, time.Now()), "PlanWithout": o.PlanWithout(b, time.Now())} {
				if plan.Problem == nil || plan.Problem.Reason != tc.want || plan.Problem.Stalled != tc.stalled || plan.Write != nil || plan.Upkeep != nil {
					t.Fatalf("%s: %s: got %+v, want %s", what, tc.reason, plan, tc.want)
				}
				if !strings.Contains(plan.Problem.Message, tc.says) {
					t.Errorf("%s: %s: the message does not say %q:\n%s", what, tc.reason, tc.says, plan.Problem.Message)
				}
			}
			in := bindingWith(v1alpha1.Device{})
			if plan := observed(t, newCluster(t, tc.without, tc.objects...), in).PlanEnd(in, time.Now()); plan.Problem != nil || plan.Write != nil {
				t.Errorf("%s: nothing is left to give back, and the binding is held: %+v", tc.reason, plan)
			}
		})
	}
}

func TestPoolsThatNameTheDerivedClass(t *testing.T) {
	pool := func(name, kind, class string) *unstructured.Unstructured {
		return object(fleet.PoolKind, name, map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"nodeClassRef": map[string]any{"group": classKind.Group, "kind": kind, "name": class}}}}})
	}
	derived := named(bottlerocket(rootVolume), "gpu-larder")
	derived.SetLabels(map[string]string{v1alpha1.LabelBinding: "uid-b"})
	objects := []client.Object{named(bottlerocket(rootVolume), "gpu"), derived, pool("b", classKind.Kind, "gpu-larder"), pool("a", classKind.Kind, "gpu-larder"),
		pool("c", classKind.Kind, "gpu"), pool("d", "NodeClass", "gpu-larder")}
	b := derivingBinding(v1alpha1.Device{})
	now := derived.GetCreationTimestamp()
	b.DeletionTimestamp = &now
	plan := observed(t, newCluster(t, nil, objects...), b).PlanEnd(b, time.Now())
	if plan.Problem == nil || !strings.Contains(plan.Problem.Message, "(a, b)") {
		t.Errorf("got %+v, want a and b named", plan)
	}
	plan = observed(t, newCluster(t, []schema.GroupVersionKind{fleet.PoolKind, fleet.ClaimKind}, objects...), b).PlanEnd(b, time.Now())
	if plan.Problem != nil || plan.Write == nil {
		t.Errorf("without the kinds there are no pools: got %+v", plan)
	}
}
