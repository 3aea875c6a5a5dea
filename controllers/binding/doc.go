// Package binding is the controller of NodeClassBindings: it makes a target name the snapshot that its nodes boot
// with, and gives the target back as it was when the binding is deleted.
//
// # Targets
//
// What launches nodes, runs tasks or makes volumes is a Target, and each kind of them is a package below this one, which this
// one knows by four steps alone:
//
//	Target.Subject   pure   what a binding holds of it, and in which words
//	Target.Observe   reads  the target and what it launched ──▶ an Observation
//	Observation.Plan pure   this snapshot; PlanWithout: none of Larder's; PlanEnd: the binding goes ──▶ a Plan
//	Target.Act       writes the one change that a Plan has, and does not wait
//
// A Plan says what is wrong (Problem), what is there (InPlace, Pools, Health), what is to be changed (Write), and what the
// platform is at (Busy, Progress). Whether and when a Write is made, what counts as bad, where to go back to, who takes it
// back, and all of the status are decided here, for all targets alike. So a further kind is a package with a Target, a line in
// the list that cmd/larder makes, and a member of spec.target. A Target that Kubernetes tells about is a Watcher too; any
// other is looked at again each snapshot.interval.
//
// # A pass
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
//	      │
//	does the platform allow it? ──no──▶ staged, or stall: UpdateInProgress
//	      │                        └───▶ stall: UpdateFailed, since the very same was tried last, in vain
//	write ──▶ Applied, or wait: WriteConflict, WriteFailed, or stall: WriteDenied, DeviceInvalid
//
// The annotation larder.dev/apply-now passes over the questions of the rival, of the rollout and of what was tried in vain,
// and forgets what failed before; not while the binding is paused. It waits for a platform that is at work, and is not handled
// until then.
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
// A platform that takes its time may fail at what it was asked for, and go back by itself. Then the snapshot is rejected like
// any other, the last known good one is found in place, and nothing is written. When it is the way back, or the restoration at
// the end, that the platform fails at, a person has to act: each attempt may replace nodes, so none is made again by itself
// but for a newer snapshot or a changed spec.
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
//	the platform at work, a newer one waits    True with why    –            –        False UpdateInProgress
//	the platform at work, the way back waits   False            True         –        False UpdateInProgress
//	the platform at work on what is applied    True             –            –        True; RolledOut UpdateInProgress
//	the platform failed at the way back        False            –            True     False UpdateFailed
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
