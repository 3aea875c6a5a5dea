package snapshot

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// holder is an object from which a node may still boot one of our snapshots.
type holder struct {
	// name is as kubectl takes it: "ec2nodeclass/gpu".
	name string
	// of is the ImageCacheSnapshot that a binding refers to; empty for others.
	of string
	// snapshotIDs are those that the holder names.
	snapshotIDs []string
}

// holders lists every binding and every Karpenter EC2NodeClass. It asks the API server itself: a cache that lags
// by a second could cost a node class its snapshot.
func (r *Reconciler) holders(ctx context.Context) ([]holder, error) {
	bindings := &larderv1alpha1.NodeClassBindingList{}
	if err := r.Live.List(ctx, bindings); err != nil {
		return nil, fmt.Errorf("listing the bindings that may need a snapshot: %w", err)
	}
	var found []holder
	for _, binding := range bindings.Items {
		found = append(found, holder{
			name:        "nodeclassbinding/" + binding.Name,
			of:          binding.Spec.Snapshot.Ref.Name,
			snapshotIDs: []string{binding.Status.AppliedSnapshotID},
		})
	}
	classes := &unstructured.UnstructuredList{}
	classes.SetGroupVersionKind(schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClassList"})
	err := r.Live.List(ctx, classes)
	if meta.IsNoMatchError(err) {
		return found, nil // a cluster without Karpenter
	}
	if err != nil {
		return nil, fmt.Errorf("listing the EC2NodeClasses that may name a snapshot: %w", err)
	}
	for _, class := range classes.Items {
		found = append(found, holder{name: "ec2nodeclass/" + class.GetName(), snapshotIDs: snapshotIDsOf(class)})
	}
	return found, nil
}

func snapshotIDsOf(class unstructured.Unstructured) []string {
	mappings, _, _ := unstructured.NestedSlice(class.Object, "spec", "blockDeviceMappings")
	var ids []string
	for _, mapping := range mappings {
		fields, _ := mapping.(map[string]any)
		if id, _, _ := unstructured.NestedString(fields, "ebs", "snapshotID"); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// heldOf returns which of the snapshots someone names. When that cannot be found out, it is all of them.
func (r *Reconciler) heldOf(ctx context.Context, snapshots []ebs.Snapshot) (map[string]bool, *failure) {
	all, err := r.holders(ctx)
	held := map[string]bool{}
	for _, snapshot := range snapshots {
		held[snapshot.ID] = err != nil || slices.ContainsFunc(all, func(h holder) bool {
			return slices.Contains(h.snapshotIDs, snapshot.ID)
		})
	}
	if err != nil {
		return held, failure{reason: larderv1alpha1.ReasonProgressing}.with(err)
	}
	return held, nil
}

// holdersOf names those that stand in the way of deleting the object: bindings that refer to it, and whatever
// names one of its snapshots.
func holdersOf(all []holder, object string, ids []string) []string {
	var names []string
	for _, one := range all {
		holds := slices.ContainsFunc(one.snapshotIDs, func(id string) bool { return id != "" && slices.Contains(ids, id) })
		if holds || one.of == object {
			names = append(names, one.name)
		}
	}
	return names
}
