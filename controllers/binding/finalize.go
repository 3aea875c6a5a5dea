package binding

import (
	"context"
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
	d := decideEnd(binding, f, now)
	if d.write != nil {
		var err error
		if f.target, err = f.kind.Observe(ctx, binding, Live); err != nil {
			return ctrl.Result{}, err
		}
		d = decideEnd(binding, f, now)
	}
	failure := act(ctx, f.kind, &d)
	if d.foremost() == nil {
		if d.write != nil {
			r.event(binding, corev1.EventTypeNormal, v1alpha1.ReasonDeleting, fmt.Sprintf("gave %s back", f.subject))
		}
		return ctrl.Result{}, client.IgnoreNotFound(r.setFinalizer(ctx, binding, false))
	}
	before := binding.DeepCopy()
	markDeletion(binding, d, now)
	r.announce(before, binding, d, failure)
	if err := r.patchStatus(ctx, before, binding); err != nil {
		return ctrl.Result{}, err
	}
	return conclude(before, binding, d, failure)
}

// decideEnd is pure. A binding that does not hold the device wrote nothing that it could take back.
func decideEnd(binding *v1alpha1.NodeClassBinding, f facts, now time.Time) decision {
	if f.holder != nil {
		return decision{}
	}
	d := decision{subject: f.subject, asked: isAsked(binding), rival: binding.Status.Rival}
	plan := f.target.PlanEnd(binding, now)
	if d.unfit = plan.Problem; plan.Problem != nil || plan.Write == nil {
		return d
	}
	g := goal{subject: f.subject, plan: plan, purpose: restore}
	if d.unapplied = mayWrite(binding, g, d.asked, now); d.unapplied != nil {
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
