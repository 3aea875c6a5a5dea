package volumesnapshot

import (
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// PlanWithout implements binding.Observation. Before the binding there was nothing.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	plan := o.outlook(b, now)
	if plan.Problem = o.problem; plan.Problem == nil {
		o.planRemoval(b, &plan, now)
	}
	return plan
}

// PlanEnd implements binding.Observation. Without the kinds there is nothing left.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	plan := o.outlook(b, now)
	switch {
	case o.problem != nil && o.problem.Reason == v1alpha1.ReasonTargetKindMissing:
	case o.problem != nil:
		plan.Problem = o.problem
	case b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave:
		if w := o.leave(b); !w.isEmpty() {
			plan.Write = w
		}
	default:
		o.planRemoval(b, &plan, now)
	}
	return plan
}

func (o *observation) planRemoval(b *v1alpha1.NodeClassBinding, plan *binding.Plan, now time.Time) {
	w := &write{key: o.key}
	if ours := o.ours(b); ours != nil && canDelete(ours) {
		w.deletes = ours
	}
	for i := range o.contents {
		w.drop(&o.contents[i])
	}
	if w.isEmpty() {
		return
	}
	w.retains = o.unretained()
	plan.Write, plan.Busy = w, o.busy(b, now)
}

// leave takes Larder's marks off what new claims are made from, and deletes what was kept for a way back.
func (o *observation) leave(b *v1alpha1.NodeClassBinding) *write {
	w := &write{key: o.key, leaves: o.ours(b)}
	for i := range o.contents {
		content := &o.contents[i]
		if w.leaves != nil && content.Name == sourceOf(w.leaves) {
			w.leavesContent = content
		} else {
			w.drop(content)
		}
	}
	if len(w.drops) > 0 {
		w.retains = o.unretained()
	}
	return w
}
