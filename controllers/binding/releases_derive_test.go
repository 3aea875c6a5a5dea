package binding_test

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// expectDerived compares the derived class with the one it is made of, as the API server has both.
func (h *hands) expectDerived(name string, devices ...any) {
	h.Helper()
	want := h.class(name).Object["spec"].(map[string]any)
	want["blockDeviceMappings"] = devices
	h.expectSpec(name+"-larder", want)
}

func testDerive(h *hands) {
	class := h.newClass("derive", root)
	b := h.newDeriving("derive")
	b.UID = "uid-derive"
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	h.expectDerived("derive", root, bound)
	h.expectDevices("derive", []any{root})
	h.expectSettled(b, snapshotOf("snap-1"))
	derived := h.class("derive-larder")
	if derived.GetLabels()[v1alpha1.LabelBinding] != "uid-derive" || derived.GetAnnotations()[v1alpha1.AnnotationDerivedFrom] != "derive" {
		h.Errorf("the marks are %v and %v", derived.GetLabels(), derived.GetAnnotations())
	}

	// The class is edited: fields come, change and go. The snapshot that is staged stays where it is.
	h.edit("derive", "kubectl-edit", func(spec map[string]any) {
		spec["tags"] = map[string]any{"team": "ml", "stage": "test"}
		spec["detailedMonitoring"] = true
	})
	h.act(h.plan(b, snapshotOf("snap-2")).Upkeep)
	h.expectDerived("derive", root, bound)
	h.edit("derive", "kubectl-edit", func(spec map[string]any) {
		spec["tags"] = map[string]any{"team": "ai"}
		delete(spec, "detailedMonitoring")
		spec["subnetSelectorTerms"] = []any{map[string]any{"id": "subnet-0fedcba9876543210"}}
	})
	h.act(h.plan(b, snapshotOf("snap-2")).Upkeep)
	h.expectDerived("derive", root, bound)
	if plan := h.plan(b, snapshotOf("snap-2")); plan.Upkeep != nil || plan.TakenBackBy != "" {
		h.Errorf("only the snapshot is left to write, and yet: %+v", plan)
	}
	h.act(h.plan(b, snapshotOf("snap-2")).Write)
	h.expectSettled(b, snapshotOf("snap-2"))

	h.act(h.observe(b).PlanWithout(b, time.Now()).Write)
	h.expectDerived("derive", root)

	h.must(h.admin.Delete(context.Background(), class))
	h.expectProblem(h.plan(b, snapshotOf("snap-2")), v1alpha1.ReasonTargetMissing)
	h.act(h.end(b).Write)
	h.expectGone("derive-larder")
}

// testDerivedClassEdited has others add, change and remove, by update and by apply with force, what Larder renders.
func testDerivedClassEdited(h *hands) {
	h.newClass("edited", root)
	b := h.newDeriving("edited")
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	edits := map[string]func(spec map[string]any){
		"added": func(spec map[string]any) { spec["tags"] = map[string]any{"theirs": "true"} },
		"changed": func(spec map[string]any) {
			spec["subnetSelectorTerms"] = []any{map[string]any{"id": "subnet-0fedcba9876543210"}}
		},
		"device": func(spec map[string]any) { spec["blockDeviceMappings"] = []any{root} },
	}
	for name, change := range edits {
		h.edit("edited-larder", "kubectl-edit", change)
		h.expectMended(name, "kubectl-edit", b)
	}
	class := newClass(root)
	class.SetName("edited-larder")
	class.Object["spec"].(map[string]any)["tags"] = map[string]any{"theirs": "true"}
	h.must(h.admin.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(class), client.FieldOwner("argocd-controller"), client.ForceOwnership))
	h.expectMended("applied", "argocd-controller", b)

	// Who applies what is there is no rival, and does not keep a field from going with the class's.
	h.edit("edited", "kubectl-edit", func(spec map[string]any) { spec["tags"] = map[string]any{"team": "ml"} })
	h.act(h.plan(b, snapshotOf("snap-1")).Upkeep)
	live := h.class("edited-larder")
	same := newClass()
	same.SetName("edited-larder")
	same.Object["spec"] = live.Object["spec"]
	h.must(h.admin.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(same), client.FieldOwner("argocd-controller"), client.ForceOwnership))
	h.expectSettled(b, snapshotOf("snap-1"))
	h.edit("edited", "kubectl-edit", func(spec map[string]any) { delete(spec, "tags") })
	plan := h.plan(b, snapshotOf("snap-1"))
	if plan.TakenBackBy != "" {
		h.Errorf("taken back by %s, which wrote nothing of its own", plan.TakenBackBy)
	}
	h.act(plan.Upkeep)
	h.expectDerived("edited", root, bound)
}

