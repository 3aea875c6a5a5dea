package volumesnapshot

import (
	"fmt"
	"slices"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// Plan implements binding.Observation.
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, now time.Time) binding.Plan {
	plan := o.outlook(b, now)
	if plan.Problem = o.refusal(b); plan.Problem != nil {
		return plan
	}
	plan.Recreated = b.Status.AppliedTime != nil && b.Status.AppliedTime.Before(&o.namespace.CreationTimestamp)
	plan.Remedy = fmt.Sprintf("have it leave VolumeSnapshot %s and its content alone; the audit log of the API server tells who "+
		"deletes or changes them", o.key)
	if snapshot.ID != "" {
		o.planFor(b, snapshot, &plan, now)
	}
	if keeping := o.upkeep(b, snapshot.ID, now); !keeping.isEmpty() {
		plan.Upkeep = keeping
	}
	return plan
}

func (o *observation) planFor(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, plan *binding.Plan, now time.Time) {
	var warnings []binding.Warning
	plan.Problem, warnings = checkFormat(snapshot)
	plan.Warnings = append(plan.Warnings, warnings...)
	if plan.Problem != nil {
		return
	}
	w := o.towards(b, snapshot.ID)
	if w.isEmpty() {
		return
	}
	plan.Write = w
	if w.deletes != nil {
		plan.Busy = o.busy(b, now)
	}
	if b.Status.AppliedSnapshotID == snapshot.ID {
		plan.TakenBackBy = w.takenBackBy()
	}
}

// refusal says why nothing can be made; nil when it can.
func (o *observation) refusal(b *v1alpha1.NodeClassBinding) *binding.Problem {
	switch {
	case o.problem != nil:
		return o.problem
	case o.namespace == nil:
		return namespaceMissing(o.key)
	case isEnding(o.namespace):
		return namespaceEnds(o.key)
	case o.snapshot != nil && !isOurs(o.snapshot, b):
		return snapshotExists(o.key)
	}
	return nil
}

// towards plans what is missing so that new claims are made from a snapshot.
func (o *observation) towards(b *v1alpha1.NodeClassBinding, snapshotID string) *write {
	w := &write{key: o.key, retains: o.unretained()}
	made, content := o.ours(b), o.content(contentName(b, snapshotID))
	stays := made != nil && o.inPlace(b) == snapshotID
	if !stays {
		w.deletes, w.makes = made, newSnapshot(b, snapshotID)
	} else if valueOf(made.Spec.VolumeSnapshotClassName) != valueOf(classOf(b)) {
		w.reclasses, w.class = made, classOf(b)
	}
	switch {
	case content == nil:
		w.makesContent = newContent(b, snapshotID)
	case isEnding(content), isSpent(content, made, stays):
		w.dropsBefore, w.makesContent = content, newContent(b, snapshotID)
	}
	return w
}

// isSpent tells whether a content was bound to a VolumeSnapshot that is gone, or is to go: it is never bound again.
func isSpent(content *snapshotv1.VolumeSnapshotContent, made *snapshotv1.VolumeSnapshot, stays bool) bool {
	boundTo := content.Spec.VolumeSnapshotRef.UID
	return boundTo != "" && (!stays || boundTo != made.UID)
}

// unretained are contents that somebody gave the policy Delete: their EBS snapshots would go with them.
func (o *observation) unretained() []*snapshotv1.VolumeSnapshotContent {
	var found []*snapshotv1.VolumeSnapshotContent
	for i := range o.contents {
		if o.contents[i].Spec.DeletionPolicy != snapshotv1.VolumeSnapshotContentRetain {
			found = append(found, &o.contents[i])
		}
	}
	return found
}

// upkeep makes a VolumeSnapshot again that is not there, for the snapshot that is applied: whatever the rollout says of
// another one, claims wait for it. And it deletes the contents that nothing needs: neither what is in place, applied, or
// to be gone back to, nor a claim whose volume is being made.
func (o *observation) upkeep(b *v1alpha1.NodeClassBinding, wanted string, now time.Time) *write {
	status := &b.Status
	if applied := status.AppliedSnapshotID; applied != "" && applied != status.RejectedSnapshotID && o.inPlace(b) == "" {
		return o.towards(b, applied)
	}
	w := &write{key: o.key}
	if o.claimsInTheMaking(now) > 0 {
		return w
	}
	needed := []string{o.inPlace(b), status.AppliedSnapshotID, status.LastKnownGoodSnapshotID}
	if wanted != status.RejectedSnapshotID {
		needed = append(needed, wanted)
	}
	for i := range o.contents {
		content := &o.contents[i]
		isNamed := slices.ContainsFunc(needed, func(id string) bool { return id != "" && content.Name == contentName(b, id) })
		if !isNamed && (o.snapshot == nil || sourceOf(o.snapshot) != content.Name) {
			w.drop(content)
		}
	}
	if len(w.drops) > 0 {
		w.retains = o.unretained()
	}
	return w
}
