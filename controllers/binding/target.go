package binding

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// Target is one kind of thing that launches nodes.
type Target interface {
	// Observe reads the binding's target and, where the rollout strategy asks, the nodes it launched; it changes
	// nothing. A target that does not exist is an Observation too, whose plans say so.
	Observe(ctx context.Context, binding *v1alpha1.NodeClassBinding) (Observation, error)

	// Act carries out a Write that an Observation of this Target planned, unless the target changed since it was
	// observed. An error that is a *Problem says what became of the write.
	Act(ctx context.Context, write Write) error

	// Watch makes the controller reconcile the bindings of a target when the target, or what it launched, changes.
	Watch(mgr manager.Manager, c controller.Controller) error
}

// Observation is a target as it was read. Its plans are pure: no client, no context, no clock.
type Observation interface {
	// Plan says what has to be written so that the binding's device boots with the snapshot. Without a snapshot (the
	// zero value) it only looks for problems.
	Plan(binding *v1alpha1.NodeClassBinding, snapshot Snapshot) Plan

	// PlanRestore says what has to be written so that the device is as it was before the binding.
	PlanRestore(binding *v1alpha1.NodeClassBinding) Plan
}

// Snapshot is a completed EBS snapshot.
type Snapshot struct {
	// ID is empty when there is no usable snapshot.
	ID string
	// Format is the layout of the snapshot's volume.
	Format v1alpha1.Format
	// SizeGiB is the size of the snapshot's volume; a volume made from it cannot be smaller.
	SizeGiB int64
}

// Plan is what one target needs.
type Plan struct {
	// Problem keeps the target from taking the snapshot; nil when nothing does.
	Problem *Problem
	// InPlace is the snapshot that the device names now; empty when it names none.
	InPlace string
	// Write is the one change to make; nil when the target is as it should be.
	Write Write
	// Replaced counts the nodes that Write would have replaced, by node pool. It is filled only when the rollout
	// strategy forbids that.
	Replaced map[string]int
	// TakenBackBy is the field manager that changed the devices since Larder wrote them; empty when none did.
	TakenBackBy string
	// Remedy says how TakenBackBy is told to leave the devices alone.
	Remedy string
}

// Write is one change to a target. Only the Target whose Observation planned it knows what is inside.
type Write any

// Problem is why a binding is not applied, in words for the person who made it.
type Problem struct {
	// Reason is one of the API's reason constants.
	Reason string
	// Message says what, where, and what to do.
	Message string
	// Stalled tells that a person has to act. Otherwise time, or a change that is watched, solves it.
	Stalled bool
	// RetryAfter is when to look again if no watch tells of a change; zero for never.
	RetryAfter time.Duration
	// Cause is the error behind it, if there is one.
	Cause error
}

// Error is the reason and the message.
func (p *Problem) Error() string { return p.Reason + ": " + p.Message }

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }
