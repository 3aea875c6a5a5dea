package batchcomputeenvironment

import (
	"fmt"
	"slices"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/batch"
)

// Plan implements binding.Observation.
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, now time.Time) binding.Plan {
	if o.environment == nil {
		return binding.Plan{Problem: o.unread(b)}
	}
	plan := o.outlook(b, now)
	if plan.Problem = unfit(o.environment); plan.Problem != nil {
		return plan
	}
	if o.environment.Status == batch.Invalid && b.Status.AppliedTime == nil && !o.isOurs(b) {
		plan.Problem = degraded(o.environment)
		return plan
	}
	changes := make([]change, 0, len(o.uses))
	for _, one := range o.uses {
		next, problem := one.with(b, rootDevice(o.environment), snapshot)
		if problem != nil {
			plan.Problem = problem
			return plan
		}
		changes = append(changes, next)
	}
	if plan.Problem, plan.Warnings = o.preflight(b, snapshot, changes); plan.Problem != nil || snapshot.ID == "" {
		return plan
	}
	o.planChanges(&plan, changes)
	plan.TakenBackBy = o.takenBackBy(b)
	plan.Remedy = remedy(o.environment.Name)
	plan.Warnings = append(plan.Warnings, o.failedLate(b, plan.InPlace)...)
	if plan.Write == nil && plan.Busy == nil {
		plan.Upkeep = o.prune(b)
	}
	return plan
}

// PlanWithout implements binding.Observation.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	if o.environment == nil {
		return binding.Plan{Problem: o.unread(b)}
	}
	plan := o.outlook(b, now)
	o.planRestore(b, &plan)
	plan.TakenBackBy, plan.Remedy = o.takenBackBy(b), remedy(o.environment.Name)
	return plan
}

// PlanEnd implements binding.Observation. Of an environment that is gone nothing is left to give back, and what stays as it
// is needs no write: the versions that it names are the template's owner's from then on.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	if o.environment == nil {
		return binding.Plan{Problem: o.problem}
	}
	plan := o.outlook(b, now)
	if b.Spec.DeletionPolicy != v1alpha1.BindingDeletionLeave {
		o.planRestore(b, &plan)
		if plan.Write == nil && plan.Problem == nil {
			plan.Upkeep = o.prune(b)
		}
	}
	if plan.Write == nil && o.environment.Status == batch.Updating && b.Status.AppliedSnapshotID != "" {
		// Where the name that came back is $Default, nothing says that the update is ours.
		plan.Progress = o.progress(b)
	}
	return plan
}

// unread says why there is nothing to plan.
func (o *observation) unread(b *v1alpha1.NodeClassBinding) *binding.Problem {
	if o.problem != nil {
		return o.problem
	}
	return missing(b.Spec.Target.BatchComputeEnvironment.Name)
}

func (o *observation) planRestore(b *v1alpha1.NodeClassBinding, plan *binding.Plan) {
	changes := make([]change, 0, len(o.uses))
	for _, one := range o.uses {
		if one.problem != nil && one.problem.Reason != v1alpha1.ReasonTemplateNotFound {
			plan.Problem = one.problem
			return
		}
		next, problem := one.without(b)
		if problem != nil {
			plan.Problem = problem
			return
		}
		changes = append(changes, next)
	}
	o.planChanges(plan, changes)
}

// planChanges plans one update of all templates if any of them changes: an override that an update leaves out is removed.
func (o *observation) planChanges(plan *binding.Plan, changes []change) {
	for i, one := range changes {
		if one.changes(o.uses[i]) {
			plan.Write = &write{environment: o.environment, changes: changes}
		}
	}
	for i := range plan.Pools {
		if plan.Write != nil {
			plan.Pools[i].Staying = o.environment.DesiredVCPUs
		}
	}
}

// prune plans to delete the versions of this binding that nothing needs any more.
func (o *observation) prune(b *v1alpha1.NodeClassBinding) binding.Write {
	if o.environment.Status != batch.Valid {
		return nil
	}
	keep := map[string][]int64{}
	for _, one := range o.uses {
		keep[one.history.Template.ID] = append(keep[one.history.Template.ID], one.current().Number)
	}
	superfluous := map[string][]int64{}
	for _, one := range o.uses {
		id := one.history.Template.ID
		if numbers := one.history.Prunable(b.UID, keep[id]...); len(numbers) > 0 {
			superfluous[id] = numbers
		}
	}
	if len(superfluous) == 0 {
		return nil
	}
	return pruning(superfluous)
}

// isOurs tells whether every template is named by a version that was made for the binding, or left to it, under whatever
// name.
func (o *observation) isOurs(b *v1alpha1.NodeClassBinding) bool {
	return !slices.ContainsFunc(o.uses, func(one use) bool { return one.isOthers(b) })
}

// inPlace returns the snapshot that all instances boot with, or are to once Batch is done; empty when they differ.
func (o *observation) inPlace(device string) string {
	common := ""
	for i, one := range o.uses {
		id := one.history.SnapshotOf(one.current().Number, device)
		if !one.isNumbered() || i > 0 && id != common {
			return ""
		}
		common = id
	}
	return common
}

// unknownUser stands for whoever changed an environment: Batch does not tell who did.
const unknownUser = "another user of AWS"

// takenBackBy returns who changed the templates since Larder wrote them: as far as it can be told, who made the version that
// is named instead. It is empty when nobody did, and while Batch is changing the environment.
func (o *observation) takenBackBy(b *v1alpha1.NodeClassBinding) string {
	applied := b.Status.AppliedSnapshotID
	if applied == "" || b.Status.AppliedTime == nil || isChanging(o.environment) {
		return ""
	}
	device := b.Spec.Target.BatchComputeEnvironment.Device.Name
	for _, one := range o.uses {
		current := one.current()
		switch ours := one.isOurs(b); {
		case ours && one.history.SnapshotOf(current.Number, device) == applied:
		case !ours && current.CreatedBy != "" && current.CreateTime.After(b.Status.AppliedTime.Time):
			return current.CreatedBy
		default:
			return unknownUser
		}
	}
	return ""
}

// remedy says how Terraform is told to leave the versions alone.
// https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle#ignore_changes
func remedy(name string) string {
	return fmt.Sprintf("in Terraform, add to the aws_batch_compute_environment of %s lifecycle { ignore_changes = "+
		"[compute_resources[0].launch_template] }; with anything else, leave its launch template out", name)
}
