package collection

import (
	"cmp"
	"fmt"
	"slices"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// judgeRevision is for a home snapshot of a living object.
func (f *facts) judgeRevision(o *owned, all []*owned) verdict {
	status, spec := o.object.Status, o.object.Spec
	line := revisionOf(o)
	switch {
	case o.ID == status.SnapshotID:
		return inUse(o, "it is the current revision")
	case references.InFlight(status.Build) && o.ID == status.Build.SnapshotID:
		return keep(o, "it is being built")
	case o.State != ebs.StateCompleted:
		return keep(o, "it is not completed, which its controller sees to")
	case o.revision > newestRevision(status):
		return keep(o, "its revision is not in the status yet, which its controller sees to")
	case line != nil && line.SnapshotID != o.ID:
		return keep(o, "its revision has another snapshot, which its controller sees to")
	case spec.Revision != nil && *spec.Revision == o.revision:
		return keep(o, "its object is pinned to it")
	}
	v := verdict{owned: o, do: doKeep, why: "it is within the revisions to keep"}
	beyond, exposed := !slices.Contains(f.history(o.object, all), o.revision), f.isExposed(o)
	superseded := o.supersededAt()
	unknown := superseded.IsZero()
	if unknown {
		superseded = f.now
	}
	tags := map[string]string{tagOrphanedAt: ""}
	if exposed || beyond && unknown {
		tags[ebs.TagSupersededAt] = mark(superseded)
	}
	v.tags = changes(o.Snapshot, tags)
	if !beyond {
		return v
	}
	v.cause, v.why = causeHistory, fmt.Sprintf("it is beyond the %d revisions to keep", limitOf(o.object))
	due := superseded.Add(quiet)
	if exposed {
		due = superseded.Add(f.exposedGrace)
	}
	return f.candidate(v, due, all)
}

// newestRevision is the highest number that the status knows; what is above it is in the making.
func newestRevision(status larderv1alpha1.ImageCacheSnapshotStatus) int64 {
	newest := status.Revision
	for _, revision := range status.Revisions {
		newest = max(newest, revision.Number)
	}
	return newest
}

func limitOf(object *larderv1alpha1.ImageCacheSnapshot) int {
	if object.Spec.RevisionHistoryLimit == nil {
		return defaultHistoryLimit
	}
	return int(*object.Spec.RevisionHistoryLimit)
}

// history returns the numbers of the revisions that the limit keeps: the current one, and then the newest.
func (f *facts) history(object *larderv1alpha1.ImageCacheSnapshot, all []*owned) []int64 {
	var kept, others []int64
	if object.Status.SnapshotID != "" {
		kept = append(kept, object.Status.Revision)
	}
	for _, one := range all {
		if one.object == object && one.region == f.home && one.State == ebs.StateCompleted &&
			one.revision <= newestRevision(object.Status) && !slices.Contains(kept, one.revision) {
			others = append(others, one.revision)
		}
	}
	slices.Sort(others)
	others = slices.Compact(others)
	slices.Reverse(others)
	return append(kept, others[:min(len(others), max(0, limitOf(object)-len(kept)))]...)
}

// judgeCopy is for a copy that was made for a living object. One that is wanted again loses its mark by the sweep that
// sees it so; less than from one sweep to the next does not count.
func (f *facts) judgeCopy(o *owned, all []*owned) verdict {
	if f.asksFor(o) {
		switch {
		case o.source == o.object.Status.SnapshotID:
			return inUse(o, "it is the copy of the current revision")
		case o == f.latestCopy(o, all) && !f.hasCurrentCopy(o, all):
			return inUse(o, "it is the newest copy until that of the current revision is completed")
		}
	}
	v := verdict{owned: o, cause: causeCopy, why: "another copy has taken its place, or none is wanted in " + o.region}
	superseded := o.supersededAt()
	tags := map[string]string{tagOrphanedAt: ""}
	if marked(o.Snapshot, ebs.TagSupersededAt).IsZero() {
		superseded = f.now
		tags[ebs.TagSupersededAt] = mark(f.now)
	}
	v.tags = changes(o.Snapshot, tags)
	return f.candidate(v, superseded.Add(f.exposedGrace), all)
}

// asksFor tells whether the object wants a copy in this one's Region.
func (f *facts) asksFor(o *owned) bool {
	return slices.ContainsFunc(o.object.Spec.Copies, func(c larderv1alpha1.RegionalCopy) bool { return c.Region == o.region })
}

// hasCurrentCopy tells whether volumes can be made of the current revision in this copy's Region.
func (f *facts) hasCurrentCopy(o *owned, all []*owned) bool {
	return slices.ContainsFunc(all, func(other *owned) bool {
		return other.object == o.object && other.region == o.region && other.source == o.object.Status.SnapshotID &&
			other.State == ebs.StateCompleted
	})
}

// latestCopy is the completed copy of the newest revision in this copy's Region, or nil.
func (f *facts) latestCopy(o *owned, all []*owned) *owned {
	var latest *owned
	for _, other := range all {
		if other.object != o.object || other.region != o.region || other.State != ebs.StateCompleted {
			continue
		}
		if latest == nil || cmp.Or(cmp.Compare(other.revision, latest.revision), cmp.Compare(other.attempt, latest.attempt)) > 0 {
			latest = other
		}
	}
	return latest
}
