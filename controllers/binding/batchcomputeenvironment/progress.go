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
		plan.Progress = fmt.Sprintf("Batch has been replacing the instances of compute environment %s since %s", o.environment.Name, clockTime(o.updatingSince(b, plan.InPlace)))
		plan.Busy = o.busy("%s", plan.Progress)
	case now.Sub(o.changingSince) > patience:
		plan.Busy = o.busy("somebody else has had Batch update compute environment %s since %s, or longer: have the jobs ended that the "+
			"update waits for, or its update policy changed", o.environment.Name, clockTime(o.changingSince))
		plan.Busy.Stalled = true
	default:
		plan.Busy = o.busy("somebody else has Batch update compute environment %s, since %s or longer", o.environment.Name, clockTime(o.changingSince))
	}
	if o.environment.Status == batch.Invalid && hasProven(b, plan.InPlace) {
		plan.Warnings = append(plan.Warnings, binding.Warning{
			Reason:  v1alpha1.ReasonTargetDegraded,
			Message: fmt.Sprintf("compute environment %s is INVALID, long after %s worked there: %s", o.environment.Name, plan.InPlace, reasonOf(o.environment)),
		})
	}
	return plan
}

func (o *observation) busy(format string, args ...any) *binding.Problem {
	return &binding.Problem{Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: changingRetry, Message: fmt.Sprintf(format, args...)}
}

// updatingSince is the time of the write that the update is of, if that is known.
func (o *observation) updatingSince(b *v1alpha1.NodeClassBinding, inPlace string) time.Time {
	if applied := b.Status.AppliedTime; applied != nil && inPlace == b.Status.AppliedSnapshotID {
		return applied.Time
	}
	return o.changingSince
}

func hasProven(b *v1alpha1.NodeClassBinding, id string) bool {
	return id != "" && b.Status.LastKnownGoodProven && id == b.Status.LastKnownGoodSnapshotID
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
