package binding

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// finalize gives the target back and lets the binding go. It never gets in the way of a target that is gone.
func (r *Reconciler) finalize(ctx context.Context, binding *v1alpha1.NodeClassBinding) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(binding, Finalizer) {
		return ctrl.Result{}, nil
	}
	var f facts
	if err := r.observeTarget(ctx, binding, &f); err != nil {
		return ctrl.Result{}, err
	}
	now := r.Clock.Now()
	before := binding.DeepCopy()
	d, failure, err := r.giveBack(ctx, binding, &f, now)
	if err != nil {
		return ctrl.Result{}, err
	}
	if d.foremost() == nil {
		return ctrl.Result{}, client.IgnoreNotFound(r.setFinalizer(ctx, binding, false))
	}
	markDeletion(binding, d, now)
	r.announce(before, binding, d, failure)
	if err := r.patchStatus(ctx, before, binding); err != nil {
		return ctrl.Result{}, err
	}
	return conclude(ctx, before, binding, d, f.kind, failure)
}

// giveBack makes the one write that is left to do, and returns what is left then: what a platform was asked for it has yet
// to do. failure is one of the write that is for trying again.
func (r *Reconciler) giveBack(ctx context.Context, binding *v1alpha1.NodeClassBinding, f *facts, now time.Time) (d decision, failure, err error) {
	if d = decideEnd(binding, *f, now); d.write == nil {
		return d, nil, nil
	}
	if f.target, err = f.kind.Observe(ctx, binding, Live); err != nil {
		return d, nil, err
	}
	if d = decideEnd(binding, *f, now); d.write == nil || d.upkeep {
		return tidy(ctx, *f, d)
	}
	if failure = act(ctx, f.kind, &d); d.failed {
		return d, failure, nil
	}
	r.event(binding, corev1.EventTypeNormal, v1alpha1.ReasonDeleting, fmt.Sprintf("gave %s back", f.subject))
	markHandled(binding, d)
	if f.target, err = f.kind.Observe(ctx, binding, Live); err != nil {
		return d, nil, err
	}
	if d = decideEnd(binding, *f, now); d.write != nil && !d.upkeep { // AWS may tell of what was before for a while
		d.unapplied, d.waiting = sentences{binding, *d.goal}.restoring(), d.goal
		d.goal, d.write = nil, nil
	}
	return tidy(ctx, *f, d)
}

// tidy takes away what was made for the binding and nothing needs. What a person would have to allow is left behind: it harms
// nobody, and a binding that stays would.
func tidy(ctx context.Context, f facts, d decision) (_ decision, failure, err error) {
	if !d.upkeep {
		return d, nil, nil
	}
	var problem *Problem
	err = f.kind.Act(ctx, d.write)
	if errors.As(err, &problem) {
		ctrl.LoggerFrom(ctx).Error(problem, "left behind what was made for the binding")
		err = nil
	}
	return decision{subject: f.subject}, nil, err
}

// decideEnd is pure. A binding that does not hold the device wrote nothing that it could take back.
func decideEnd(binding *v1alpha1.NodeClassBinding, f facts, now time.Time) decision {
	if f.holder != nil {
		return decision{}
	}
	d := decision{subject: f.subject, asked: isAsked(binding), rival: binding.Status.Rival}
	plan := f.target.PlanEnd(binding, now)
	g := goal{subject: f.subject, plan: plan, purpose: restore}
	leaves := binding.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave
	switch d.unfit = plan.Problem; {
	case plan.Problem != nil, leaves && plan.Write == nil:
		return d
	case plan.Write == nil && plan.Progress == "":
		d.write, d.upkeep = plan.Upkeep, plan.Upkeep != nil
		return d
	case plan.Write == nil:
		d.unapplied = sentences{binding, g}.restoring()
	default:
		d.unapplied = mayWrite(binding, g, d.asked, now)
	}
	if d.unapplied == nil {
		d.unapplied = platformHolds(binding, g, f.target.Plan(binding, Snapshot{}, now), d.asked)
		d.held = d.unapplied != nil
	}
	if d.unapplied != nil {
		d.waiting = &g
		return d
	}
	d.goal, d.write = &g, plan.Write
	return d
}

// markDeletion says why a binding that is being deleted is still there.
func markDeletion(binding *v1alpha1.NodeClassBinding, d decision, now time.Time) {
	m := marker{binding, now}
	if d.unapplied != nil {
		m.set(v1alpha1.ConditionApplied, metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: d.unapplied.Reason, Message: d.unapplied.Message,
		})
	}
	markPending(binding, d, now)
	d.goal, d.inPlace = nil, false // a binding on its way out is not Ready, whatever the target names
	if m.summarise(d) {
		binding.Status.ObservedGeneration = binding.Generation
	}
}
