// Package volumesnapshot keeps a pre-provisioned CSI VolumeSnapshot at a binding's snapshot, so that new claims of pods
// get volumes made of it. Claims that have their volume keep it: nothing is ever replaced.
//
// A VolumeSnapshot names a VolumeSnapshotContent, and that names the EBS snapshot. Both names are immutable, so another
// snapshot takes other objects:
//
//	(1) create the content for the new snapshot            claims still get the old one
//	(2) delete the VolumeSnapshot, and release it          ─┐ the gap: a few requests
//	(3) create the VolumeSnapshot that names the content   ─┘
//	(4) the snapshot controller binds the two, and the CSI driver says that the snapshot is ready
//	(5) delete the contents that nothing needs any more    Retain: their EBS snapshots stay
//
// A pass that finds any of these states goes on from there, so it does not matter where an operator ends.
//
// A claim that is made between 2 and 4 waits: the provisioner answers that the VolumeSnapshot is not found, not bound, or
// not ready, and tries again with growing pauses of up to five minutes, by the VolumeSnapshot's name, until it gets the new
// snapshot. Nothing is lost, and nothing has to be made anew.
//
// Released means that the snapshot controller's finalizers are taken off. Left to themselves they can hold the
// VolumeSnapshot for ever: the controller keeps a VolumeSnapshot that is being deleted while any pending claim names it,
// and the provisioner makes no volume from one that is being deleted, so a single claim that is made at that moment would
// have each wait for the other.
// https://github.com/kubernetes-csi/external-snapshotter/blob/v8.7.0/pkg/common-controller/snapshot_controller.go#L290
// https://github.com/kubernetes-csi/external-provisioner/blob/master/pkg/controller/controller.go (getSnapshotSource)
// What those finalizers protect is seen to here: a ready VolumeSnapshot is not deleted while the provisioner makes a volume
// from it, and contents are of the policy Retain before anything is deleted, so that no EBS snapshot goes with them.
package volumesnapshot
