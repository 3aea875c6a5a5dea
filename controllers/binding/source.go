package binding

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// SnapshotSource finds the snapshots of ImageCacheSnapshots of this cluster. It implements Source.
type SnapshotSource struct {
	// Client reads ImageCacheSnapshots.
	Client client.Reader
}

// Wanted implements Source. A renewal, or a build for a changed spec, leaves the last completed snapshot usable: nodes
// that boot with yesterday's images are better off than nodes that boot with none. One that is being deleted is not:
// EBS will soon not know it.
func (s *SnapshotSource) Wanted(ctx context.Context, binding *v1alpha1.NodeClassBinding) (Snapshot, *Problem, error) {
	name := refOf(binding)
	object := &v1alpha1.ImageCacheSnapshot{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, object); apierrors.IsNotFound(err) {
		return Snapshot{}, &Problem{
			Reason:  v1alpha1.ReasonSnapshotMissing,
			Message: fmt.Sprintf("ImageCacheSnapshot %s does not exist: create it, or name another in spec.snapshot.ref", name),
		}, nil
	} else if err != nil {
		return Snapshot{}, nil, fmt.Errorf("reading ImageCacheSnapshot %s: %w", name, err)
	}
	known := Snapshot{ID: object.Status.SnapshotID, Format: object.Status.Format}
	switch {
	case !object.DeletionTimestamp.IsZero():
		return known, &Problem{
			Reason: v1alpha1.ReasonSnapshotNotReady,
			Message: fmt.Sprintf("ImageCacheSnapshot %s is being deleted, and waits for this binding: name another in "+
				"spec.snapshot.ref, or delete this binding", name),
		}, nil
	case object.Status.SnapshotID == "" || object.Status.VolumeSize == nil:
		return known, &Problem{
			Reason: v1alpha1.ReasonSnapshotNotReady,
			Message: fmt.Sprintf("ImageCacheSnapshot %s has no completed snapshot yet: its own conditions say how far it is",
				name),
		}, nil
	}
	known.SizeGiB = WholeGiB(*object.Status.VolumeSize)
	return known, nil, nil
}

// ByID implements Source.
func (s *SnapshotSource) ByID(ctx context.Context, binding *v1alpha1.NodeClassBinding, id string) (Snapshot, *Problem, error) {
	object := &v1alpha1.ImageCacheSnapshot{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: refOf(binding)}, object); client.IgnoreNotFound(err) != nil {
		return Snapshot{}, nil, fmt.Errorf("reading ImageCacheSnapshot %s: %w", refOf(binding), err)
	}
	for _, revision := range object.Status.Revisions {
		if revision.SnapshotID == id && revision.VolumeSize != nil {
			return Snapshot{ID: id, Format: object.Status.Format, SizeGiB: WholeGiB(*revision.VolumeSize)}, nil, nil
		}
	}
	return Snapshot{}, &Problem{
		Reason:  v1alpha1.ReasonSnapshotNotFound,
		Message: fmt.Sprintf("ImageCacheSnapshot %s has no revision with snapshot %s any more", refOf(binding), id),
	}, nil
}
