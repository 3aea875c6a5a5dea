package references

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Consumers are what makes volumes of snapshots in one Region, of one kind: launch templates with the Auto Scaling groups
// that name their versions, EKS node groups, Batch environments, or ECS services.
type Consumers interface {
	// SnapshotUses returns everything of the kind that may make a volume of a snapshot. After an error nobody may take a
	// snapshot for unused.
	SnapshotUses(ctx context.Context) ([]launch.Use, error)
}

// Reader looks references up. Both fields are required.
type Reader struct {
	// Live asks the API server itself, not a cache.
	Live client.Reader
	// Mapper tells in which versions the API server has the kinds of Karpenter and of CSI, if it has them.
	Mapper meta.RESTMapper
}

// List returns everything that may use snapshots of the Region of these consumers. After an error nobody may take a
// snapshot for unused.
func (r Reader) List(ctx context.Context, consumers ...Consumers) (References, error) {
	lists := []func(context.Context) ([]reference, error){r.objects, r.bindings, r.classes, r.volumeContents}
	for _, kind := range consumers {
		lists = append(lists, func(ctx context.Context) ([]reference, error) { return usesOf(ctx, kind) })
	}
	var found References
	for _, list := range lists {
		some, err := list(ctx)
		if err != nil {
			return References{}, err
		}
		found.all = append(found.all, some...)
	}
	return found, nil
}

// objects use their current snapshot, the revision that they are pinned to, and what they build and build upon.
func (r Reader) objects(ctx context.Context) ([]reference, error) {
	objects := &larderv1alpha1.ImageCacheSnapshotList{}
	if err := r.Live.List(ctx, objects); err != nil {
		return nil, fmt.Errorf("listing the ImageCacheSnapshots that may need a snapshot: %w", err)
	}
	var found []reference
	for _, object := range objects.Items {
		one := reference{name: nameOfObject(object.Name), snapshotIDs: []string{object.Status.SnapshotID}}
		if build := object.Status.Build; InFlight(build) {
			one.snapshotIDs = append(one.snapshotIDs, build.ParentSnapshotID, build.SnapshotID)
		}
		if pin := object.Spec.Revision; pin != nil {
			one.pinned = revision{object.UID, *pin}
			for _, made := range object.Status.Revisions {
				if made.Number == *pin {
					one.snapshotIDs = append(one.snapshotIDs, made.SnapshotID)
				}
			}
		}
		found = append(found, one)
	}
	return found, nil
}

// InFlight tells whether an attempt may still become a snapshot.
func InFlight(build *larderv1alpha1.BuildStatus) bool {
	if build == nil {
		return false
	}
	switch build.Step {
	case larderv1alpha1.BuildStarting, larderv1alpha1.BuildWriting, larderv1alpha1.BuildCompleting:
		return true
	}
	return false
}

// bindings use what they wrote last, and what they may have to go back to.
func (r Reader) bindings(ctx context.Context) ([]reference, error) {
	bindings := &larderv1alpha1.NodeClassBindingList{}
	if err := r.Live.List(ctx, bindings); err != nil {
		return nil, fmt.Errorf("listing the NodeClassBindings that may need a snapshot: %w", err)
	}
	var found []reference
	for _, binding := range bindings.Items {
		one := reference{
			name:        "nodeclassbinding/" + binding.Name,
			snapshotIDs: []string{binding.Spec.Snapshot.ID, binding.Status.AppliedSnapshotID, binding.Status.LastKnownGoodSnapshotID},
		}
		if pending := binding.Status.Pending; pending != nil {
			one.snapshotIDs = append(one.snapshotIDs, pending.SnapshotID)
		}
		if binding.Spec.Snapshot.Ref != nil {
			one.object = binding.Spec.Snapshot.Ref.Name
		}
		found = append(found, one)
	}
	return found, nil
}

func usesOf(ctx context.Context, consumers Consumers) ([]reference, error) {
	uses, err := consumers.SnapshotUses(ctx)
	if action := aws.Action(err); aws.IsAccessDenied(err) && action != "" {
		return nil, fmt.Errorf("finding out what may make volumes of a snapshot (allow Larder's role %s): %w", action, err)
	}
	if err != nil {
		return nil, fmt.Errorf("finding out what may make volumes of a snapshot: %w", err)
	}
	var found []reference
	for _, use := range uses {
		found = append(found, reference{name: use.Name, snapshotIDs: use.SnapshotIDs})
	}
	return found, nil
}
