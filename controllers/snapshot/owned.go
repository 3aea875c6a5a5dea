package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// heldOf returns which of the snapshots someone names beside their own object. When that cannot be found out, it is all
// of them.
func (r *Reconciler) heldOf(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, snapshots []ebs.Snapshot) (map[string]bool, *failure) {
	users, err := r.References.List(ctx, r.Consumers...)
	held := map[string]bool{}
	for _, snapshot := range snapshots {
		held[snapshot.ID] = err != nil || len(users.Without(object.Name).Of(snapshot.ID)) > 0
	}
	if err != nil {
		return held, referencesFailure(err)
	}
	return held, nil
}

func (r *Reconciler) observeSnapshots(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, m *memory, f *facts) {
	recorded := []string{f.status.SnapshotID, f.attempt().SnapshotID}
	for _, made := range f.status.Revisions {
		recorded = append(recorded, made.SnapshotID)
	}
	owned, err := r.findOwned(ctx, object, recorded)
	if err != nil {
		f.unlisted = awsFailure(err)
		return
	}
	f.owned = owned
	since := map[string]time.Time{}
	for _, name := range f.expected() {
		if f.find(name) != nil {
			continue
		}
		since[name] = f.now
		if before, known := m.missing[name]; known {
			since[name] = before
		}
	}
	m.missing = since
	f.missing = map[string]time.Duration{}
	for name, at := range since {
		f.missing[name] = f.now.Sub(at)
	}
}

// findOwned looks by tags, and by id for what the tags do not show yet. Everything it returns carries the
// object's tags, so nothing else is ever deleted, whatever stands in a status.
func (r *Reconciler) findOwned(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, recorded []string) ([]ebs.Snapshot, error) {
	tags := r.ownership(object)
	owned, err := r.Snapshots.Find(ctx, tags)
	if err != nil {
		return nil, err
	}
	for _, id := range recorded {
		if id == "" || slices.ContainsFunc(owned, func(s ebs.Snapshot) bool { return s.ID == id }) {
			continue
		}
		snapshot, err := r.Snapshots.Describe(ctx, id)
		if larderaws.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if hasTags(snapshot, tags) {
			owned = append(owned, snapshot)
		}
	}
	return withoutLikenesses(owned, recorded), nil
}

// withoutLikenesses leaves out copies that a person made with all our tags: an attempt makes one snapshot at most, which
// was there before any copy of it, and is the one that was recorded.
func withoutLikenesses(owned []ebs.Snapshot, recorded []string) []ebs.Snapshot {
	first := map[string]string{}
	for _, snapshot := range owned {
		name := tagName(&snapshot)
		if _, known := first[name]; !known || slices.Contains(recorded, snapshot.ID) {
			first[name] = snapshot.ID
		}
	}
	return slices.DeleteFunc(owned, func(s ebs.Snapshot) bool { return first[tagName(&s)] != s.ID })
}

func hasTags(snapshot ebs.Snapshot, tags map[string]string) bool {
	for key, value := range tags {
		if snapshot.Tags[key] != value {
			return false
		}
	}
	return true
}

// mayHideAttempt holds for an interrupted attempt whose snapshot is not there, although AWS may have it.
func (f *facts) mayHideAttempt() bool {
	name := attemptName(f.attempt())
	return f.interrupted() && f.find(name) == nil && !f.gone(name)
}

// expected names what should exist in AWS: snapshots by their ids, and by its name the attempt that was
// interrupted, which may have got its snapshot without learning the id.
func (f *facts) expected() []string {
	var names []string
	attempt := f.attempt()
	if f.status.SnapshotID != "" {
		names = append(names, f.status.SnapshotID)
	}
	switch {
	case attempt.Step == larderv1alpha1.BuildCompleting:
		names = append(names, attempt.SnapshotID)
	case f.interrupted():
		names = append(names, attemptName(attempt))
	}
	return names
}

// find returns the owned snapshot with this id, or of this attempt.
func (f *facts) find(name string) *ebs.Snapshot {
	for i := range f.owned {
		snapshot := &f.owned[i]
		if snapshot.ID == name || tagName(snapshot) == name {
			return snapshot
		}
	}
	return nil
}

func attemptName(attempt *larderv1alpha1.BuildStatus) string {
	return fmt.Sprintf("revision %d, attempt %d", attempt.Revision, attempt.Attempt)
}

func tagName(snapshot *ebs.Snapshot) string {
	return attemptName(&larderv1alpha1.BuildStatus{
		Revision: numberTag(snapshot, ebs.TagRevision),
		Attempt:  numberTag(snapshot, ebs.TagAttempt),
	})
}

// numberTag is 0 for a tag that is not there, or that a person has spoilt.
func numberTag(snapshot *ebs.Snapshot, key string) int64 {
	number, err := strconv.ParseInt(snapshot.Tags[key], 10, 64)
	if err != nil || number < 0 {
		return 0
	}
	return number
}

// gone holds for what AWS has denied for as long as it can be wrong.
func (f *facts) gone(name string) bool {
	return f.missing[name] >= ebs.AppearsWithin
}
