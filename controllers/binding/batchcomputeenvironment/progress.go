package batchcomputeenvironment

import (
	"fmt"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/batch"
)

// outlook is what a plan says before anything is planned.
func (o *observation) outlook(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	plan := binding.Plan{InPlace: o.inPlace(b.Spec.Target.BatchComputeEnvironment.Device.Name)}
	plan.Pools = o.pools(b, plan.InPlace)
	plan.Health = o.health(b)
	switch {
	case o.environment.Status == batch.Creating:
		plan.Busy = o.busy("Batch is still making compute environment %s", o.environment.Name)
	case o.environment.Status != batch.Updating:
	case o.isOurs(b):
		plan.Progress = o.progress(b)
		plan.Busy = o.busy("%s", plan.Progress)
	case now.Sub(o.changingSince) > patience:
		plan.Busy = o.busy("Batch has been updating compute environment %s since %s, or longer, for something else than this binding: have the "+
			"jobs ended that the update waits for, or its update policy changed", o.environment.Name, clockTime(o.changingSince))
		plan.Busy.Stalled = true
	default:
		plan.Busy = o.busy("Batch is updating compute environment %s for something else than this binding, since %s or longer",
			o.environment.Name, clockTime(o.changingSince))
	}
	return plan
}

// failedLate are warnings of an environment that became invalid with a snapshot that had proven itself: that is not taken
// back, and no other one would help.
func (o *observation) failedLate(b *v1alpha1.NodeClassBinding, inPlace string) []binding.Warning {
	proven := inPlace != "" && b.Status.LastKnownGoodProven && inPlace == b.Status.LastKnownGoodSnapshotID
	if o.environment.Status != batch.Invalid || !proven {
		return nil
	}
	return []binding.Warning{{
		Reason:  v1alpha1.ReasonTargetDegraded,
		Message: fmt.Sprintf("compute environment %s is INVALID, long after %s worked there: %s", o.environment.Name, inPlace, reasonOf(o.environment)),
	}}
}

func (o *observation) busy(format string, args ...any) *binding.Problem {
	return &binding.Problem{Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: changingRetry, Message: fmt.Sprintf(format, args...)}
}

// progress tells of an update of ours.
func (o *observation) progress(b *v1alpha1.NodeClassBinding) string {
	since := o.changingSince
	device := b.Spec.Target.BatchComputeEnvironment.Device.Name
	if applied := b.Status.AppliedTime; applied != nil && o.inPlace(device) == b.Status.AppliedSnapshotID {
		since = applied.Time // of the write that the update is of
	}
	return fmt.Sprintf("Batch has been replacing the instances of compute environment %s since %s", o.environment.Name, clockTime(since))
}

// pools counts vCPUs. While Batch replaces instances it does not tell how many are replaced, so all count as outdated.
func (o *observation) pools(b *v1alpha1.NodeClassBinding, inPlace string) []binding.Pool {
	if o.environment.DesiredVCPUs == 0 {
		return nil
	}
	pool := binding.Pool{Name: o.environment.Name, Outdated: o.environment.DesiredVCPUs}
	if inPlace != "" && inPlace == b.Status.AppliedSnapshotID && !isChanging(o.environment) {
		pool.Current, pool.Outdated = pool.Outdated, 0
	}
	return []binding.Pool{pool}
}

// health rests on the environment's status: an update that instances cannot be launched with ends INVALID. VALID says
// nothing of a snapshot as long as no instance is to be launched with it.
func (o *observation) health(b *v1alpha1.NodeClassBinding) binding.Health {
	if b.Status.AppliedTime == nil || !o.isOurs(b) {
		return binding.Health{}
	}
	vCPUs := o.environment.DesiredVCPUs
	switch o.environment.Status {
	case batch.Updating:
		return binding.Health{RetryAfter: changingRetry}
	case batch.Invalid:
		return binding.Health{Broken: vCPUs, Failure: &binding.Problem{
			Reason:  v1alpha1.ReasonUpdateFailed,
			Message: fmt.Sprintf("compute environment %s is INVALID since it was updated: %s", o.environment.Name, reasonOf(o.environment)),
		}}
	default:
		return binding.Health{Proven: vCPUs > 0, Working: vCPUs}
	}
}

// clockTime is a moment as all messages of bindings spell it.
func clockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
