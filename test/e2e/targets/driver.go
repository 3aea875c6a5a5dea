package targets

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// driverSays is what the EBS CSI driver says of a snapshot that it cannot use.
const driverSays = "rpc error: code = Internal desc = could not describe the snapshot: KMSKeyUnusable"

// drive plays the EBS CSI driver's csi-snapshotter, which looks at each content and says whether volumes can be made of it.
func (s *Story) drive(ctx context.Context) error {
	contents, err := s.contents(ctx)
	if err != nil {
		return err
	}
	for i := range contents {
		content := &contents[i]
		if content.Status != nil {
			continue
		}
		told := content.DeepCopy()
		told.Status = &snapshotv1.VolumeSnapshotContentStatus{
			ReadyToUse: new(true), SnapshotHandle: content.Spec.Source.SnapshotHandle, RestoreSize: new(int64(1 << 30)),
		}
		if s.broken[*content.Spec.Source.SnapshotHandle] {
			told.Status = &snapshotv1.VolumeSnapshotContentStatus{ReadyToUse: new(false), Error: &snapshotv1.VolumeSnapshotError{
				Time: &metav1.Time{Time: time.Now()}, Message: new(driverSays),
			}}
		}
		if err := s.Stack.Admin.Status().Patch(ctx, told, client.MergeFrom(content)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("writing the status of VolumeSnapshotContent %s: %w", content.Name, err)
		}
	}
	return nil
}

func (s *Story) contents(ctx context.Context) ([]snapshotv1.VolumeSnapshotContent, error) {
	list := &snapshotv1.VolumeSnapshotContentList{}
	if err := s.Stack.Admin.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing VolumeSnapshotContents: %w", err)
	}
	return list.Items, nil
}

// claimsGet returns the EBS snapshot that the volumes of new claims are made of; empty while none can be made.
func (s *Story) claimsGet(ctx context.Context) (string, error) {
	snapshot := &snapshotv1.VolumeSnapshot{}
	err := s.Stack.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: weights}, snapshot)
	if err != nil || !snapshot.DeletionTimestamp.IsZero() || snapshot.Status == nil ||
		snapshot.Status.ReadyToUse == nil || !*snapshot.Status.ReadyToUse || snapshot.Status.BoundVolumeSnapshotContentName == nil {
		return "", client.IgnoreNotFound(err)
	}
	contents, err := s.contents(ctx)
	for _, content := range contents {
		if content.Name == *snapshot.Status.BoundVolumeSnapshotContentName && content.Spec.VolumeSnapshotRef.UID == snapshot.UID {
			return *content.Spec.Source.SnapshotHandle, nil
		}
	}
	return "", err
}
