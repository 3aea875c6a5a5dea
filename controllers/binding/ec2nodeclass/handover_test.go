package ec2nodeclass

import (
	"testing"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// TestADerivedClassIsHandedOver has a binding go and leave its class, and another of the same name take it over, once
// the class carries that one's UID: nothing is written to it, so no node is replaced.
func TestADerivedClassIsHandedOver(t *testing.T) {
	p := newPlayer(t, named(bottlerocket(rootVolume), "gpu"))
	before := derivingBinding(v1alpha1.Device{})
	before.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
	p.act(p.observe(before).Plan(before, stored, time.Now()).Write)
	p.act(p.observe(before).PlanEnd(before, time.Now()).Write)

	next := derivingBinding(v1alpha1.Device{})
	next.UID = "uid-next"
	if plan := p.observe(next).Plan(next, stored, time.Now()); plan.Problem == nil || plan.Problem.Reason != v1alpha1.ReasonDerivedClassExists {
		t.Fatalf("without its UID: got %v, want %s", plan.Problem, v1alpha1.ReasonDerivedClassExists)
	}
	class := p.read("gpu-larder")
	class.SetLabels(map[string]string{v1alpha1.LabelBinding: string(next.UID)})
	p.must(p.cluster.Update(t.Context(), class))
	plan := p.observe(next).Plan(next, stored, time.Now())
	if plan.Problem != nil || plan.Write != nil || plan.Upkeep != nil || plan.InPlace != stored.ID {
		t.Errorf("with its UID and the snapshot in place: got %+v, want nothing to do", plan)
	}
	if plan = p.observe(next).Plan(next, staged, time.Now()); plan.Write == nil || plan.Problem != nil {
		t.Errorf("a newer snapshot: got %+v, want it planned", plan)
	}
}
