package launchtemplate

import (
	"reflect"
	"strconv"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Plan implements binding.Observation.
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, now time.Time) binding.Plan {
	places, problem := o.places(b)
	plan := o.outlook(b, places)
	if plan.Problem = problem; problem != nil {
		return plan
	}
	from := newest(places)
	want := o.want(b, from, snapshot.ID)
	step, problem := o.history.With(want, snapshot)
	if plan.Problem, plan.Warnings = o.preflight(b, snapshot, want, step); problem != nil {
		plan.Problem = problem
	}
	if plan.Problem != nil || snapshot.ID == "" {
		plan.Busy = o.busy(b, step, now)
		return plan
	}
	w := o.change(b, step, change{goesBack: true})
	o.fill(b, &plan, w, now)
	if plan.Write != nil {
		plan.TakenBackBy, plan.Remedy = o.takenBack(b, places, snapshot.ID)
		plan.Recreated = o.isRecreated(b)
	} else {
		plan.Upkeep = o.prune(b, step.Number)
	}
	return plan
}

// PlanWithout implements binding.Observation.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	places, problem := o.places(b)
	plan := o.outlook(b, places)
	if plan.Problem = problem; problem != nil {
		return plan
	}
	step, problem := o.history.Without(o.want(b, newest(places), ""))
	if plan.Problem = problem; problem != nil {
		return plan
	}
	o.fill(b, &plan, o.change(b, step, change{restores: true}), now)
	return plan
}

// PlanEnd implements binding.Observation. What is gone, or launches by something else by now, has nothing of Larder's left.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	if o.problem != nil {
		if o.problem.Reason == v1alpha1.ReasonTemplateNotFound {
			return binding.Plan{}
		}
		return binding.Plan{Problem: o.problem}
	}
	places := o.existing(b)
	plan := o.outlook(b, places)
	from := o.ours(b, places)
	if from.launching == 0 || b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave {
		plan.Pools = nil
		return plan
	}
	step, problem := o.history.Without(o.want(b, from, ""))
	if plan.Problem = problem; problem != nil {
		return plan
	}
	o.fill(b, &plan, o.change(b, step, change{restores: true}), now)
	if plan.Write == nil && plan.Busy == nil && plan.Progress == "" {
		plan.Upkeep = o.prune(b, step.Number) // once no instance needs them any more
	}
	return plan
}

// ours returns the place to take Larder's device out of: the newest that launches by a version with it. Others may launch by
// the latest or the default version.
func (o *observation) ours(b *v1alpha1.NodeClassBinding, places []place) place {
	var mine []place
	for _, one := range append(places, o.own(latestVersion, template.Latest, true), o.own(defaultVersion, template.Default, true)) {
		if o.carries(b, one.launching) {
			one.consumes = true
			mine = append(mine, one)
		}
	}
	return newest(mine)
}

func (o *observation) want(b *v1alpha1.NodeClassBinding, from place, snapshotID string) template.Want {
	version, found := o.history.Resolve(strconv.FormatInt(from.launching, 10))
	if !found {
		version = launch.Version{Number: from.launching}
	}
	want := template.Want{
		Binding: b.UID, From: version, Device: b.Spec.Target.LaunchTemplate.Device, Was: o.former(b, from), NewerThan: from.launching,
		MayName: []string{b.Status.AppliedSnapshotID, b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, snapshotID},
	}
	for i := range o.groups {
		// A version whose refresh failed is not brought again: another number tells the two attempts apart.
		if desired, brings := o.desired(&o.groups[i]); brings && !o.groups[i].refresh.IsActive() && !o.groups[i].refresh.HasSucceeded() {
			want.NewerThan = max(want.NewerThan, desired)
		}
	}
	return want
}

// outlook is what a plan says before anything is planned.
func (o *observation) outlook(b *v1alpha1.NodeClassBinding, places []place) binding.Plan {
	plan := binding.Plan{InPlace: o.inPlace(b, places)}
	plan.Health = o.health(b, plan.InPlace)
	plan.Pools = o.pools(b, nil)
	plan.Progress = o.progress(b)
	return plan
}

