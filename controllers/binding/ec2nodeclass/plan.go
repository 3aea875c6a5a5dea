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
func (o *observation) Plan(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, now time.Time) binding.Plan {
	plan := o.outlook(b, now)
	if o.class == nil {
		plan.Problem = o.problem
		return plan
	}
	plan.Problem, plan.Warnings = o.preflight(b, snapshot)
	o.rate.judge(&plan)
	if derives(b) {
		o.planDerived(b, snapshot, &plan)
	} else if plan.Problem == nil {
		o.planInPlace(b, snapshot, &plan)
	}
	return plan
}

// outlook is what a plan says before anything is planned.
func (o *observation) outlook(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	var plan binding.Plan
	plan.Pools, plan.Health = o.nodes(b, now)
	class := o.class
	if derives(b) {
		class = o.derived
	}
	if class != nil {
		plan.InPlace = snapshotOf(find(devicesOf(class), b.Spec.Target.EC2NodeClass.Device.Name))
	}
	return plan
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