func (h *hands) expectMended(what, manager string, b *v1alpha1.NodeClassBinding) {
	h.Helper()
	plan := h.plan(b, snapshotOf("snap-1"))
	if plan.TakenBackBy != manager {
		h.Errorf("%s: taken back by %q, want %q", what, plan.TakenBackBy, manager)
	}
	h.act(plan.Write)
	h.expectDerived("edited", root, bound)
	h.expectSettled(b, snapshotOf("snap-1"))
}

// testDerivedClassAppears has somebody else make the class between the look and the write.
func testDerivedClassAppears(h *hands) {
	h.newClass("appears", root)
	b := h.newDeriving("appears")
	planned := h.plan(b, snapshotOf("snap-1"))
	theirs := h.newClass("appears-larder", volume("/dev/xvda", "9Gi"))
	var problem *binding.Problem
	if err := h.target.Act(context.Background(), planned.Write); !errors.As(err, &problem) || problem.Reason != v1alpha1.ReasonWriteConflict {
		h.Errorf("got %v, want WriteConflict", err)
	}
	h.expectDevices("appears-larder", []any{volume("/dev/xvda", "9Gi")})
	h.expectProblem(h.plan(b, snapshotOf("snap-1")), v1alpha1.ReasonDerivedClassExists)
	if plan := h.end(b); plan.Write != nil || plan.Problem != nil {
		h.Errorf("the class is not Larder's to delete: %+v", plan)
	}
	h.must(h.admin.Delete(context.Background(), theirs))
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	h.expectSettled(b, snapshotOf("snap-1"))
}

func testDerivedClassInUse(h *hands) {
	h.newClass("used", root)
	b := h.newDeriving("used")
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	pool := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"nodeClassRef": map[string]any{"group": classKind.Group, "kind": classKind.Kind, "name": "used-larder"},
		"requirements": []any{map[string]any{"key": "kubernetes.io/arch", "operator": "Exists"}},
	}}}}}
	pool.SetGroupVersionKind(poolKind)
	pool.SetName("gpu-pool")
	claim := newClaim("used-claim", "used-larder")
	h.create(pool, claim)
	h.expectProblem(h.end(b), v1alpha1.ReasonDerivedClassInUse)
	h.must(h.admin.Delete(context.Background(), pool))
	h.expectProblem(h.end(b), v1alpha1.ReasonDerivedClassInUse)
	h.must(h.admin.Delete(context.Background(), claim))
	h.act(h.end(b).Write)
	h.expectGone("used-larder")
}

func testDerivedClassLeft(h *hands) {
	h.newClass("kept", root)
	b := h.newDeriving("kept")
	b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
	h.act(h.plan(b, snapshotOf("snap-1")).Write)
	h.act(h.end(b).Write)
	h.expectDerived("kept", root, bound)
	h.expectNoTrace("kept-larder")
	if labels := h.class("kept-larder").GetLabels(); len(labels) > 0 {
		h.Errorf("labels are left: %v", labels)
	}
	if plan := h.end(b); plan.Write != nil || plan.Problem != nil {
		h.Errorf("nothing is left, and yet: %+v", plan)
	}
}
