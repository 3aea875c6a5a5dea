package references

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kinds of others that name snapshots. A cluster need not have them.
var (
	classKind   = schema.GroupKind{Group: "karpenter.k8s.aws", Kind: "EC2NodeClass"}
	contentKind = schema.GroupKind{Group: "snapshot.storage.k8s.io", Kind: "VolumeSnapshotContent"}
)

// volumeDriver is the CSI driver whose snapshots are EBS's.
// https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/parameters.md
const volumeDriver = "ebs.csi.aws.com"

// classes name the snapshots that Karpenter's nodes boot with.
func (r Reader) classes(ctx context.Context) ([]reference, error) {
	return r.ofKind(ctx, classKind, "ec2nodeclass/", snapshotIDsOfClass)
}

// volumeContents name the snapshots that pods' volumes are made of, whoever made them.
func (r Reader) volumeContents(ctx context.Context) ([]reference, error) {
	return r.ofKind(ctx, contentKind, "volumesnapshotcontent/", snapshotIDsOfContent)
}

// ofKind reads objects in whatever version there is: one that this code does not know still names its snapshot.
func (r Reader) ofKind(ctx context.Context, kind schema.GroupKind, prefix string,
	snapshotIDsOf func(unstructured.Unstructured) ([]string, error),
) ([]reference, error) {
	mapping, err := r.Mapper.RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the version of %ss: %w", kind.Kind, err)
	}
	objects := &unstructured.UnstructuredList{}
	objects.SetGroupVersionKind(mapping.GroupVersionKind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := r.Live.List(ctx, objects); err != nil {
		// Also when the kind was removed a moment ago: its objects may as well have moved to another version.
		return nil, fmt.Errorf("listing the %ss that may name a snapshot (if that kind was removed, restart Larder): %w", kind.Kind, err)
	}
	var found []reference
	for _, object := range objects.Items {
		ids, err := snapshotIDsOf(object)
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", kind.Kind, object.GetName(), err)
		}
		found = append(found, reference{name: prefix + object.GetName(), snapshotIDs: ids})
	}
	return found, nil
}

// snapshotIDsOfClass is an error for devices that it does not understand: they may name a snapshot.
func snapshotIDsOfClass(class unstructured.Unstructured) ([]string, error) {
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

// snapshotIDsOfContent returns the snapshot that a content was made for, and the one that its driver took.
func snapshotIDsOfContent(content unstructured.Unstructured) ([]string, error) {
	if driver, _, err := unstructured.NestedString(content.Object, "spec", "driver"); err != nil || driver != volumeDriver {
		return nil, err
	}
	var ids []string
	for _, path := range [][]string{{"spec", "source", "snapshotHandle"}, {"status", "snapshotHandle"}} {
		id, _, err := unstructured.NestedString(content.Object, path...)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
