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
	if plan.Problem, plan.Warnings = o.preflight(b, snapshot); plan.Problem != nil {
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
