package template

import (
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/volume"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Want is what a binding wants of a version.
type Want struct {
	// Binding is its UID.
	Binding types.UID
	// From is the version that the consumer is on now. One that was deleted since is replaced by the last one that was made
	// for the binding.
	From launch.Version
	// Device is what the binding asks for.
	Device v1alpha1.Device
	// RootDevice is what the nodes boot from; empty when that is not known.
	RootDevice string
	// Was is what the consumer calls From: "$Latest", "$Default", a number, or nothing. It is kept with the version.
	Was string
	// NewerThan is the number above which a version may be used again.
	NewerThan int64
	// MayName are ids of snapshots of Larder. They never count as what the device was before: they will be deleted one day.
	MayName []string
}

// Step is the version that a consumer is to be on.
type Step struct {
	// Number is that of a version that exists; 0 when it is to be made.
	Number int64
	// Publish is the version to be made; nil when it exists.
	Publish *launch.NewVersion
}

// With returns the version with which the device boots with the snapshot: From itself if it does already. Without a
// snapshot it only looks for problems, which are DeviceDuplicated, DeviceInvalid, VolumeSizeTooSmall,
// DeviceClaimedByOtherBinding, LaunchTemplateVersionNotFound and LaunchTemplateVersionLimit.
func (h History) With(want Want, snapshot binding.Snapshot) (Step, *binding.Problem) {
	from, problem := h.base(want)
	if problem != nil {
		return Step{}, problem
	}
	if problem := h.refuse(want, from); problem != nil {
		return Step{}, problem
	}
	known := h.formerly(want, from)
	own := volume.Volume{}
	if known.former != nil {
		own = *known.former
	}
	name := want.Device.Name
	wanted, problem := volume.From(own, volume.OfDevice(&want.Device), snapshot, volume.Words{Volume: name, Fields: "device."})
	if problem != nil {
		return Step{}, problem
	}
	if snapshot.ID == "" {
		return Step{Number: from.Number}, nil
	}
	device := tuned(find(from.Devices, name), name, wanted)
	known.snapshotID = snapshot.ID
	return h.step(want, from, known, replace(from.Devices, name, &device))
}

// Without returns the version with which the device is as it was before the binding: From itself if it is.
func (h History) Without(want Want) (Step, *binding.Problem) {
	from, problem := h.base(want)
	if problem != nil {
		return Step{}, problem
	}
	name := want.Device.Name
	current := find(from.Devices, name)
	if current == nil || current.EBS == nil || h.isOthers(want, from) {
		return Step{Number: from.Number}, nil
	}
	known := h.formerly(want, from)
	known.snapshotID = ""
	if known.former == nil {
		return h.step(want, from, known, replace(from.Devices, name, nil))
	}
	device := tuned(current, name, *known.former)
	return h.step(want, from, known, replace(from.Devices, name, &device))
}

// base returns the version that the next one is made from.
func (h History) base(want Want) (launch.Version, *binding.Problem) {
	if from, found := h.version(want.From.Number); found {
		return from, nil
	}
	if ours := h.madeFor(want.Binding); len(ours) > 0 {
		return ours[len(ours)-1].Version, nil
	}
	return launch.Version{}, &binding.Problem{
		Reason: v1alpha1.ReasonVersionNotFound, Stalled: true, RetryAfter: afterPerson,
		Message: fmt.Sprintf("version %d of launch template %s does not exist any more, and nothing can be launched with it: have the "+
			"target launch with a version that exists", want.From.Number, h.Template.ID),
	}
}

// refuse says why the device cannot be made from a snapshot.
func (h History) refuse(want Want, from launch.Version) *binding.Problem {
	name := want.Device.Name
	where := fmt.Sprintf("version %d of launch template %s", from.Number, h.Template.ID)
	invalid := func(reason, format string, args ...any) *binding.Problem {
		return &binding.Problem{Reason: reason, Stalled: true, RetryAfter: afterPerson, Message: fmt.Sprintf(format, args...)}
	}
	same := 0
	for _, device := range from.Devices {
		if device.Name == name {
			same++
		}
	}
	current := find(from.Devices, name)
	claimant := h.claimant(want, from)
	switch {
	case same > 1:
		return invalid(v1alpha1.ReasonDeviceDuplicated, "%s lists %s %d times, and EC2 takes one: publish a version with one", where, name, same)
	case name == want.RootDevice:
		return invalid(v1alpha1.ReasonDeviceInvalid, "%s is the root device of the nodes, which boot from it: name the data device in "+
			"device.name, /dev/xvdb for Bottlerocket", name)
	case current != nil && current.EBS == nil:
		return invalid(v1alpha1.ReasonDeviceInvalid, "%s of %s has no ebs, so it is no volume that a snapshot could fill: publish a version "+
			"without it, or name another device", name, where)
	case claimant != "":
		return invalid(v1alpha1.ReasonDeviceClaimed, "%s of %s was written for NodeClassBinding %s: delete one of the two bindings, or "+
			"give this one another device", name, where, claimant)
	default:
		return nil
	}
}

// claimant returns the name of the other binding that the device was written for, if that exists; empty for none.
func (h History) claimant(want Want, from launch.Version) string {
	known, found := recordIn(from)
	if !found || known.binding == want.Binding || known.device != want.Device.Name || known.snapshotID == "" {
		return ""
	}
	return h.Bindings[known.binding]
}

// isOthers tells whether the device is another binding's: one that exists, or one that left it with a snapshot that this one
// never had.
func (h History) isOthers(want Want, from launch.Version) bool {
	known, found := recordIn(from)
	left := found && known.binding != want.Binding && h.isLeft(known, want.Device.Name)
	return h.claimant(want, from) != "" || left && !slices.Contains(want.MayName, known.snapshotID)
}

// step finds or plans the version that takes the place of from.
func (h History) step(want Want, from launch.Version, known record, devices []launch.Device) (Step, *binding.Problem) {
	if reflect.DeepEqual(from.Devices, devices) {
		return Step{Number: from.Number}, nil
	}
	source := from
	if len(devices) == 0 {
		origin, found := h.version(known.origin)
		if !found || len(origin.Devices) > 0 {
			return Step{}, h.notRestorable(want, from)
		}
		source = origin
	}
	if number := h.madeBefore(want, source, known, devices); number != 0 {
		return Step{Number: number}, nil
	}
	if len(h.Versions) >= versionLimit {
		return Step{}, limitReached(h.Template.ID, nil)
	}
	next := launch.NewVersion{
		TemplateID: h.Template.ID, Source: source.Number, Devices: devices, UserData: source.UserData, Description: known.String(),
	}
	next.Token = h.token(want.Binding, next)
	return Step{Publish: &next}, nil
}

// notRestorable is of a version whose only device is Larder's.
func (h History) notRestorable(want Want, from launch.Version) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonVersionNotFound, Stalled: true, RetryAfter: afterPerson,
		Message: fmt.Sprintf("version %d of launch template %s has no other device than %s, EC2 makes no version without devices of one "+
			"that has some, and the version without that it came from does not exist any more: publish one, or set deletionPolicy Leave",
			from.Number, h.Template.ID, want.Device.Name),
	}
}

// madeBefore returns the last version that a pass made for the same, which may have ended before the consumer was told; 0
// for none.
func (h History) madeBefore(want Want, source launch.Version, known record, devices []launch.Device) int64 {
	for _, one := range slices.Backward(h.Versions) {
		if one.Number <= want.NewerThan {
			return 0
		}
		equal := one.Description == known.String() && reflect.DeepEqual(one.Devices, devices) && launchesAlike(one, source)
		if _, trusted := recordIn(one); equal && trusted {
			return one.Number
		}
	}
	return 0
}

// replace returns the list with the device in its place, or at the end; without it when wanted is nil. An empty list is nil,
// as it is read.
func replace(devices []launch.Device, name string, wanted *launch.Device) []launch.Device {
	next := slices.Clone(devices)
	at := slices.IndexFunc(next, func(device launch.Device) bool { return device.Name == name })
	switch {
	case at < 0 && wanted != nil:
		return append(next, *wanted)
	case at >= 0 && wanted != nil:
		next[at] = *wanted
	case at >= 0 && len(next) == 1:
		return nil
	case at >= 0:
		next = slices.Delete(next, at, at+1)
	}
	return next
}
