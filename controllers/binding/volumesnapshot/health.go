package volumesnapshot

import (
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/message"
)

// driverPatience is how long the CSI driver may fail before the snapshot is taken for bad: it tries again by itself, with
// pauses that double from a second on, and what passes (throttling, a driver that restarts) passes sooner.
const driverPatience = 2 * time.Minute

// longestCause is how many bytes of a driver's message are repeated.
const longestCause = 512

func isReady(snapshot *snapshotv1.VolumeSnapshot) bool {
	return snapshot.Status != nil && snapshot.Status.ReadyToUse != nil && *snapshot.Status.ReadyToUse
}

// isBound tells whether a VolumeSnapshot and its content name each other, which a claim's provisioner checks too.
func isBound(snapshot *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent) bool {
	return content != nil && snapshot.Status != nil && valueOf(snapshot.Status.BoundVolumeSnapshotContentName) == content.Name &&
		content.Spec.VolumeSnapshotRef.UID == snapshot.UID
}

// outlook is what a plan says of the VolumeSnapshot as it is. Whatever its content says, the driver said it of the present
// attempt, since each makes a content of its own, and the driver takes an error back when it succeeds.
func (o *observation) outlook(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	plan := binding.Plan{InPlace: o.inPlace(b)}
	if plan.InPlace == "" || b.Status.AppliedTime == nil {
		return plan
	}
	content, since := o.content(sourceOf(o.snapshot)), b.Status.AppliedTime.Time
	switch {
	case isReady(o.snapshot) && isBound(o.snapshot, content):
		plan.Health.Proven = true
	case content != nil && content.Status != nil && content.Status.Error != nil:
		plan.Health.Broken = 1
		if plan.Health.RetryAfter = since.Add(driverPatience).Sub(now); plan.Health.RetryAfter <= 0 {
			plan.Health.RetryAfter, plan.Health.Failure = 0, driverFailed(content)
		}
	case now.Before(since.Add(driverPatience)):
		plan.Progress = fmt.Sprintf("the CSI driver has yet to say that %s is ready", plan.InPlace)
		plan.Health.RetryAfter = since.Add(driverPatience).Sub(now)
	default:
		plan.Warnings = append(plan.Warnings, o.unattended())
	}
	return plan
}

// driverFailed repeats what the driver says of a snapshot.
func driverFailed(content *snapshotv1.VolumeSnapshotContent) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonUpdateFailed,
		Message: fmt.Sprintf("the CSI driver cannot use snapshot %s: %s", valueOf(content.Spec.Source.SnapshotHandle),
			message.Clip(valueOf(content.Status.Error.Message), longestCause)),
	}
}

// unattended is no failure of a snapshot: none would become ready.
func (o *observation) unattended() binding.Warning {
	return binding.Warning{
		Reason: v1alpha1.ReasonNotChecked,
		Message: fmt.Sprintf("VolumeSnapshot %s is not ready, nobody says why, and claims wait for it: see that the CSI snapshot "+
			"controller runs, and that the controller of the EBS CSI driver has its container csi-snapshotter", o.key),
	}
}
