package distribution

import (
	"slices"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// longestRestores is how many zones the API takes in status.fastSnapshotRestore.
const longestRestores = 10

// restoreFacts are what a pass has observed of fast snapshot restore; planRestores decides on nothing else.
type restoreFacts struct {
	// wanted are the zones of the spec.
	wanted []string
	// marked are the zones that the written status names.
	marked  []string
	current string
	// found are the states of the current and all superseded snapshots.
	found []ebs.FastRestore
}

// restoreDecision is what planRestores makes of restoreFacts.
type restoreDecision struct {
	// states become status.fastSnapshotRestore. While anything may be enabled it is not empty, since passes do not
	// look otherwise.
	states []larderv1alpha1.FastSnapshotRestoreStatus
	// enable are zones for the current snapshot.
	enable []string
	// disable has zones by the snapshot's id.
	disable map[string][]string
	// unmarked means that there are zones to be enabled in a pass that finds them written.
	unmarked bool
	// ready means that it is enabled in all wanted zones.
	ready bool
}

// planRestores decides what to enable and to disable.
func planRestores(f restoreFacts) restoreDecision {
	d := restoreDecision{disable: map[string][]string{}, ready: true}
	for _, zone := range f.wanted {
		state := f.stateOf(f.current, zone)
		d.states = append(d.states, larderv1alpha1.FastSnapshotRestoreStatus{AvailabilityZone: zone, State: state})
		d.ready = d.ready && state == ebs.FastRestoreEnabled
		switch {
		case state != ebs.FastRestoreDisabled:
		case slices.Contains(f.marked, zone):
			d.enable = append(d.enable, zone)
		default:
			d.unmarked = true
		}
	}
	for _, one := range f.found {
		if f.unneeded(one, d.ready) {
			d.disable[one.SnapshotID] = append(d.disable[one.SnapshotID], one.AvailabilityZone)
		}
		if len(f.wanted) == 0 && one.State != ebs.FastRestoreDisabled {
			d.remember(one)
		}
	}
	return d
}

// remember lists a zone that is being left.
func (d *restoreDecision) remember(one ebs.FastRestore) {
	listed := slices.ContainsFunc(d.states, func(s larderv1alpha1.FastSnapshotRestoreStatus) bool {
		return s.AvailabilityZone == one.AvailabilityZone
	})
	if !listed && len(d.states) < longestRestores {
		d.states = append(d.states, larderv1alpha1.FastSnapshotRestoreStatus{AvailabilityZone: one.AvailabilityZone, State: one.State})
	}
}

// unneeded holds for what only costs: a zone that nobody wants; on a superseded snapshot what never got enabled, and
// the rest as soon as the current one takes over.
func (f restoreFacts) unneeded(one ebs.FastRestore, ready bool) bool {
	switch {
	case one.State == ebs.FastRestoreDisabling, one.State == ebs.FastRestoreDisabled:
		return false
	case !slices.Contains(f.wanted, one.AvailabilityZone):
		return true
	case one.SnapshotID == f.current:
		return false
	}
	return ready || one.State != ebs.FastRestoreEnabled
}

// stateOf is disabled where AWS knows nothing.
func (f restoreFacts) stateOf(snapshot, zone string) string {
	for _, one := range f.found {
		if one.SnapshotID == snapshot && one.AvailabilityZone == zone {
			return one.State
		}
	}
	return ebs.FastRestoreDisabled
}
