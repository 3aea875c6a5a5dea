package volumesnapshot

import (
	"slices"
	"strings"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// driver is the CSI driver that makes volumes of EBS snapshots.
// https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/docs/parameters.md
const driver = "ebs.csi.aws.com"

// contentName is the name of the content that a binding makes for a snapshot. It says which snapshot that is, so that a
// VolumeSnapshot tells it alone.
func contentName(b *v1alpha1.NodeClassBinding, snapshotID string) string {
	return prefixOf(b) + snapshotID
}

func prefixOf(b *v1alpha1.NodeClassBinding) string { return "larder-" + string(b.UID) + "-" }

// isOurs tells whether the binding made a VolumeSnapshot: it bears the label, and names a content that only this binding
// makes. One that merely bears the label may have been copied, and its deletion could cost somebody's data.
func isOurs(snapshot *snapshotv1.VolumeSnapshot, b *v1alpha1.NodeClassBinding) bool {
	return snapshot != nil && snapshot.Labels[v1alpha1.LabelBinding] == string(b.UID) && strings.HasPrefix(sourceOf(snapshot), prefixOf(b))
}

// sourceOf returns the name of the content that a VolumeSnapshot names; empty for one that was taken of a claim.
func sourceOf(snapshot *snapshotv1.VolumeSnapshot) string {
	return valueOf(snapshot.Spec.Source.VolumeSnapshotContentName)
}

func isEnding(object metav1.Object) bool { return !object.GetDeletionTimestamp().IsZero() }

// ours returns the VolumeSnapshot if the binding made it, also while it is being deleted.
func (o *observation) ours(b *v1alpha1.NodeClassBinding) *snapshotv1.VolumeSnapshot {
	if !isOurs(o.snapshot, b) {
		return nil
	}
	return o.snapshot
}

// inPlace returns the snapshot that new claims are made from; empty for none.
func (o *observation) inPlace(b *v1alpha1.NodeClassBinding) string {
	ours := o.ours(b)
	if ours == nil || isEnding(ours) {
		return ""
	}
	return strings.TrimPrefix(sourceOf(ours), prefixOf(b))
}

// content returns the binding's content of that name, nil when there is none.
func (o *observation) content(name string) *snapshotv1.VolumeSnapshotContent {
	i := slices.IndexFunc(o.contents, func(content snapshotv1.VolumeSnapshotContent) bool { return content.Name == name })
	if i < 0 {
		return nil
	}
	return &o.contents[i]
}

// newContent is for a snapshot that exists. Its volume mode keeps the provisioner from making raw block volumes of a
// filesystem that the kernel is to mount.
// https://kubernetes.io/docs/concepts/storage/volume-snapshots/#convert-volume-mode
func newContent(b *v1alpha1.NodeClassBinding, snapshotID string) *snapshotv1.VolumeSnapshotContent {
	key := keyOf(b)
	return &snapshotv1.VolumeSnapshotContent{
		ObjectMeta: metav1.ObjectMeta{
			Name:   contentName(b, snapshotID),
			Labels: map[string]string{v1alpha1.LabelBinding: string(b.UID)},
		},
		Spec: snapshotv1.VolumeSnapshotContentSpec{
			Driver:                  driver,
			DeletionPolicy:          snapshotv1.VolumeSnapshotContentRetain,
			Source:                  snapshotv1.VolumeSnapshotContentSource{SnapshotHandle: new(snapshotID)},
			SourceVolumeMode:        new(corev1.PersistentVolumeFilesystem),
			VolumeSnapshotClassName: classOf(b),
			VolumeSnapshotRef: corev1.ObjectReference{
				APIVersion: snapshotv1.SchemeGroupVersion.String(), Kind: Kind, Namespace: key.Namespace, Name: key.Name,
			},
		},
	}
}

func newSnapshot(b *v1alpha1.NodeClassBinding, snapshotID string) *snapshotv1.VolumeSnapshot {
	key := keyOf(b)
	return &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name,
			Labels: map[string]string{v1alpha1.LabelBinding: string(b.UID)},
		},
		Spec: snapshotv1.VolumeSnapshotSpec{
			Source:                  snapshotv1.VolumeSnapshotSource{VolumeSnapshotContentName: new(contentName(b, snapshotID))},
			VolumeSnapshotClassName: classOf(b),
		},
	}
}

// classOf is nil for none: an empty name is refused.
func classOf(b *v1alpha1.NodeClassBinding) *string {
	if name := b.Spec.Target.VolumeSnapshot.SnapshotClassName; name != "" {
		return &name
	}
	return nil
}

func valueOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
