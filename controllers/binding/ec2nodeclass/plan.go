package ec2nodeclass

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// mapping is one entry of spec.blockDeviceMappings, as it is in JSON.
type mapping = map[string]any

// write is a change to one class. It replaces the whole list.
type write struct {
	class *unstructured.Unstructured
	// devices is the list to write; nil to leave the class without one.
	devices []any
	// record is what to note on the class; empty to leave nothing.
	record record
	// restores tells that the device is given back, and releases that Larder then owns no field of the class any more.
	restores, releases bool
}

// Plan implements binding.Observation.
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, _ time.Time) binding.Plan {
	if o.class == nil {
		return binding.Plan{Problem: o.problem}
	}
	device := &b.Spec.Target.EC2NodeClass.Device
	devices := devicesOf(o.class)
	owner := lastWriter(o.class)
	plan := binding.Plan{InPlace: snapshotOf(find(devices, device.Name)), Remedy: remedy(owner, o.class.GetName()), Pools: o.pools()}
	if plan.Problem = o.checkDevices(devices, device.Name); plan.Problem != nil {
		return plan
	}
	if plan.Problem = o.checkFormat(snapshot); plan.Problem != nil {
		return plan
	}
	known, err := readRecord(o.class)
	if err != nil {
		plan.Problem = unreadableRecord(o.class.GetName(), err)
		return plan
	}
	family := familyOf(o.class)
	complete := devices
	if len(devices) == 0 {
		complete = defaultDevices(family)
	}
	current := find(complete, device.Name)
	own := current // what the class itself says of the device, as opposed to what Larder wrote
	if known.hasWritten(device.Name, current) {
		own = known.former[device.Name]
	} else {
		known = known.taking(family, devices, device.Name, b.Status.AppliedSnapshotID, snapshot.ID)
	}
	wanted, problem := desired(o.class.GetName(), current, own, device, snapshot)
	if problem != nil || snapshot.ID == "" {
		plan.Problem = problem
		return plan
	}
	next := replace(complete, device.Name, wanted)
	if reflect.DeepEqual(devices, next) {
		return plan
	}
	plan.Write = &write{class: o.class, devices: next, record: known.withApplied(device.Name, snapshot.ID)}
	if owner != fieldManager {
		plan.TakenBackBy = owner
	}
	return plan
}

func (o *observation) checkDevices(devices []any, name string) *binding.Problem {
	class, family := o.class.GetName(), familyOf(o.class)
	same := 0
	for _, device := range devices {
		if nameOf(device) == name {
			same++
		}
	}
	switch {
	case same > 1:
		return &binding.Problem{
			Reason: v1alpha1.ReasonDeviceDuplicated, Stalled: true,
			Message: fmt.Sprintf("EC2NodeClass %s lists %s %d times in spec.blockDeviceMappings, and EC2 takes one: "+
				"remove the others", class, name, same),
		}
	case name == rootDevice(family):
		return invalid("%s is the root device of %s nodes, which boot from it: name the data device in "+
			"spec.target.ec2NodeClass.device, /dev/xvdb for Bottlerocket", name, family)
	case len(devices) == 0 && defaultDevices(family) == nil:
		return invalid("EC2NodeClass %s has no spec.blockDeviceMappings, and a list with %s alone would replace the "+
			"root device that Karpenter adds for family %s: add the root device to spec.blockDeviceMappings first",
			class, name, family)
	default:
		return nil
	}
}

// checkFormat keeps nodes from booting with a volume that is no use to them. Worse than that, Bottlerocket mounts its
// data partition by its name, and a volume of the format Containerd has none.
func (o *observation) checkFormat(snapshot binding.Snapshot) *binding.Problem {
	class, family := o.class.GetName(), familyOf(o.class)
	mismatch := func(why, remedy string) *binding.Problem {
		return &binding.Problem{
			Reason: v1alpha1.ReasonFormatMismatch, Stalled: true,
			Message: fmt.Sprintf("snapshot %s has the format %s, %s: %s", snapshot.ID, snapshot.Format, why, remedy),
		}
	}
	switch {
	case snapshot.Format == v1alpha1.FormatFiles:
		return mismatch("which holds no images that the containerd of a node could run",
			"name an ImageCacheSnapshot of the format Bottlerocket or Containerd in spec.snapshot.ref")
	case snapshot.Format == v1alpha1.FormatContainerd && family == "Bottlerocket":
		return mismatch(fmt.Sprintf("and the nodes of EC2NodeClass %s are Bottlerocket, which has its data in a partition", class),
			"name an ImageCacheSnapshot of the format Bottlerocket in spec.snapshot.ref")
	default:
		return nil
	}
}

func invalid(format string, args ...any) *binding.Problem {
	return &binding.Problem{Reason: v1alpha1.ReasonDeviceInvalid, Stalled: true, Message: fmt.Sprintf(format, args...)}
}

// devicesOf returns a copy of the class's list, whose entries are shared with the class and must not be changed.
func devicesOf(class *unstructured.Unstructured) []any {
	spec, _ := class.Object["spec"].(map[string]any)
	devices, _ := spec["blockDeviceMappings"].([]any)
	return slices.Clone(devices)
}

func nameOf(device any) string {
	entry, _ := device.(mapping)
	name, _ := entry["deviceName"].(string)
	return name
}

// find returns the first device of that name, nil when there is none.
func find(devices []any, name string) mapping {
	for _, device := range devices {
		if nameOf(device) == name {
			return device.(mapping)
		}
	}
	return nil
}

// replace returns the list with the device in its place, or at the end; without it when wanted is nil.
func replace(devices []any, name string, wanted mapping) []any {
	next := make([]any, 0, len(devices)+1)
	for _, device := range devices {
		if nameOf(device) != name {
			next = append(next, device)
		} else if wanted != nil {
			next = append(next, wanted)
			wanted = nil
		}
	}
	if wanted != nil {
		next = append(next, wanted)
	}
	return next
}

func ebsOf(device mapping) mapping {
	ebs, _ := device["ebs"].(mapping)
	return ebs
}

func snapshotOf(device mapping) string {
	id, _ := ebsOf(device)["snapshotID"].(string)
	return id
}

// withoutSnapshot returns the device as it is to be restored. A snapshot that Larder applies is left out even when it
// was somebody else who wrote it: it will be deleted one day, and a class that names a deleted snapshot launches nothing.
func withoutSnapshot(device mapping, ids ...string) mapping {
	id := snapshotOf(device)
	if id == "" || !slices.Contains(ids, id) {
		return device
	}
	device = runtime.DeepCopyJSON(device)
	delete(ebsOf(device), "snapshotID")
	delete(ebsOf(device), "volumeInitializationRate") // Karpenter takes it only beside a snapshot
	return device
}
