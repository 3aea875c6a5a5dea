package ec2nodeclass

import (
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// PlanWithout implements binding.Observation.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	return o.PlanEnd(b, now)
}

// PlanEnd implements binding.Observation. Without a class, or without a record on it, nothing of Larder's is left.
// A device that somebody changed since is theirs: only the record of it goes.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	if o.class == nil {
		if o.problem.Stalled {
			return binding.Plan{Problem: o.problem}
		}
		return binding.Plan{}
	}
	name := b.Spec.Target.EC2NodeClass.Device.Name
	known, err := readRecord(o.class)
	if err != nil {
		return binding.Plan{Problem: unreadableRecord(o.class.GetName(), err)}
	}
	devices := devicesOf(o.class)
	next := devices
	if known.hasWritten(name, find(devices, name)) {
		next = restoreDevice(familyOf(o.class), devices, name, known)
	}
	left := known.without(name)
	if left.isOnlyMark(familyOf(o.class)) {
		left = record{}
	}
	w := &write{class: o.class, devices: next, record: left, restores: true, releases: left.isEmpty()}
	_, recorded := known.former[name]
	if ownsFields := w.releases && hasFields(o.class); !recorded && !ownsFields {
		return binding.Plan{}
	}
	plan := binding.Plan{Write: w}
	if !reflect.DeepEqual(devices, next) {
		plan.Pools, _ = o.nodes(b, now)
	}
	return plan
}

// restoreDevice returns the list with the tuned fields of the device as they were. Where the class had no list, the device
// becomes Karpenter's default again, and a list that holds nothing but the defaults goes: it was Larder's.
func restoreDevice(family string, devices []any, name string, known record) []any {
	original := known.former[name]
	if original == nil && known.hadNoList(family) {
		original = find(defaultDevices(family), name)
	}
	next := replace(devices, name, retuned(find(devices, name), original))
	if known.hadNoList(family) && reflect.DeepEqual(next, defaultDevices(family)) {
		return nil
	}
	return next
}

func retuned(device, original mapping) mapping {
	if original == nil {
		return nil
	}
	device = runtime.DeepCopyJSON(device)
	ebs := ebsOf(device)
	copyTuned(ebs, ebsOf(original))
	if ebs["snapshotID"] == nil {
		delete(ebs, "volumeInitializationRate") // Karpenter takes it only beside a snapshot
	}
	return device
}
