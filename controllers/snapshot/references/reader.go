package references

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Templates are the launch templates of one Region.
type Templates interface {
	// SnapshotUses returns every version in use: the default and the latest ones, and those that an Auto Scaling
	// group names.
	SnapshotUses(ctx context.Context) ([]launch.Use, error)
}

// Reader looks references up. Both fields are required.
type Reader struct {
	// Live asks the API server itself, not a cache.
	Live client.Reader
	// Mapper tells in which version the API server has Karpenter's classes, if it has them.
	Mapper meta.RESTMapper
}

// List returns everything that may use snapshots of the Region of these launch templates. After an error nobody may
// take a snapshot for unused.
func (r Reader) List(ctx context.Context, templates Templates) (References, error) {
	var found References
	for _, list := range []func(context.Context) ([]reference, error){
		r.objects, r.bindings, r.classes,
		func(ctx context.Context) ([]reference, error) { return versionsInUse(ctx, templates) },
	} {
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

var classKind = schema.GroupKind{Group: "karpenter.k8s.aws", Kind: "EC2NodeClass"}

// classes are read in whatever version there is: one that this code does not know still boots nodes.
func (r Reader) classes(ctx context.Context) ([]reference, error) {
	mapping, err := r.Mapper.RESTMapping(classKind)
	if meta.IsNoMatchError(err) {
		return nil, nil // a cluster without Karpenter
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the version of EC2NodeClasses: %w", err)
	}
	classes := &unstructured.UnstructuredList{}
	classes.SetGroupVersionKind(mapping.GroupVersionKind.GroupVersion().WithKind(classKind.Kind + "List"))
	if err := r.Live.List(ctx, classes); err != nil {
		// Also when Karpenter was removed a moment ago: its classes may as well have moved to another version.
		return nil, fmt.Errorf("listing the EC2NodeClasses that may name a snapshot (if Karpenter was removed, restart Larder): %w", err)
	}
	var found []reference
	for _, class := range classes.Items {
		ids, err := snapshotIDsOf(class)
		if err != nil {
			return nil, fmt.Errorf("reading EC2NodeClass %s: %w", class.GetName(), err)
		}
		found = append(found, reference{name: "ec2nodeclass/" + class.GetName(), snapshotIDs: ids})
	}
	return found, nil
}

// snapshotIDsOf is an error for devices that it does not understand: they may name a snapshot.
func snapshotIDsOf(class unstructured.Unstructured) ([]string, error) {
	mappings, _, err := unstructured.NestedSlice(class.Object, "spec", "blockDeviceMappings")
	if err != nil {
		return nil, err
	}
	var ids []string
	for i, mapping := range mappings {
		fields, ok := mapping.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("spec.blockDeviceMappings[%d] is no object", i)
		}
		id, _, err := unstructured.NestedString(fields, "ebs", "snapshotID")
		if err != nil {
			return nil, fmt.Errorf("spec.blockDeviceMappings[%d]: %w", i, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func versionsInUse(ctx context.Context, templates Templates) ([]reference, error) {
	uses, err := templates.SnapshotUses(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the launch template versions that may name a snapshot: %w", err)
	}
	var found []reference
	for _, use := range uses {
		found = append(found, reference{name: use.Name, snapshotIDs: use.SnapshotIDs})
	}
	return found, nil
}
