// Package binding is the controller of NodeClassBindings: it makes a target name the snapshot that its nodes boot
// with, and gives the target back as it was when the binding is deleted. Each kind of target is a package below it.
//
// A pass reads everything (observe), decides without a client (decide), makes at most one write (act) and patches
// the status once; a rejection is patched before the write that it leads to. Nodes are read from the cache; what leads to
// a write is decided again by the nodes as they are.
//
//	snapshot usable? ──no──▶ wait: SnapshotMissing, SnapshotNotReady …, or stall: SnapshotArchived …
//	      │
//	target fit? ──no──▶ wait: TargetKindMissing, TargetMissing
//	      │      └────▶ stall: TargetUnreadable, DeviceDuplicated, DeviceClaimedByOtherBinding …
//	      │
//	did it fail before? ──yes──▶ go for the last known good one instead, and stall: RolledBack
//	      │
//	target as planned? ──yes──▶ Applied, on trial until proven
//	      │
//	taken back too often? ──yes──▶ stall: RivalWriter
//	      │
//	do paused, strategy, window and minInterval agree? ──no──▶ staged: Paused, NodesWouldBeReplaced,
//	      │                                                    WaitingForDrift, WaitingForWindow, MinIntervalNotOver;
//	      │                                                    or stall: WindowInvalid
//	write ──▶ Applied, or wait: WriteConflict, WriteFailed, or stall: WriteDenied, DeviceInvalid
//
// The annotation larder.dev/apply-now passes over the two questions before the write, and forgets what failed before;
// not while the binding is paused.
//
// What is applied is on trial until nodes were Ready with it for rollback.after. A failure before then is answered once;
// that AWS has it no more (SnapshotNotFound, SnapshotArchived, SnapshotFailed) is one at any time, also of the last known
// good one:
//
//	                       ┌─ paused, or rollback.after is 0s, or it was itself brought back and is not lost
//	failed on trial,       │        └──▶ stall with what failed
//	or lost ───────────────┤
//	                       ├─ nodes work with it that the strategy spares ──▶ stall: NoWayBack
//	                       └─ rejected; the last known good one is written, or the device as it was before ──▶ RolledBack
//
// A rejected snapshot is not written again until larder.dev/apply-now asks; another one is.
//
// Ready means that the nodes launched now boot with a snapshot of this binding. So a binding that is staged with an
// earlier snapshot in place is Ready, with Applied False and the reason: it does what its strategy asks, and
// whoever waits for it may go on. A binding that is staged and never was applied is not Ready but Reconciling:
// no node boots from anything yet, and saying otherwise would let a rollout go on without its cache.
//
//	situation                                  Ready            Reconciling  Stalled  Applied
//	no usable snapshot yet                     False            True         –        Unknown
//	staged, never applied                      False            True         –        False with why
//	staged over an earlier snapshot            True with why    –            –        False with why
//	written, nodes still outdated              True             –            –        True; RolledOut False
//	a write that is tried again                as in place      True         –        False with why
//	needs a person                             False            –            True     False or Unknown
//	failed and taken back, or no way back      False            –            True     False RolledBack, NoWayBack
//	fails, and nobody is to take it back       False            –            True     True
//
// The last row is Stalled, and not Reconciling, although the snapshot is applied: Larder does nothing more about it, and
// who waits for the rollout has to see it fail rather than wait. It ends by itself when the nodes recover.
//
// RolledOut is for people. How fast nodes are replaced is the platform's and its owner's, so it makes Ready neither
// False nor late.
package binding