// fill adds what is to be written, and what keeps it from being written.
func (o *observation) fill(b *v1alpha1.NodeClassBinding, plan *binding.Plan, w *change, now time.Time) {
	plan.Busy = o.busy(b, w.step, now)
	plan.Pools = o.pools(b, w)
	if !w.isNothing() {
		plan.Write = w
	}
}

// inPlace is what new instances boot with: the snapshot that all places name, or else one that is not as it was applied.
func (o *observation) inPlace(b *v1alpha1.NodeClassBinding, places []place) string {
	device := b.Spec.Target.LaunchTemplate.Device.Name
	id := ""
	for i, one := range places {
		names := o.history.SnapshotOf(one.asked, device)
		switch {
		case i == 0:
			id = names
		case id == b.Status.AppliedSnapshotID:
			id = names
		}
	}
	return id
}

// takenBack tells who put another version, or another snapshot, in the place of what this binding applied.
func (o *observation) takenBack(b *v1alpha1.NodeClassBinding, places []place, snapshotID string) (by, remedy string) {
	applied := b.Status.AppliedTime
	if applied == nil || snapshotID != b.Status.AppliedSnapshotID {
		return "", ""
	}
	for _, one := range places {
		version, _ := o.history.Resolve(strconv.FormatInt(one.asked, 10))
		if o.names(one.asked, snapshotID, b) {
			continue
		}
		if version.CreatedBy != "" && version.CreateTime.After(applied.Time) && !o.history.IsOurs(b.UID, one.asked) {
			return version.CreatedBy, remedyFor(one)
		}
		return "another user of AWS", remedyFor(one)
	}
	return "", ""
}

// remedyFor is about what Terraform would have to ignore.
func remedyFor(one place) string {
	if one.who == defaultVersion || one.who == latestVersion || one.called == template.Latest || one.called == template.Default {
		return "if Terraform manages the launch template, add lifecycle { ignore_changes = [block_device_mappings, description, " +
			"default_version, update_default_version] } to its aws_launch_template"
	}
	return "if Terraform manages the group, add lifecycle { ignore_changes = [launch_template[0].version, mixed_instances_policy] } to its " +
		"aws_autoscaling_group"
}

// isRecreated tells that the template, or a group, was made after the snapshot was applied.
func (o *observation) isRecreated(b *v1alpha1.NodeClassBinding) bool {
	if b.Status.AppliedTime == nil {
		return false
	}
	applied := b.Status.AppliedTime.Time
	for _, one := range o.groups {
		if one.CreatedTime.After(applied) {
			return true
		}
	}
	for _, version := range o.history.Versions {
		if !version.CreateTime.After(applied) {
			return false
		}
	}
	return true
}

// deviceOf returns a version's mapping of the binding's device; nil for none.
func (o *observation) deviceOf(b *v1alpha1.NodeClassBinding, number int64) *launch.Device {
	version, _ := o.history.Resolve(strconv.FormatInt(number, 10))
	return find(version.Devices, b.Spec.Target.LaunchTemplate.Device.Name)
}

func find(devices []launch.Device, name string) *launch.Device {
	for i := range devices {
		if devices[i].Name == name {
			return &devices[i]
		}
	}
	return nil
}

// brings returns the device as it is once a step is made.
func (o *observation) brings(b *v1alpha1.NodeClassBinding, step template.Step) *launch.Device {
	if step.Publish != nil {
		return find(step.Publish.Devices, b.Spec.Target.LaunchTemplate.Device.Name)
	}
	return o.deviceOf(b, step.Number)
}

// isOutdated tells that an instance was launched with another device than a change brings. One to restore has Larder's.
func (o *observation) isOutdated(b *v1alpha1.NodeClassBinding, instance launch.Instance, w *change) bool {
	switch {
	case instance.IsLeaving() || instance.TemplateID != o.history.Template.ID && w.restores:
		return false
	case w.restores && !o.carries(b, instance.Version):
		return false
	default:
		return instance.TemplateID != o.history.Template.ID || !reflect.DeepEqual(o.deviceOf(b, instance.Version), o.brings(b, w.step))
	}
}
