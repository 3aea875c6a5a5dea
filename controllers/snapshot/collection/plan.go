package collection

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	// DefaultExposedGrace is how long what others may have learnt of stays after it was superseded: whoever reads a
	// parameter or a shared snapshot's id does so at their own pace.
	DefaultExposedGrace = 30 * 24 * time.Hour
	// refusalInterval is how often it is tried to delete what AWS keeps because an AMI is made of it. Nothing that may
	// be listed tells that beforehand.
	refusalInterval = time.Hour
	// DefaultOrphanGrace is how long the snapshots of an object that is gone stay: time for a person to see by the
	// events that, for instance, an API server was restored without its objects.
	DefaultOrphanGrace = time.Hour
	// quiet is how long a revision stays after it was superseded, however low the limit is: a binding that has read
	// its id may be about to write it, which takes up to a request's time limit.
	quiet = 30 * time.Second
	// defaultHistoryLimit is that of spec.revisionHistoryLimit.
	defaultHistoryLimit = 3
)

// facts are what a sweep has found; plan decides on nothing else.
type facts struct {
	// now is from before anything was listed.
	now     time.Time
	cluster types.UID
	// home is the operator's own Region.
	home string
	// found has what carries the cluster's UID, by Region, the oldest first; a Region that could not be read is absent.
	found map[string][]ebs.Snapshot
	// living are all objects, also those that are being deleted, as they were after everything was found.
	living map[types.UID]*larderv1alpha1.ImageCacheSnapshot
	// named has the ids that their statuses know as theirs.
	named  map[string]bool
	ledger ledger
	// looked has, by Region, what was looked up because something there is due.
	looked map[string]lookUp
	// refused has the snapshots that AWS did not delete since an AMI is made of them, and when that was.
	refused map[string]time.Time

	copiedTo                  func(tags map[string]string) []string
	exposedGrace, orphanGrace time.Duration
}

// lookUp is who uses a Region's snapshots.
type lookUp struct {
	users    references.References
	restores []ebs.FastRestore
}

// cause is why a snapshot is to go.
type cause string

const (
	causeHistory cause = "BeyondHistoryLimit"
	causeOrphan  cause = "ObjectGone"
	causeCopy    cause = "CopyUnwanted"
)

// action is what a sweep does about a snapshot beside its tags.
type action string

const (
	// doKeep is for what is not to go.
	doKeep action = "Keep"
	// doWait is for what is to go, but not yet.
	doWait action = "Wait"
	// doLookUp is for what is due as far as is known: who uses it has to be looked up, and then is planned again.
	doLookUp action = "LookUp"
	// doDisable turns fast restores off.
	doDisable action = "Disable"
	doDelete  action = "Delete"
)

// verdict is what becomes of one snapshot.
type verdict struct {
	*owned
	do action
	// cause is empty for what is not to go.
	cause cause
	// why says what keeps it, or why it goes and what it waits for.
	why string
	// tags are to be written.
	tags map[string]string
	// zones are where fast restores are to be disabled.
	zones []string
	// gone is set once it is deleted.
	gone bool
}

// decision is what plan makes of facts.
type decision struct {
	verdicts []verdict
	// ledger has what is to be changed there: nil for keys that are not needed any more.
	ledger map[string]any
}

// plan judges every snapshot that is Larder's.
func plan(f *facts) decision {
	all := f.own()
	var d decision
	for _, one := range all {
		d.verdicts = append(d.verdicts, f.judge(one, all))
	}
	d.ledger = f.settled(all)
	for _, one := range all {
		if original, spent := f.ledger.spentBy(one.region, one.ID, one.identity); spent {
			d.ledger[original], d.ledger[one.ID] = nil, newSpent(one, f.now)
		}
	}
	return d
}

func (f *facts) judge(o *owned, all []*owned) verdict {
	left, recorded := f.ledger.retained[o.uid]
	switch {
	case !slices.Contains([]string{ebs.StatePending, ebs.StateCompleted, ebs.StateError}, o.State):
		return keep(o, "its state "+o.State+" is none that Larder makes: a person is at work")
	case isRetained(o):
		return keep(o, "it was left to people")
	case recorded && o.object == nil:
		v := keep(o, "its object was deleted with deletionPolicy Retain")
		v.tags = changes(o.Snapshot, map[string]string{ebs.TagRetained: mark(left.Time.Time)})
		return v
	case recorded:
		return keep(o, "its object is about to leave it to people")
	case o.object == nil:
		return f.judgeOrphan(o, all)
	case o.object.Spec.Suspend:
		return keep(o, "its object is suspended")
	case o.isCopy():
		return f.judgeCopy(o, all)
	}
	return f.judgeRevision(o, all)
}

func keep(o *owned, why string) verdict { return verdict{owned: o, do: doKeep, why: why} }

// inUse keeps a snapshot of a living object, and takes back what an earlier time without use has left on it.
func inUse(o *owned, why string) verdict {
	v := keep(o, why)
	v.tags = changes(o.Snapshot, map[string]string{ebs.TagSupersededAt: "", tagOrphanedAt: ""})
	return v
}

