package ecsservice

import (
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// PlanWithout implements binding.Observation. The record goes with the volume: what a later Plan finds then is what it has
// to record.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	if o.problem != nil {
		return binding.Plan{Problem: o.problem}
	}
	return o.planRestore(b, now, false)
}

// PlanEnd implements binding.Observation. With a service that is gone, or on its way out, goes all there was to restore.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	switch {
	case o.problem == nil:
		return o.planRestore(b, now, b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave)
	case o.problem.Reason == v1alpha1.ReasonTargetUnreadable:
		return binding.Plan{Problem: o.problem}
	}
	return binding.Plan{}
}

// planRestore takes Larder's volume out of the service, and the record of it. A volume that somebody changed since is
// theirs: only the record goes, as it does when the volume is to be left.
func (o *observation) planRestore(b *v1alpha1.NodeClassBinding, now time.Time, leaves bool) binding.Plan {
	v, problem := o.view(b, now)
	plan := v.outlook("")
	w := v.write()
	w.untag = tagKeys(v.target.VolumeName)
	switch {
	case leaves && (problem != nil || v.record.exists), v.record.exists && !v.record.hasWritten(v.current):
		plan.Write = w
		plan.Pools, plan.Busy = nil, nil // no task is replaced
	case problem != nil:
		plan.Problem = problem
	case v.record.exists:
		w.updates, w.volumes = true, v.record.restored(*v.current)
		plan.Write = w
	}
	return plan
}
