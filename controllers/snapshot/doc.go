// Package snapshot is the controller of ImageCacheSnapshots: it resolves the images of one, has a volume built from
// them, follows EBS until the snapshot is completed, and deletes it with the object.
//
// One attempt at one revision goes this way. What is in capitals is status.build.step; it is written before the
// step's first effect in AWS, so that whoever comes after a crash knows what there may be:
//
//	          resolve            build accepted by EBS        EBS says completed
//	(none) ──────────> STARTING ─> WRITING ─────────> COMPLETING ─────────> (none), status.snapshotID
//	                      │           │                   │
//	                      └───────────┴── error, spec ────┘
//	                                      changed, crash
//	                                          │ the attempt's snapshot is deleted
//	                                          v
//	                                        FAILED ── after a while, or at a spec change ──> STARTING, next attempt
//
// A pass observes, plans and acts, in this order; only plan decides, and it is a function of what was observed.
package snapshot