// judgeOrphan marks what has lost its object, and lets it go after a grace.
func (f *facts) judgeOrphan(o *owned, all []*owned) verdict {
	v := verdict{owned: o, cause: causeOrphan, why: "its ImageCacheSnapshot is gone"}
	tags := map[string]string{}
	if marked(o.Snapshot, ebs.TagSupersededAt).IsZero() {
		tags[ebs.TagSupersededAt] = mark(f.now)
	}
	orphaned := marked(o.Snapshot, tagOrphanedAt)
	if orphaned.IsZero() {
		orphaned = f.now
		tags[tagOrphanedAt] = mark(f.now)
	}
	v.tags = changes(o.Snapshot, tags)
	// Not from the older mark: it may have been the current one again, until its object went.
	due := orphaned.Add(f.orphanGrace)
	if f.isExposed(o) {
		due = later(due, orphaned.Add(f.exposedGrace))
	}
	return f.candidate(v, due, all)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// candidate decides how far a snapshot that is to go has come on its way.
func (f *facts) candidate(v verdict, due time.Time, all []*owned) verdict {
	v.do = doWait
	if len(v.tags) > 0 || f.now.Before(due) {
		v.why += "; it stays until " + mark(due)
		return v
	}
	if left := f.copiesLeft(v.owned, all); left != "" {
		v.why += "; " + left
		return v
	}
	if at, refused := f.refused[v.ID]; refused && f.now.Sub(at) < refusalInterval {
		v.why += keptByAMI
		return v
	}
	known, ok := f.looked[v.region]
	if !ok {
		v.do = doLookUp
		return v
	}
	users := known.users.Of(v.ID)
	if !v.isCopy() {
		users = append(users, known.users.OfRevision(v.uid, v.revision)...)
	}
	if len(users) > 0 {
		v.why += "; it stays as long as it is used by " + strings.Join(slices.Compact(slices.Sorted(slices.Values(users))), ", ")
		return v
	}
	return withoutRestores(v, known.restores)
}

// keptByAMI says why AWS keeps a snapshot.
const keptByAMI = "; it stays as long as an AMI is made of it: deregister the AMI first"

// copiesLeft says why a home snapshot has to stay, which is how its copies are found; empty if it need not.
func (f *facts) copiesLeft(o *owned, all []*owned) string {
	for _, other := range all {
		if other.source == o.ID {
			return fmt.Sprintf("it stays until its copy %s in %s is gone", other.ID, other.region)
		}
	}
	for _, region := range f.copiedTo(o.Tags) {
		if _, read := f.found[region]; !read {
			return "it stays until " + region + " can be read, where it may have a copy"
		}
	}
	return ""
}

// withoutRestores deletes only what has no fast restores: those of a deleted snapshot could not be seen any more.
func withoutRestores(v verdict, restores []ebs.FastRestore) verdict {
	v.do = doDelete
	for _, one := range restores {
		switch {
		case one.SnapshotID != v.ID, one.State == ebs.FastRestoreDisabled:
		case one.State == ebs.FastRestoreDisabling:
			if v.do == doDelete {
				v.do = doWait
			}
		default:
			v.do = doDisable
			v.zones = append(v.zones, one.AvailabilityZone)
		}
	}
	if v.do != doDelete {
		v.why += "; its fast snapshot restores are turned off first"
	}
	return v
}

// due returns the snapshots for which it has to be looked up who uses them, by Region.
func (d decision) due() map[string][]string {
	ids := map[string][]string{}
	for _, v := range d.verdicts {
		if v.do == doLookUp {
			ids[v.region] = append(ids[v.region], v.ID)
		}
	}
	return ids
}

// settled has nil for the keys of the ledger that have done their work.
func (f *facts) settled(all []*owned) map[string]any {
	keys := map[string]any{}
	for uid, left := range f.ledger.retained {
		if f.living[uid] == nil && f.isTagged(uid, left, all) {
			keys[string(uid)] = nil
		}
	}
	for id, one := range f.ledger.spent {
		listed, read := f.found[one.Region]
		there := slices.ContainsFunc(listed, func(s ebs.Snapshot) bool {
			found, ok := f.identify(one.Region, s)
			return s.ID == id || ok && found == one.identity()
		})
		if read && !there && f.isShown(one.Time.Time) {
			keys[id] = nil
		}
	}
	return keys
}

// isTagged tells whether AWS shows everything of a retained object, and all of it as left to people.
func (f *facts) isTagged(uid types.UID, left retention, all []*owned) bool {
	regions := slices.Concat(left.Regions, []string{f.home})
	for _, one := range all {
		if one.uid != uid {
			continue
		}
		if !isRetained(one) {
			return false
		}
		regions = append(regions, f.copiedTo(one.Tags)...)
	}
	read := slices.Collect(maps.Keys(f.found))
	unread := slices.ContainsFunc(regions, func(region string) bool { return !slices.Contains(read, region) })
	return !unread && f.isShown(left.Time.Time)
}

// isShown tells whether AWS had the time to show everything that was made until then.
func (f *facts) isShown(until time.Time) bool { return f.now.Sub(until) > ebs.AppearsWithin }
