package template

import (
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/controllers/binding/volume"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// formerly returns the record that a version made from this one has to carry, but for its snapshot. What the device was
// before is known of a version that was made for the binding or left to it, and of one that somebody made from such a one.
func (h History) formerly(want Want, from launch.Version) record {
	known := record{binding: want.Binding, source: from.Number, origin: from.Number, was: want.Was, device: want.Device.Name}
	ours, found := ancestor(h.madeForOrLeftTo(want.Binding, want.Device.Name), want.Device.Name, from)
	switch {
	case !found:
		known.former = volumeOf(find(from.Devices, want.Device.Name))
	case ours.Number == from.Number:
		known.origin, known.was, known.former = ours.record.origin, ours.record.was, ours.record.former
	default:
		known.former = ours.record.former
	}
	known.former = withoutSnapshots(known.former, slices.Concat(want.MayName, h.applied()))
	return known
}

// applied returns the snapshots that versions of Larder name, whoever's they are.
func (h History) applied() []string {
	var ids []string
	for _, one := range h.Versions {
		if known, found := recordIn(one); found {
			ids = append(ids, known.snapshotID)
		}
	}
	return ids
}

// ofLarder is a version that was made for a binding, with its record.
type ofLarder struct {
	launch.Version
	record record
}

// madeFor returns the versions that were made for a binding, in the order of their numbers.
func (h History) madeFor(binding types.UID) []ofLarder {
	var ours []ofLarder
	for _, one := range h.Versions {
		if known, found := h.recordOf(one.Number); found && known.binding == binding {
			ours = append(ours, ofLarder{one, known})
		}
	}
	return ours
}

// madeForOrLeftTo returns also the versions that a binding takes over.
func (h History) madeForOrLeftTo(binding types.UID, device string) []ofLarder {
	var known []ofLarder
	for _, one := range h.Versions {
		if record, found := recordIn(one); found && (record.binding == binding || h.isLeft(record, device)) {
			known = append(known, ofLarder{one, record})
		}
	}
	return known
}

// ancestor returns which of these says what the device of a version was before: the version itself, or the last one that
// has the same device, which whoever made the version took over.
func ancestor(ours []ofLarder, device string, of launch.Version) (ofLarder, bool) {
	current := find(of.Devices, device)
	var last ofLarder
	for _, one := range ours {
		switch {
		case one.record.device != device:
		case one.Number == of.Number:
			return one, true
		case one.record.snapshotID != "" && current != nil && reflect.DeepEqual(find(one.Devices, device), current):
			last = one
		}
	}
	return last, last.Number != 0
}

// volumeOf returns what a binding decides of a device; nil for no device.
func volumeOf(device *launch.Device) *volume.Volume {
	if device == nil || device.EBS == nil {
		return nil
	}
	return &volume.Volume{
		SnapshotID: device.EBS.SnapshotID, SizeGiB: device.EBS.SizeGiB, Type: device.EBS.Type,
		IOPS: device.EBS.IOPS, Throughput: device.EBS.Throughput, InitializationRate: device.EBS.InitializationRate,
	}
}

// withoutSnapshots returns the volume without its snapshot if that is one of these: with a size then, since EC2 makes no
// volume of neither, and without a rate, which is for volumes made from snapshots.
func withoutSnapshots(former *volume.Volume, ids []string) *volume.Volume {
	if former == nil || former.SnapshotID == "" || !slices.Contains(ids, former.SnapshotID) {
		return former
	}
	plain := *former
	plain.SnapshotID, plain.InitializationRate = "", 0
	if plain.SizeGiB == 0 {
		plain.SizeGiB = volume.MinimumGiB
	}
	return &plain
}

// tuned returns the device with what a binding decides of it. A new one is encrypted and goes with its node.
func tuned(current *launch.Device, name string, wanted volume.Volume) launch.Device {
	yes := true
	disk := launch.Volume{Encrypted: &yes, DeleteOnTermination: &yes}
	if current != nil {
		disk = *current.EBS
	}
	disk.SnapshotID, disk.SizeGiB, disk.Type = wanted.SnapshotID, wanted.SizeGiB, wanted.Type
	disk.IOPS, disk.Throughput, disk.InitializationRate = wanted.IOPS, wanted.Throughput, wanted.InitializationRate
	return launch.Device{Name: name, EBS: &disk}
}
