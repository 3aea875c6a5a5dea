// Package binding is the controller of NodeClassBindings: it makes a target name the snapshot that its nodes boot
// with, and gives the target back as it was when the binding is deleted. Each kind of target is a package below it.
//
// A pass reads everything (observe), decides without a client (decide), makes at most one write (act) and patches
// the status once:
//
//	snapshot usable? ──no──▶ wait: SnapshotMissing, SnapshotNotReady
//	      │
//	target fit? ──no──▶ wait: TargetKindMissing, TargetMissing, TargetUnreadable
//	      │      └────▶ stall: DeviceDuplicated, DeviceInvalid, VolumeSizeTooSmall, DeviceClaimedByOtherBinding
//	      │
//	target as planned? ──yes──▶ Applied
//	      │
//	taken back too often? ──yes──▶ stall: RivalWriter
//	      │
//	nodes replaced against the strategy? ──yes──▶ staged: NodesWouldBeReplaced
//	      │
//	write ──▶ Applied, or wait: WriteConflict, WriteFailed, or stall: WriteDenied, DeviceInvalid
//
// Ready means that the nodes launched now boot with a snapshot of this binding. So a binding that is staged with an
// earlier snapshot in place is Ready, with Applied False and the reason: it does what its strategy asks, and
// whoever waits for it may go on. A binding that is staged and never was applied is not Ready but Reconciling:
// no node boots from anything yet, and saying otherwise would let a rollout go on without its cache.
package binding
