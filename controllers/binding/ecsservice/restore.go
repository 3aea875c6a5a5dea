package ecsservice

import (
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// PlanWithout implements binding.Observation. The record stays, since the volume of before is what it tells of.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	if o.problem != nil {
		return binding.Plan{Problem: o.problem}
	}
	v, problem := o.view(b, now)
	plan := v.outlook("")
	if plan.Problem = problem; problem == nil {
		v.planRestore(&plan)
	}
	return plan
}

// PlanEnd implements binding.Observation. The record goes when the volume of before is there again, or somebody else's. When
// Larder's is to stay, it stays too: the next binding would otherwise take a snapshot of Larder, which will be deleted one
// day, for what was there before. With a service that is gone, or on its way out, goes all there was to restore.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	switch {
	case o.problem == nil:
	case o.problem.Reason == v1alpha1.ReasonTargetUnreadable:
		return binding.Plan{Problem: o.problem}
	default:
		return binding.Plan{}
	}
	v, problem := o.view(b, now)
	plan := v.outlook("")
	if b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave {
		return plan
	}
	if plan.Problem = problem; problem != nil {
		return plan
	}
	v.planRestore(&plan)
	isRestoring := plan.Busy != nil && v.isOurs("")
	if v.record.exists && plan.Write == nil && !isRestoring {
		w := v.write()
		w.untag = tagKeys(v.target.VolumeName)
		plan.Write, plan.Pools, plan.Busy = w, nil, nil // no task is replaced
	}
	return plan
}

// planRestore plans to take Larder's volume out of the service. A volume that somebody changed since is theirs.
func (v view) planRestore(plan *binding.Plan) {
	if !v.record.exists || !v.record.hasWritten(v.current) {
		return
	}
	w := v.write()
	w.updates, w.volumes = true, v.record.restored(*v.current)
	plan.Write = w
}
