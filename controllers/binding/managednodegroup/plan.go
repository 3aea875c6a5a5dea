package managednodegroup

import (
	"fmt"
	"slices"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Plan implements binding.Observation.
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, now time.Time) binding.Plan {
	if o.problem != nil {
		return binding.Plan{Problem: o.problem}
	}
	plan := o.outlook(b, now)
	if plan.Problem = o.degraded(b); plan.Problem != nil {
		return plan
	}
	want := o.want(b, snapshot.ID)
	step, problem := o.history.With(want, snapshot)
	if plan.Problem, plan.Warnings = o.preflight(b, snapshot, want, step); problem != nil {
		plan.Problem = problem
	}
	if plan.Problem != nil || snapshot.ID == "" {
		return plan
	}
	o.write(b, &plan, want, step)
	if plan.Write != nil && plan.Busy == nil {
		plan.TakenBackBy = o.takenBackBy(b)
	}
	plan.Upkeep = o.pruning(b, plan, b.Status.LastKnownGoodSnapshotID)
	return plan
}

// PlanWithout implements binding.Observation.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	if o.problem != nil {
		return binding.Plan{Problem: o.problem}
	}
	plan := o.outlook(b, now)
	o.planRestore(b, &plan)
	return plan
}

// PlanEnd implements binding.Observation. Of a group that is gone, or without its template, nothing can be restored, and
// nothing was written where no version is of this binding.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	switch {
	case o.problem != nil && o.problem.Reason == v1alpha1.ReasonTargetUnreadable:
		return binding.Plan{Problem: o.problem}
	case o.problem != nil || !o.hasWritten(b):
		return binding.Plan{}
	}
	plan := o.outlook(b, now)
	if b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave {
		return plan
	}
	o.planRestore(b, &plan)
	if plan.Problem == nil && plan.Progress == "" {
		plan.Upkeep = o.pruning(b, plan, "")
	}
	return plan
}

// hasWritten tells whether the template has a version that was made for the binding, or the group is on one that was left to
// it.
func (o *observation) hasWritten(b *v1alpha1.NodeClassBinding) bool {
	return o.history.IsLeftTo(b, deviceOf(b).Name, o.current().Number) || slices.ContainsFunc(o.history.Versions, func(one launch.Version) bool { return o.history.IsOurs(b.UID, one.Number) })
}

// planRestore plans a version in which the device is what it was. The version that the group was on is never gone back to:
// EKS may not take an older one, and its contents may have been right for another AMI.
func (o *observation) planRestore(b *v1alpha1.NodeClassBinding, plan *binding.Plan) {
	want := o.want(b, "")
	step, problem := o.history.Without(want)
	if plan.Problem = problem; problem != nil {
		return
	}
	o.write(b, plan, want, step)
}

// outlook is what a plan says before anything is planned.
func (o *observation) outlook(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	plan := binding.Plan{
		InPlace: o.inPlace(b), Busy: o.busy(b, now), Health: o.health(b), Recreated: o.isRecreated(b), Remedy: remedy(o.group),
	}
	if update := o.running(); o.isOurs(b, update) {
		plan.Progress = o.working(update)
	}
	plan.Pools = o.pools(b)
	return plan
}

// pools counts nodes by the group's own size: EKS launches them from a template that it makes of ours, so that the nodes do
// not say which version of ours they boot from.
func (o *observation) pools(b *v1alpha1.NodeClassBinding) []binding.Pool {
	pool := binding.Pool{Name: o.group.Name}
	applied := b.Status.AppliedSnapshotID
	if applied != "" && o.running() == nil && o.snapshotOf(b, o.current().Number) == applied {
		pool.Current = o.group.DesiredSize
	} else {
		pool.Outdated = o.group.DesiredSize
	}
	return []binding.Pool{pool}
}

func (o *observation) want(b *v1alpha1.NodeClassBinding, snapshot string) template.Want {
	from := o.underWay(b)
	want := template.Want{
		Binding: b.UID, From: from, Device: *deviceOf(b), RootDevice: rootDevice(o.group), Was: o.group.Template.Version,
		NewerThan: max(from.Number, o.current().Number),
	}
	for _, id := range []string{b.Status.AppliedSnapshotID, b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, snapshot} {
		if id != "" {
			want.MayName = append(want.MayName, id)
		}
	}
	return want
}

