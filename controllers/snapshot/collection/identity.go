package collection

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// identity is what Larder's tags say of a snapshot. Within a Region each has one snapshot that Larder made; others with
// the same are copies that a person made, tags and all.
type identity struct {
	uid               types.UID
	revision, attempt int64
	// source is the home snapshot of a copy, and empty for a home snapshot.
	source string
}

// owned is a snapshot that Larder made for this cluster.
type owned struct {
	ebs.Snapshot
	identity
	region string
	// object is what it was made for, or nil when that is gone.
	object *larderv1alpha1.ImageCacheSnapshot
}

func (o *owned) isCopy() bool { return o.source != "" }

// uidShape is how an API server writes a UID.
var uidShape = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// identify reads the tags of a snapshot. It is false for whatever does not carry them just as Larder writes them.
func (f *facts) identify(region string, snapshot ebs.Snapshot) (identity, bool) {
	tags := snapshot.Tags
	source, isCopy := tags[ebs.TagSourceID]
	found := identity{
		uid:      types.UID(tags[ebs.TagObjectUID]),
		revision: number(tags[ebs.TagRevision]),
		attempt:  number(tags[ebs.TagAttempt]),
		source:   source,
	}
	_, lives := f.living[found.uid]
	return found, tags[ebs.TagClusterUID] == string(f.cluster) &&
		(lives || uidShape.MatchString(string(found.uid))) &&
		found.revision > 0 && found.attempt > 0 &&
		isCopy == (region != f.home) && isCopy == (source != "") &&
		f.matchesSource(region, found)
}

// matchesSource holds unless the home snapshot is there and knows nothing of a copy like this.
func (f *facts) matchesSource(region string, found identity) bool {
	if found.source == "" {
		return true
	}
	i := slices.IndexFunc(f.found[f.home], func(s ebs.Snapshot) bool { return s.ID == found.source })
	if i < 0 {
		return true // deleted by a person; its copy is still ours
	}
	home, ok := f.identify(f.home, f.found[f.home][i])
	home.source = found.source
	return ok && home == found && slices.Contains(f.copiedTo(f.found[f.home][i].Tags), region)
}

// number is 0 for all but a positive number as strconv writes it.
func number(text string) int64 {
	parsed, err := strconv.ParseInt(text, 10, 64)
	if err != nil || parsed < 1 || strconv.FormatInt(parsed, 10) != text {
		return 0
	}
	return parsed
}

// own returns what Larder made, by Region and age.
func (f *facts) own() []*owned {
	var all []*owned
	for _, region := range slices.Sorted(maps.Keys(f.found)) {
		same := map[identity][]*owned{}
		var order []identity
		for _, snapshot := range f.found[region] {
			found, ok := f.identify(region, snapshot)
			if !ok || f.isSpent(region, snapshot.ID, found) {
				continue
			}
			if same[found] == nil {
				order = append(order, found)
			}
			same[found] = append(same[found], &owned{Snapshot: snapshot, identity: found, region: region, object: f.living[found.uid]})
		}
		for _, one := range order {
			if ours := f.original(same[one]); ours != nil {
				all = append(all, ours)
			}
		}
	}
	return all
}

// isSpent tells whether another snapshot had this identity, which was deleted. What a status names is ours all the same.
func (f *facts) isSpent(region, id string, found identity) bool {
	if f.named[id] {
		return false
	}
	_, spent := f.ledger.spentBy(region, id, found)
	return spent
}

// original returns the one of several with the same identity that Larder made: the one that a status names, else the
// one that was started first. If neither can be told, it is nil.
func (f *facts) original(same []*owned) *owned {
	slices.SortStableFunc(same, func(a, b *owned) int {
		return cmp.Or(-compareBool(f.named[a.ID], f.named[b.ID]), a.StartTime.Compare(b.StartTime))
	})
	first := same[0]
	for _, other := range same[1:] {
		if f.named[other.ID] == f.named[first.ID] && other.StartTime.Equal(first.StartTime) {
			return nil
		}
	}
	return first
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// namedBy has the ids that the objects' statuses know as theirs.
func namedBy(objects []larderv1alpha1.ImageCacheSnapshot) map[string]bool {
	named := map[string]bool{}
	for _, object := range objects {
		named[object.Status.SnapshotID] = true
		for _, revision := range object.Status.Revisions {
			named[revision.SnapshotID] = true
		}
		for _, one := range object.Status.Copies {
			named[one.SnapshotID] = true
		}
	}
	return named
}
