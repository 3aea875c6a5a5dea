package binding

import (
	"context"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// unknownTarget is that of a binding whose target a newer CustomResourceDefinition allows, and this binary does not know.
type unknownTarget struct{}

// Subject implements Target.
func (unknownTarget) Subject(*v1alpha1.NodeClassBinding) (Subject, bool) { return Subject{}, false }

// Observe implements Target.
func (unknownTarget) Observe(context.Context, *v1alpha1.NodeClassBinding, Freshness) (Observation, error) {
	return unknownTarget{}, nil
}

// Act implements Target. Nothing is ever planned.
func (unknownTarget) Act(context.Context, Write) error { return nil }

// Plan implements Observation.
func (unknownTarget) Plan(*v1alpha1.NodeClassBinding, Snapshot, time.Time) Plan {
	return Plan{Problem: &Problem{
		Reason: v1alpha1.ReasonUnsupportedTarget, Stalled: true,
		Message: "this Larder does not know the kind of spec.target: run the version that the CustomResourceDefinitions came with",
	}}
}

// PlanWithout implements Observation.
func (u unknownTarget) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) Plan {
	return u.Plan(b, Snapshot{}, now)
}

// PlanEnd implements Observation. What was written to the target only a Larder that knows it takes back.
func (u unknownTarget) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) Plan {
	if b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave {
		return Plan{}
	}
	return u.Plan(b, Snapshot{}, now)
}
