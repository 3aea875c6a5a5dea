package ecsservice

import (
	"fmt"
	"slices"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

// stranger is who changed a service: ECS does not tell.
const stranger = "another user of AWS"

// view is an observation from the side of one binding.
type view struct {
	*observation
	binding *v1alpha1.NodeClassBinding
	target  *v1alpha1.ECSServiceTarget
	now     time.Time
	record  record
	// current is the volume as new tasks get it, and asked as it was last asked for; nil when it is not configured.
	current, asked *ecs.Volume
}

// view reads the record. Without one that can be read it says why.
func (o *observation) view(b *v1alpha1.NodeClassBinding, now time.Time) (view, *binding.Problem) {
	target := b.Spec.Target.ECSService
	v := view{
		observation: o, binding: b, target: target, now: now,
		current: find(o.service.Primary().Volumes, target.VolumeName),
		asked:   find(o.latest.Volumes, target.VolumeName),
	}
	var err error
	if v.record, err = readRecord(o.service.Tags, target.VolumeName); err != nil {
		return v, invalid("%v of %s: remove the tag, and Larder takes the volume as it is now for the original", err, nameOf(target))
	}
	return v, nil
}

// Plan implements binding.Observation.
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, now time.Time) binding.Plan {
	if o.problem != nil {
		return binding.Plan{Problem: o.problem}
	}
	v, problem := o.view(b, now)
	plan := v.outlook(snapshot.ID)
	if problem == nil {
		problem, plan.Warnings = o.check(b, snapshot)
	}
	if plan.Problem = problem; problem != nil {
		return plan
	}
	own := v.current // what the service itself says of the volume, as opposed to what Larder wrote
	if v.record.hasWritten(v.current) {
		own = v.record.former
	}
	wanted, problem := desired(v.target, v.current, own, snapshot)
	if plan.Problem = problem; problem != nil || snapshot.ID == "" || v.isAskedFor(wanted) {
		return plan
	}
	next := v.record.taking(v.current, wanted, b)
	tags, problem := next.tags(v.target.VolumeName)
	if plan.Problem = problem; problem != nil {
		return plan
	}
	w := v.write()
	w.tags, w.updates, w.volumes = tags, true, []ecs.Volume{wanted} // a task has but one that is configured at launch
	plan.Write = w
	plan.TakenBackBy = v.takenBackBy()
	return plan
}

// isAskedFor tells whether the volume is in place, or being put there.
func (v view) isAskedFor(wanted ecs.Volume) bool {
	return same(v.current, wanted) || v.latest.State == ecs.Deploying && same(v.asked, wanted)
}

func (v view) write() *write {
	return &write{target: v.target, arn: v.service.ARN, primary: v.service.Primary().ID}
}

// outlook is what a plan says before anything is planned. A snapshot that is about to be planned is Larder's too.
func (v view) outlook(snapshotID string) binding.Plan {
	plan := binding.Plan{InPlace: v.inPlace(), Pools: v.pools(), Health: v.health(), Remedy: v.remedy()}
	plan.Busy, plan.Progress = v.progress(snapshotID)
	return plan
}

// inPlace is what was last asked for also while ECS is at work on that, and after it gave it up, until the binding turned
// to another one.
func (v view) inPlace() string {
	switch {
	case v.latest.State == ecs.Deploying, v.isUndone():
		return snapshotOf(v.asked)
	default:
		return snapshotOf(v.current)
	}
}

// isUndone tells that ECS gave up what this binding asked for, and that nobody has answered that yet.
func (v view) isUndone() bool {
	id, status := snapshotOf(v.asked), &v.binding.Status
	answered := id != "" && id == status.RejectedSnapshotID && id != status.AppliedSnapshotID
	return v.latest.State == ecs.Undone && v.isOurs("") && !answered
}

// isOurs tells whether what was last asked for is what Larder asked for, one of its snapshots or the volume of before, and
// not what somebody else did while the volume stayed as it was.
func (v view) isOurs(snapshotID string) bool {
	id := snapshotOf(v.asked)
	larders := slices.Concat(v.record.applied, larders(v.binding), []string{snapshotID})
	if !v.record.exists || (id == "" || !slices.Contains(larders, id)) && !v.record.isFormer(v.asked) {
		return false
	}
	ranAlready := func(before []ecs.Volume) bool { return equal(find(before, v.target.VolumeName), v.asked) }
	wentBack := v.latest.State == ecs.Undone && !equal(v.current, v.asked)
	return wentBack || len(v.latest.Before) == 0 || !allOf(v.latest.Before, ranAlready)
}

func allOf(revisions [][]ecs.Volume, holds func([]ecs.Volume) bool) bool {
	return !slices.ContainsFunc(revisions, func(volumes []ecs.Volume) bool { return !holds(volumes) })
}

// takenBackBy tells who has the service run without Larder's volume, as soon as that is asked for. What ECS itself went back
// to is nobody's.
func (v view) takenBackBy() string {
	asked := snapshotOf(v.asked)
	isOurs := asked != "" && slices.Contains(slices.Concat(v.record.applied, larders(v.binding)), asked)
	if v.binding.Status.AppliedSnapshotID == "" || isOurs || v.record.hasWritten(v.current) {
		return ""
	}
	return stranger
}

// remedy is for Terraform, which may also remove tags that it does not know.
// https://registry.terraform.io/providers/hashicorp/aws/latest/docs/guides/resource-tagging#ignoring-changes-in-all-resources
func (v view) remedy() string {
	return fmt.Sprintf("in Terraform, add lifecycle { ignore_changes = [volume_configuration] } to the aws_ecs_service of %s, and "+
		"ignore_tags { key_prefixes = [\"larder.dev/\"] } to the provider", nameOf(v.target))
}

// pools count tasks as nodes: those of the newest deployment stay, and the others are being replaced already.
func (v view) pools() []binding.Pool {
	pool := binding.Pool{Name: v.service.Name}
	applied := v.binding.Status.AppliedSnapshotID
	for _, deployment := range v.service.Deployments {
		tasks := deployment.Running + deployment.Pending
		if applied != "" && snapshotOf(find(deployment.Volumes, v.target.VolumeName)) == applied {
			pool.Current += tasks
		} else {
			pool.Outdated += tasks
		}
		if deployment.Primary {
			pool.Staying += tasks
		}
	}
	return []binding.Pool{pool}
}
