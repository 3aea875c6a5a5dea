package binding

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	// snapshot is nil when the binding names one that does not exist.
	snapshot *v1alpha1.ImageCacheSnapshot
	// holder is the binding that holds the device instead; nil when this one may have it.
	holder *v1alpha1.NodeClassBinding
	target Observation
}

func (r *Reconciler) observe(ctx context.Context, binding *v1alpha1.NodeClassBinding) (facts, error) {
	var f facts
	snapshot := &v1alpha1.ImageCacheSnapshot{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: refOf(binding)}, snapshot)
	switch {
	case err == nil:
		f.snapshot = snapshot
	case !apierrors.IsNotFound(err):
		return f, fmt.Errorf("reading ImageCacheSnapshot %s: %w", refOf(binding), err)
	}
	kind, name := targetOf(binding)
	sameTarget, err := Of(ctx, r.Client, kind, name)
	if err != nil {
		return f, err
	}
	f.holder = holderOf(binding, sameTarget)
	f.target, err = r.target(binding).Observe(ctx, binding)
	return f, err
}

// refOf returns the name of the ImageCacheSnapshot that a binding refers to; empty for a snapshot of another origin.
func refOf(binding *v1alpha1.NodeClassBinding) string {
	if binding.Spec.Snapshot.Ref == nil {
		return ""
	}
	return binding.Spec.Snapshot.Ref.Name
}

// usable returns the snapshot to boot with. A renewal, or a build for a changed spec, leaves the last completed
// snapshot usable: nodes that boot with yesterday's images are better off than nodes that boot with none. One
// that is being deleted is not: EBS will soon not know it.
func (f facts) usable(name string) (Snapshot, *Problem) {
	switch s := f.snapshot; {
	case s == nil:
		return Snapshot{}, &Problem{
			Reason:  v1alpha1.ReasonSnapshotMissing,
			Message: fmt.Sprintf("ImageCacheSnapshot %s does not exist: create it, or name another in spec.snapshot.ref", name),
		}
	case !s.DeletionTimestamp.IsZero():
		return Snapshot{}, &Problem{
			Reason: v1alpha1.ReasonSnapshotNotReady,
			Message: fmt.Sprintf("ImageCacheSnapshot %s is being deleted, and waits for this binding: name another in "+
				"spec.snapshot.ref, or delete this binding", name),
		}
	case s.Status.SnapshotID == "" || s.Status.VolumeSize == nil:
		return Snapshot{}, &Problem{
			Reason: v1alpha1.ReasonSnapshotNotReady,
			Message: fmt.Sprintf("ImageCacheSnapshot %s has no completed snapshot yet: its own conditions say how far it is",
				name),
		}
	default:
		return Snapshot{ID: s.Status.SnapshotID, Format: s.Status.Format, SizeGiB: WholeGiB(*s.Status.VolumeSize)}, nil
	}
}

// WholeGiB rounds a size up to whole GiB, which is what EBS sizes are.
func WholeGiB(size resource.Quantity) int64 {
	const gib = 1 << 30
	return (size.Value() + gib - 1) / gib
}
