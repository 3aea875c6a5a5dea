package ec2nodeclass

import (
	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
)

// preflight judges what was observed, before anything is planned: also the class that another one is derived from.
func (o *observation) preflight(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) (*binding.Problem, []binding.Warning) {
	device := &b.Spec.Target.EC2NodeClass.Device
	problem, warnings := preflight.Check(preflight.Input{
		Class:    o.class,
		Device:   *device,
		Wanted:   o.wanted(device, snapshot),
		Snapshot: snapshot,
		Pools:    o.fleet.Launching(),
		Nodes:    o.fleet.Claims(),
		AMIs:     o.images,
	})
	return problem, append(warnings, o.imageWarnings...)
}

// wanted returns the mapping that would be written; nil when none can be made, which is for the plan to say.
func (o *observation) wanted(device *v1alpha1.Device, snapshot binding.Snapshot) mapping {
	devices := devicesOf(o.class)
	if len(devices) == 0 {
		devices = amifamily.DefaultDevices(amifamily.Of(o.class))
	}
	current := find(devices, device.Name)
	own := current
	if known, err := readRecord(o.class); err == nil && known.hasWritten(device.Name, current) {
		own = known.former[device.Name]
	}
	wanted, problem := desired(o.class.GetName(), current, own, device, snapshot)
	if problem != nil {
		return nil
	}
	return wanted
}
