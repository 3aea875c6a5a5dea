package ec2nodeclass

import (
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// PlanWithout implements binding.Observation. In place the record goes with the device: what a later Plan finds then is
// what it has to record.
func (o *observation) PlanWithout(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	plan := o.outlook(b, now)
	switch {
	case o.class == nil:
		plan.Problem = o.problem
	case !derives(b):
		o.planRestore(b, &plan, false)
	default:
		o.planDerivedWithout(b, &plan)
	}
	return plan
}

// PlanEnd implements binding.Observation. Without a class, or without a record on it, nothing of Larder's is left.
func (o *observation) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	plan := o.outlook(b, now)
	switch {
	case derives(b):
		o.planDerivedEnd(b, &plan)
	case o.class == nil:
		plan.Problem = o.unreadable()
	default:
		o.planRestore(b, &plan, true)
	}
	return plan
}

// planRestore plans to take Larder's device and the record of it out of the class; at the end of a binding also the
// ownership of fields. A device that somebody changed since is theirs: only the record of it goes.
func (o *observation) planRestore(b *v1alpha1.NodeClassBinding, plan *binding.Plan, ends bool) {
	name := b.Spec.Target.EC2NodeClass.Device.Name
	known, err := readRecord(o.class)
	if err != nil {
		plan.Problem = unreadableRecord(o.class.GetName(), err)
		return
	}
	devices := devicesOf(o.class)
	next := devices
	leaves := ends && b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave
	if !leaves && known.hasWritten(name, find(devices, name)) {
		next = restoreDevice(familyOf(o.class), devices, name, known)
	}
	left := known.without(name)
	if left.isOnlyMark(familyOf(o.class)) {
		left = record{}
	}
	w := &write{verb: giveBack, class: o.class, devices: next, record: left, releases: ends && left.isEmpty()}
	_, recorded := known.former[name]
	if ownsFields := w.releases && hasFields(o.class); recorded || ownsFields {
		plan.Write = w
	}
	if w.keepsDevices = reflect.DeepEqual(devices, next); w.keepsDevices {
		plan.Pools = nil // no node is replaced
	}
}

// planDerivedEnd deletes the derived class, or leaves it to whoever uses it.
func (o *observation) planDerivedEnd(b *v1alpha1.NodeClassBinding, plan *binding.Plan) {
	plan.Pools = nil // neither replaces a node
	switch {
	case o.derived == nil:
		plan.Problem = o.unreadable()
	case !isMadeFor(o.derived, b) || o.derived.GetDeletionTimestamp() != nil:
		return
	case b.Spec.DeletionPolicy == v1alpha1.BindingDeletionLeave:
		plan.Write = &write{verb: release, class: o.derived}
	default:
		if plan.Problem = inUse(o.derived.GetName(), b.Spec.Target.EC2NodeClass.Name, o.fleet); plan.Problem == nil {
			plan.Write = &write{verb: remove, class: o.derived}
		}
	}
}

// unreadable returns why the class could not be read; nil when it does not exist.
func (o *observation) unreadable() *binding.Problem {
	if o.problem != nil && o.problem.Reason == v1alpha1.ReasonTargetUnreadable {
		return o.problem
	}
	return nil
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
