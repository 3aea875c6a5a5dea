package collection

import (
	"time"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// tagOrphanedAt is when a snapshot was first seen without its object, in RFC 3339. It may have been superseded long
// before, and what is found orphaned by a mistake still has its grace.
const tagOrphanedAt = "larder.dev/orphaned-at"

// marked returns the time in a tag, zero for none or for one that a person has spoilt.
func marked(snapshot ebs.Snapshot, key string) time.Time {
	at, err := time.Parse(time.RFC3339, snapshot.Tags[key])
	if err != nil {
		return time.Time{}
	}
	return at
}

// mark is a tag's value for a time, rounded up to the second: a grace must not end early.
func mark(at time.Time) string {
	whole := at.Truncate(time.Second)
	if whole.Before(at) {
		whole = whole.Add(time.Second)
	}
	return whole.UTC().Format(time.RFC3339)
}

// changes returns those of the tags that the snapshot does not carry yet; an empty value takes a mark back.
func changes(snapshot ebs.Snapshot, tags map[string]string) map[string]string {
	changed := map[string]string{}
	for key, value := range tags {
		if snapshot.Tags[key] != value {
			changed[key] = value
		}
	}
	return changed
}

// supersededAt is when a snapshot's revision last was, by its tag and by the status; zero when neither knows.
func (o *owned) supersededAt() time.Time {
	at := marked(o.Snapshot, ebs.TagSupersededAt)
	if o.object == nil {
		return at
	}
	for _, revision := range o.object.Status.Revisions {
		if revision.Number == o.revision && revision.SupersededTime != nil && revision.SupersededTime.After(at) {
			at = revision.SupersededTime.Time
		}
	}
	return at
}

// isExposed tells whether others than this cluster may have learnt of a snapshot.
func (f *facts) isExposed(o *owned) bool {
	return o.isCopy() || o.Tags[ebs.TagExposed] != "" || len(f.copiedTo(o.Tags)) > 0
}

// isRetained tells whether a snapshot was left to people.
func isRetained(o *owned) bool {
	_, retained := o.Tags[ebs.TagRetained]
	return retained
}

// revisionOf returns the line of a revision in its object's status, or nil.
func revisionOf(o *owned) *larderv1alpha1.RevisionStatus {
	for i := range o.object.Status.Revisions {
		if o.object.Status.Revisions[i].Number == o.revision {
			return &o.object.Status.Revisions[i]
		}
	}
	return nil
}
