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

// Plan implements binding.Observation.
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, _ time.Time) binding.Plan {
	plan := o.outlook(b)
	if o.class == nil {
		plan.Problem = o.problem
		return plan
	}
	plan.Problem = o.preflight(b, snapshot)
	o.rate.judge(&plan)
	if derives(b) {
		o.planDerived(b, snapshot, &plan)
	} else if plan.Problem == nil {
		o.planInPlace(b, snapshot, &plan)
	}
	return plan
}

// outlook is what a plan says before anything is planned.
func (o *observation) outlook(b *v1alpha1.NodeClassBinding) binding.Plan {
	plan := binding.Plan{Pools: o.pools()}
	class := o.class
	if derives(b) {
		class = o.derived
	}
	if class != nil {
		plan.InPlace = snapshotOf(find(devicesOf(class), b.Spec.Target.EC2NodeClass.Device.Name))
	}
	return plan
}

func (o *observation) preflight(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) *binding.Problem {
	if problem := o.checkDevices(devicesOf(o.class), b.Spec.Target.EC2NodeClass.Device.Name); problem != nil {
		return problem
	}
	return o.checkFormat(snapshot)
}

func (o *observation) planInPlace(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, plan *binding.Plan) {
	device := &b.Spec.Target.EC2NodeClass.Device
	owner := lastWriter(o.class)
	plan.Remedy = remedy(owner, o.class.GetName())
	plan.Recreated = isRecreated(o.class, b)
	known, err := readRecord(o.class)
	if err != nil {
		plan.Problem = unreadableRecord(o.class.GetName(), err)
		return
	}
	devices := devicesOf(o.class)
	current := find(completeDevices(o.class), device.Name)
	own := current // what the class itself says of the device, as opposed to what Larder wrote
	if known.hasWritten(device.Name, current) {
		own = known.former[device.Name]
	} else {
		known = known.taking(familyOf(o.class), devices, device.Name,
			b.Status.AppliedSnapshotID, b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, snapshot.ID)
	}
	wanted, problem := desired(o.class.GetName(), current, own, device, snapshot)
	if problem != nil || snapshot.ID == "" {
		plan.Problem = problem
		return
	}
	next := replace(completeDevices(o.class), device.Name, wanted)
	if reflect.DeepEqual(devices, next) {
		return
	}
	plan.Write = &write{verb: applyDevices, class: o.class, devices: next, record: known.withApplied(device.Name, snapshot.ID)}
	if owner != fieldManager {
		plan.TakenBackBy = owner
	}
}

// isRecreated rests on the clock of the API server and that of the operator, which have to differ by less than the time
// between the making of a class and its binding.
func isRecreated(class *unstructured.Unstructured, b *v1alpha1.NodeClassBinding) bool {
	created := class.GetCreationTimestamp()
	return b.Status.AppliedTime != nil && b.Status.AppliedTime.Before(&created)
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
	case snapshot.Format == v1alpha1.FormatContainerd && family == familyBottlerocket:
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

// completeDevices returns the devices that nodes of the class get, those that Karpenter adds included.
func completeDevices(class *unstructured.Unstructured) []any {
	if devices := devicesOf(class); len(devices) > 0 {
		return devices
	}
	return defaultDevices(familyOf(class))
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
	return device
}
