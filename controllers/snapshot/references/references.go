package references

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// References are all that were found at one moment. The zero value has none.
type References struct {
	all []reference
}

// reference is one user of snapshots.
type reference struct {
	// name is as kubectl takes it, "ec2nodeclass/gpu", or a launch template version's.
	name string
	// snapshotIDs are those that the user names itself; some may be empty.
	snapshotIDs []string
	// object is the name of the ImageCacheSnapshot that a binding refers to.
	object string
	// pinned is a revision that an ImageCacheSnapshot is to go back to.
	pinned revision
}

// revision is one of an ImageCacheSnapshot, known by its UID; the number 0 is none.
type revision struct {
	of     types.UID
	number int64
}

// Of names everything that may still use one of these snapshots, sorted, each once.
func (r References) Of(snapshotIDs ...string) []string {
	return r.names(func(one reference) bool { return one.holds(snapshotIDs) })
}

// OfRevision names what may still use a revision without naming its snapshot: an object that is pinned to it.
func (r References) OfRevision(object types.UID, number int64) []string {
	return r.names(func(one reference) bool { return number > 0 && one.pinned == revision{object, number} })
}

// OfObject names everything but the object itself that stands in the way of deleting an ImageCacheSnapshot with these
// snapshots: what may use one of them, and bindings that refer to the object, also those that name no snapshot yet.
func (r References) OfObject(name string, snapshotIDs ...string) []string {
	return r.Without(name).names(func(one reference) bool { return one.object == name || one.holds(snapshotIDs) })
}

// Without returns the references of everything but one ImageCacheSnapshot, for its own controller: that knows better
// than the status which of the object's snapshots it still wants.
func (r References) Without(object string) References {
	return References{slices.DeleteFunc(slices.Clone(r.all), func(one reference) bool { return one.name == nameOfObject(object) })}
}

func (r References) names(wanted func(reference) bool) []string {
	var names []string
	for _, one := range r.all {
		if wanted(one) {
			names = append(names, one.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r reference) holds(snapshotIDs []string) bool {
	return slices.ContainsFunc(r.snapshotIDs, func(id string) bool { return id != "" && slices.Contains(snapshotIDs, id) })
}

func nameOfObject(name string) string { return "imagecachesnapshot/" + name }
