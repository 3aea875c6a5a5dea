package binding

import (
	"context"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// Source finds snapshots. A *Problem says why nodes cannot boot from one; an error is for trying again.
type Source interface {
	// Wanted returns the snapshot that the binding's spec asks for. With a problem it returns what is known of it, the
	// ID if nothing else.
	Wanted(ctx context.Context, b *v1alpha1.NodeClassBinding) (Snapshot, *Problem, error)
	// ByID returns a snapshot that the binding's status names.
	ByID(ctx context.Context, b *v1alpha1.NodeClassBinding, id string) (Snapshot, *Problem, error)
}

// facts are what a pass knows. Everything is read once, before anything is decided.
type facts struct {
	// wanted is what the spec asks for; unavailable says why nodes cannot boot from it.
	wanted      Snapshot
	unavailable *Problem
	// lost is what AWS says of the applied snapshot if it is gone for good; nil while nodes can boot with it, and while
	// nobody can tell.
	lost *Problem
	// earlier are the usable ones of those snapshots, by id, that the target may have to go back to or stay with.
	earlier map[string]Snapshot
	// holder is the binding that holds the device instead; nil when this one may have it.
	holder *v1alpha1.NodeClassBinding
	// kind is the binding's target, subject what the binding holds of it, and target how it was found.
	kind    Target
	subject Subject
	target  Observation
}

// observe reads the target last: to ask AWS can take seconds, and a node that was launched meanwhile has to be seen.
func (r *Reconciler) observe(ctx context.Context, binding *v1alpha1.NodeClassBinding) (facts, error) {
	f := facts{earlier: map[string]Snapshot{}}
	var err error
	if f.wanted, f.unavailable, err = r.Source.Wanted(ctx, binding); err != nil {
		return f, err
	}
	for _, id := range mayNeed(&binding.Status) {
		snapshot, problem, err := r.Source.ByID(ctx, binding, id)
		if err != nil {
			return f, err
		}
		switch {
		case problem == nil:
			f.earlier[id] = snapshot
		case id == binding.Status.AppliedSnapshotID && isLoss(problem):
			f.lost = problem
		}
	}
	return f, r.observeTarget(ctx, binding, &f)
}

// observeTarget reads what a deletion needs, which no snapshot can hold up.
func (r *Reconciler) observeTarget(ctx context.Context, binding *v1alpha1.NodeClassBinding, f *facts) error {
	f.kind, f.subject = r.Targets.of(binding)
	sameTarget, err := Of(ctx, r.Client, f.subject.Kind, f.subject.Name)
	if err != nil {
		return err
	}
	f.holder = r.Targets.holderOf(binding, sameTarget)
	f.target, err = f.kind.Observe(ctx, binding, Heard)
	return err
}

// isLoss tells a snapshot that is gone for good from what passes: a call that is throttled, a key that is disabled.
func isLoss(problem *Problem) bool {
	switch problem.Reason {
	case v1alpha1.ReasonSnapshotNotFound, v1alpha1.ReasonSnapshotArchived, v1alpha1.ReasonSnapshotFailed:
		return true
	}
	return false
}

// mayNeed returns the snapshots whose fate a decision may rest upon: the applied one, which may be lost at any time, and
// the last known good one as long as the applied one may turn out to be bad.
func mayNeed(status *v1alpha1.NodeClassBindingStatus) []string {
	applied, good := status.AppliedSnapshotID, status.LastKnownGoodSnapshotID
	switch {
	case applied == "":
		return nil
	case good == "" || good == applied:
		return []string{applied}
	default:
		return []string{applied, good}
	}
}

// refOf returns the name of the ImageCacheSnapshot that a binding refers to; empty for a snapshot of another origin.
func refOf(binding *v1alpha1.NodeClassBinding) string {
	if binding.Spec.Snapshot.Ref == nil {
		return ""
	}
	return binding.Spec.Snapshot.Ref.Name
}

// WholeGiB rounds a size up to whole GiB, which is what EBS sizes are.
func WholeGiB(size resource.Quantity) int64 {
	const gib = 1 << 30
	return (size.Value() + gib - 1) / gib
}
