// Package distribution keeps what is made of an ImageCacheSnapshot's current revision beside its snapshot: copies in
// other Regions, the accounts that may use it, fast snapshot restore, and the places where its id is published.
//
// Neither CopySnapshot nor EnableFastSnapshotRestores takes a client token, so a marker comes before each effect that
// could be forgotten:
//
//   - Before a revision is copied, shared or published, its home snapshot is tagged so. The collector keeps such a
//     snapshot longer, and finds its copies by the tag.
//   - Before a copy is asked for, status.copies says Starting.
//   - Before fast snapshot restore is enabled in a zone, status.fastSnapshotRestore names the zone.
//   - Before the id is written anywhere, an annotation of the object names the place.
//
// One copy goes this way; what is in capitals is its state in status.copies:
//
//	           nothing found          Commit            AWS says
//	(none) ────────────────> STARTING ──────> PENDING ────────────> COMPLETED
//	   │                     ^   ^  │            │                      │
//	   │                     │   │  │ refused    │ error                │
//	   │                     │   │  └─────┐ ┌────┘                      │
//	   │  Region or key      │   │        v v                           │
//	   └─────────────────────┼───┼────> FAILED                          │
//	     unusable            │   └───────┘                              │
//	                         │    after copyRetry                       │
//	                         └──────────────────────────────────────────┘
//	                            found no longer (PENDING likewise)
//
// From every state, a copy that is found by its tags is adopted; one whose id is known is looked for by that, too. From
// STARTING another one is asked for only when the outcome of the last call must have become visible, and then only
// after a look.
//
// In the steady state a pass reads, and changes nothing: one Find for each Region of spec.copies; one SharedWith for
// the current revision if it is shared and one for each superseded revision that was; one FastRestores for all
// revisions together if spec.fastSnapshotRestore is given; and one read of each place in spec.publish.
package distribution
