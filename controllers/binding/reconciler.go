package binding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// What the controller may do, and no more. The status is written by merge patch, so it needs no update.
//
// +kubebuilder:rbac:groups=larder.dev,resources=nodeclassbindings,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=larder.dev,resources=nodeclassbindings/status,verbs=patch
// +kubebuilder:rbac:groups=larder.dev,resources=imagecachesnapshots,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Finalizer keeps a binding until its target is as it was before.
const Finalizer = "larder.dev/binding"

// Reconciler reconciles NodeClassBindings.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Reader reads from the API server. A pass starts from the binding's newest status: an older one would forget
	// what was just written, and take it for somebody else's.
	Reader client.Reader
	// Recorder tells users what changed.
	Recorder events.EventRecorder
	// Clock tells the time.
	Clock clock.PassiveClock
	// Source finds the snapshots that bindings ask for.
	Source Source
	// Targets are the kinds of targets that bindings may have.
	Targets Targets
}

// afterConflict is when a pass is made again that somebody's change of the binding came between: long enough for a person's
// second command. No watch may tell of that change, since not every one asks for a pass.
const afterConflict = time.Second

// errOutdated is why what a pass found out about a binding could not be written.
var errOutdated = errors.New("it changed meanwhile")

// Reconcile makes one pass over one binding.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	result, err := r.pass(ctx, request)
	if errors.Is(err, errOutdated) {
		return ctrl.Result{RequeueAfter: afterConflict}, nil
	}
	return result, err
}

func (r *Reconciler) pass(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	binding := &v1alpha1.NodeClassBinding{}
	if err := r.Reader.Get(ctx, request.NamespacedName, binding); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !binding.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, binding)
	}
	// The finalizer comes before the first write to the target: a binding that is deleted right after that write
	// must still be there to restore it.
	if err := r.setFinalizer(ctx, binding, true); err != nil {
		return ctrl.Result{}, err
	}
	return r.apply(ctx, binding)
}

func (r *Reconciler) apply(ctx context.Context, binding *v1alpha1.NodeClassBinding) (result ctrl.Result, err error) {
	before := binding.DeepCopy()
	defer func() {
		if patchErr := r.patchStatus(ctx, before, binding); patchErr != nil {
			// Not joined with err: a terminal error inside would keep the pass from being repeated.
			result, err = ctrl.Result{}, patchErr
		}
	}()

	f, err := r.observe(ctx, binding)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.Clock.Now()
	d := decide(binding, f, now)
	if d.write != nil {
		if f.target, err = f.kind.Observe(ctx, binding, Live); err != nil {
			return ctrl.Result{}, err
		}
		d = decide(binding, f, now)
	}
	if before, err = r.recordRejection(ctx, before, binding, d); err != nil {
		return ctrl.Result{}, err
	}
	failure := act(ctx, f.kind, &d)
	mark(binding, d, now)
	r.announce(before, binding, d, failure)
	return conclude(ctx, before, binding, d, f.kind, failure)
}

// recordRejection notes that a snapshot is bad before it is taken out. Were that forgotten in between, because the
// operator ends, the next pass would find another one in place and write the bad one again. It returns the binding as
// the API server has it now.
func (r *Reconciler) recordRejection(ctx context.Context, before, binding *v1alpha1.NodeClassBinding, d decision) (*v1alpha1.NodeClassBinding, error) {
	status := &binding.Status
	if d.write == nil || d.upkeep || d.trial.rejected == "" || d.trial.rejected == status.RejectedSnapshotID {
		return before, nil
	}
	status.RejectedSnapshotID, status.RejectedBecause = d.trial.rejected, d.trial.because
	d.trial.forgetLost(status)
	if err := r.patchStatus(ctx, before, binding); err != nil {
		return before, err
	}
	return binding.DeepCopy(), nil
}

