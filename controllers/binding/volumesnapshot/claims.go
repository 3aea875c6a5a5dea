package volumesnapshot

import (
	"bytes"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

const (
	// provisionerAnnotation is what Kubernetes puts on a claim when it asks a CSI driver for its volume: with a class that
	// waits for the first pod, not before there is one.
	// https://kubernetes.io/docs/reference/labels-annotations-taints/#volume-kubernetes-io-storage-provisioner
	provisionerAnnotation = "volume.kubernetes.io/storage-provisioner"

	// claimPatience is how long a claim that is being made holds a change up. EBS makes a volume within a minute, which is
	// also the driver's timeout for one call; a claim that takes longer is failing, and may well need the change.
	// https://github.com/kubernetes-sigs/aws-ebs-csi-driver/blob/master/deploy/kubernetes/base/controller.yaml
	claimPatience = 10 * time.Minute

	// claimRetry is how soon it is looked again whether claims have their volumes: claims are not watched.
	claimRetry = 30 * time.Second
)

// claimsInTheMaking counts the claims whose volumes the provisioner may be making from the VolumeSnapshot right now.
// Others get the snapshot that the VolumeSnapshot names when their turn comes.
func (o *observation) claimsInTheMaking(now time.Time) int {
	count := 0
	for i := range o.claims {
		if claim := &o.claims[i]; o.isNamedBy(claim) && claim.Status.Phase == corev1.ClaimPending && !isEnding(claim) &&
			claim.Annotations[provisionerAnnotation] != "" && now.Before(provisioningSince(claim).Add(claimPatience)) {
			count++
		}
	}
	return count
}

// isNamedBy looks at dataSource only: the API server keeps dataSourceRef equal to it for VolumeSnapshots.
func (o *observation) isNamedBy(claim *corev1.PersistentVolumeClaim) bool {
	source := claim.Spec.DataSource
	return source != nil && source.Kind == Kind && valueOf(source.APIGroup) == snapshotv1.GroupName && source.Name == o.key.Name
}

// provisioningSince is when a claim got its annotation, which may be long after it was created.
func provisioningSince(claim *corev1.PersistentVolumeClaim) time.Time {
	field := []byte(`"f:` + provisionerAnnotation + `"`)
	for _, entry := range claim.ManagedFields {
		if entry.Time != nil && entry.FieldsV1 != nil && bytes.Contains(entry.FieldsV1.GetRawBytes(), field) {
			return entry.Time.Time
		}
	}
	return claim.CreationTimestamp.Time
}

// busy says why the VolumeSnapshot must not be deleted now; nil when it may be. From one that is not ready, or that is
// being deleted already, no volume is made.
func (o *observation) busy(b *v1alpha1.NodeClassBinding, now time.Time) *binding.Problem {
	if ours := o.ours(b); ours == nil || isEnding(ours) || !isReady(ours) {
		return nil
	}
	count := o.claimsInTheMaking(now)
	if count == 0 {
		return nil
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonUpdateInProgress,
		Message: fmt.Sprintf("volumes are being made from VolumeSnapshot %s for %d of the claims of its namespace, which are to be "+
			"Bound first, or to have failed for %d minutes", o.key, count, int(claimPatience.Minutes())),
		RetryAfter: claimRetry,
	}
}
