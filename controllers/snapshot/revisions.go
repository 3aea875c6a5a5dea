package snapshot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// listedRevisions bounds status.revisions: what is kept beyond the limit of the spec, since something refers to it, is
// listed too, up to this number.
const listedRevisions = 32

// revision returns the snapshot of a revision that can be rolled back to.
func (f *facts) revision(number int64) *ebs.Snapshot {
	for _, snapshot := range f.revisionSnapshots() {
		if numberTag(&snapshot, ebs.TagRevision) == number {
			return &snapshot
		}
	}
	return nil
}

// revisionNumbers lists what can be rolled back to, the newest first.
func (f *facts) revisionNumbers() string {
	var numbers []string
	for _, snapshot := range f.revisionSnapshots() {
		numbers = append(numbers, fmt.Sprint(numberTag(&snapshot, ebs.TagRevision)))
	}
	if len(numbers) == 0 {
		return "status.revisions, which is empty"
	}
	return strings.Join(numbers, ", ")
}

// revisionSnapshots has one completed snapshot for each revision that was ever current, the newest first.
func (f *facts) revisionSnapshots() []ebs.Snapshot {
	last := f.lastRevision()
	if last == 0 {
		last = 1<<63 - 1 // the status was lost: then all that is completed may have been current
	}
	chosen := map[int64]ebs.Snapshot{}
	for _, snapshot := range f.owned {
		number := numberTag(&snapshot, ebs.TagRevision)
		if snapshot.State != ebs.StateCompleted || number == 0 || number > last {
			continue
		}
		if other, known := chosen[number]; !known || f.preferCurrent(snapshot, other) < 0 {
			chosen[number] = snapshot
		}
	}
	var all []ebs.Snapshot
	for _, snapshot := range chosen {
		all = append(all, snapshot)
	}
	slices.SortFunc(all, func(a, b ebs.Snapshot) int {
		return cmp.Compare(numberTag(&b, ebs.TagRevision), numberTag(&a, ebs.TagRevision))
	})
	return all
}

// revisionLines are status.revisions after a pass. A revision that was just built has what its build tells; one that the
// status no longer knew has what its tags tell.
func revisionLines(f *facts, status *larderv1alpha1.ImageCacheSnapshotStatus) []larderv1alpha1.RevisionStatus {
	before := map[string]larderv1alpha1.RevisionStatus{}
	for _, line := range f.status.Revisions {
		before[line.SnapshotID] = line
	}
	current := f.find(status.SnapshotID)
	snapshots := f.revisionSnapshots()
	if current != nil && !slices.ContainsFunc(snapshots, func(s ebs.Snapshot) bool { return s.ID == current.ID }) {
		snapshots = slices.Insert(snapshots, 0, *current)
	}
	var lines []larderv1alpha1.RevisionStatus
	for _, snapshot := range snapshots[:min(len(snapshots), listedRevisions)] {
		line, known := before[snapshot.ID]
		if !known {
			line = newRevision(f, &snapshot)
		}
		lines = append(lines, placed(line, f, snapshot.ID == status.SnapshotID))
	}
	return lines
}

func newRevision(f *facts, snapshot *ebs.Snapshot) larderv1alpha1.RevisionStatus {
	started := metav1.NewTime(snapshot.StartTime)
	line := larderv1alpha1.RevisionStatus{
		Number:      max(numberTag(snapshot, ebs.TagRevision), 1),
		ContentHash: snapshot.Tags[ebs.TagContentHash],
		SnapshotID:  snapshot.ID,
		VolumeSize:  gibibytes(snapshot.VolumeSize),
		StartTime:   &started,
	}
	if build := f.attempt(); build.SnapshotID == snapshot.ID {
		completed := metav1.NewTime(f.now)
		line.Transfer, line.Trigger = build.Transfer, build.Trigger
		line.StartTime, line.CompletionTime = build.StartTime, &completed
	}
	return line
}

// placed notes since when a revision is not the current one.
func placed(line larderv1alpha1.RevisionStatus, f *facts, current bool) larderv1alpha1.RevisionStatus {
	if current {
		line.State, line.SupersededTime = larderv1alpha1.RevisionCurrent, nil
		return line
	}
	if line.State != larderv1alpha1.RevisionSuperseded {
		superseded := metav1.NewTime(f.now)
		line.State, line.SupersededTime = larderv1alpha1.RevisionSuperseded, &superseded
	}
	return line
}