// act carries out the decision's write, and turns a failure that a user can read into the decision's problem.
func act(ctx context.Context, on Target, d *decision) error {
	if d.write == nil {
		return nil
	}
	err := on.Act(ctx, d.write)
	if err == nil {
		return nil
	}
	d.failed = true
	if !d.upkeep {
		d.waiting = d.goal
	}
	if errors.As(err, &d.unapplied) {
		return nil
	}
	d.unapplied = &Problem{Reason: v1alpha1.ReasonWriteFailed, Message: err.Error(), Cause: err}
	return err
}

// defaultInterval is snapshot.interval where the API server did not fill it in.
const defaultInterval = 10 * time.Minute

// conclude says when to look again: when time solves what is the matter, when a trial ends, and after the interval, since
// no watch tells of what changes in AWS. A problem that needs a person is logged when it is new. It ends in a terminal
// error where a watch tells that the person has acted; else only looking again does.
func conclude(ctx context.Context, before, binding *v1alpha1.NodeClassBinding, d decision, kind Target, failure error) (ctrl.Result, error) {
	if failure != nil {
		return ctrl.Result{}, failure
	}
	next := d.retryAfter()
	_, watches := kind.(Watcher)
	if d.write != nil && !d.failed && !watches {
		next = soonest(next, lookAgain) // for what the platform makes of it
	}
	if problem := d.foremost(); problem != nil && problem.Stalled {
		isNew := !hasStalledBefore(before, binding) // passes come with every word of the platform
		switch {
		case next == 0 && watches && refOf(binding) != "" && isNew:
			return ctrl.Result{}, reconcile.TerminalError(problem)
		case next == 0 && watches && refOf(binding) != "":
			return ctrl.Result{}, nil
		case isNew:
			ctrl.LoggerFrom(ctx).Error(problem, "a person has to act; looking again all the same")
		}
	}
	interval := binding.Spec.Snapshot.Interval.Duration
	return ctrl.Result{RequeueAfter: soonest(next, cmp.Or(interval, defaultInterval))}, nil
}

// retryAfter is when time alone may change something; zero when it does not.
func (d decision) retryAfter() time.Duration {
	next := soonest(d.trial.retryAfter, d.observed.Health.RetryAfter)
	for _, problem := range []*Problem{d.unavailable, d.unfit, d.unapplied, d.unhealthy, d.observed.Busy} {
		if problem != nil {
			next = soonest(next, problem.RetryAfter)
		}
	}
	if d.observed.Progress != "" {
		next = soonest(next, lookAgain)
	}
	return next
}

// hasStalledBefore tells whether the pass before ended with the same words.
func hasStalledBefore(before, binding *v1alpha1.NodeClassBinding) bool {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionStalled)
	is := meta.FindStatusCondition(binding.Status.Conditions, v1alpha1.ConditionStalled)
	return was != nil && was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message
}

// soonest returns the shorter of two times to wait, of which zero is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (r *Reconciler) setFinalizer(ctx context.Context, binding *v1alpha1.NodeClassBinding, present bool) error {
	before := binding.DeepCopy()
	change := controllerutil.RemoveFinalizer
	if present {
		change = controllerutil.AddFinalizer
	}
	if !change(binding, Finalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, binding, patch); err != nil {
		return fmt.Errorf("writing the finalizer of NodeClassBinding %s: %w", binding.Name, outdated(err))
	}
	return nil
}

func (r *Reconciler) patchStatus(ctx context.Context, before, binding *v1alpha1.NodeClassBinding) error {
	if equalStatus(&before.Status, &binding.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := client.IgnoreNotFound(r.Client.Status().Patch(ctx, binding, patch)); err != nil {
		return fmt.Errorf("writing the status of NodeClassBinding %s: %w", binding.Name, outdated(err))
	}
	return nil
}

// outdated tells a conflict over the binding from one over its target, which the status speaks of.
func outdated(err error) error {
	if apierrors.IsConflict(err) {
		return fmt.Errorf("%w: %w", errOutdated, err)
	}
	return err
}