// rootDevice returns what EKS's own AMIs boot from; empty when that is not known.
// https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html
func rootDevice(group eks.NodeGroup) string {
	if group.HasCustomAMI() {
		return ""
	}
	return "/dev/xvda"
}

// write adds the update to a plan, unless the group is on the version already, or on its way there.
func (o *observation) write(b *v1alpha1.NodeClassBinding, plan *binding.Plan, want template.Want, step template.Step) {
	if step.Publish == nil && step.Number == want.From.Number {
		return
	}
	next := &update{group: o.group, step: step, force: b.Spec.Target.ManagedNodeGroup.Force, binding: b.UID, tries: map[int64]int{}}
	for _, earlier := range o.updates {
		next.tries[earlier.TemplateVersion]++
	}
	plan.Write = next
	for i := range plan.Pools {
		plan.Pools[i].Staying = o.group.DesiredSize
	}
}

// degraded says that EKS finds the group unhealthy, and that it did before this binding's snapshot came or after that was
// proven. Otherwise the snapshot is what is to be judged: see health.
func (o *observation) degraded(b *v1alpha1.NodeClassBinding) *binding.Problem {
	if o.group.Status != eks.StatusDegraded || o.isOnTrial(b) {
		return nil
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetDegraded, Stalled: true, RetryAfter: afterDenied,
		Message: fmt.Sprintf("%s is DEGRADED%s: it is not written to until EKS finds it healthy", named(o.group), because(o.group.Issues)),
	}
}

func (o *observation) isOnTrial(b *v1alpha1.NodeClassBinding) bool {
	status := b.Status
	isGood := status.LastKnownGoodProven && status.LastKnownGoodSnapshotID == status.AppliedSnapshotID
	return status.AppliedSnapshotID != "" && o.inPlace(b) == status.AppliedSnapshotID && !isGood
}

// longestName is how much of a name the status takes, in bytes.
const longestName = 128

// takenBackBy returns who had the group go to another version since Larder wrote it; empty when nobody did. EKS does not
// say who asked for an update, so that it is who made the version.
func (o *observation) takenBackBy(b *v1alpha1.NodeClassBinding) string {
	current := o.current()
	switch {
	case b.Status.AppliedSnapshotID == "" || o.isRecreated(b) || o.failed(b) != nil:
		return ""
	case o.history.IsOurs(b.UID, current.Number) && !o.wentBack(b, current):
		return ""
	case o.history.IsOurs(b.UID, current.Number) || current.CreatedBy == "":
		return "another user of AWS"
	default:
		return message.Clip(current.CreatedBy, longestName)
	}
}

// wentBack tells whether the group is on an older version of ours than it has been: Larder never asks for one.
func (o *observation) wentBack(b *v1alpha1.NodeClassBinding, current launch.Version) bool {
	for i := range o.updates {
		if update := &o.updates[i]; update.Status == eks.UpdateSuccessful && update.TemplateVersion > current.Number && o.isOurs(b, update) {
			return true
		}
	}
	return false
}

func remedy(group eks.NodeGroup) string {
	return fmt.Sprintf("in Terraform, write lifecycle { ignore_changes = [launch_template[0].version] } into the aws_eks_node_group "+
		"of %s; elsewhere, leave the version of its launch template to Larder", group.Name)
}

// pruning returns the removal of versions that were made for this binding and that nothing needs; nil for none. Versions
// that the group may go to, and those of the snapshot that the binding may go back to, if there is one, stay.
func (o *observation) pruning(b *v1alpha1.NodeClassBinding, plan binding.Plan, wayBack string) binding.Write {
	if plan.Write != nil || plan.Busy != nil {
		return nil
	}
	keep := []int64{o.current().Number}
	if last := o.last(); last != nil {
		keep = append(keep, last.TemplateVersion)
	}
	for _, version := range o.history.Versions {
		snapshot := o.snapshotOf(b, version.Number)
		if snapshot != "" && snapshot == wayBack {
			keep = append(keep, version.Number)
		}
	}
	if numbers := o.history.Prunable(b.UID, keep...); len(numbers) > 0 {
		return &prune{templateID: o.history.Template.ID, numbers: numbers}
	}
	return nil
}
