package ec2nodeclass

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
)

// raid0 is the one instanceStorePolicy of Karpenter.
const raid0 = "RAID0"

// preflight judges what was observed, before anything is planned: also the class that another one is derived from.
func (o *observation) preflight(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) (*binding.Problem, []binding.Warning) {
	problem, warnings := preflight.Check(o.preflightInput(b, snapshot))
	return problem, append(warnings, o.imageWarnings...)
}

func (o *observation) preflightInput(b *v1alpha1.NodeClassBinding, snapshot binding.Snapshot) preflight.Input {
	device := &b.Spec.Target.EC2NodeClass.Device
	family, pools := familyOf(o.class), o.fleet.Launching()
	in := preflight.Input{
		Words:     wordsFor(o.class.GetName()),
		Device:    device.Name,
		Devices:   listed(o.class),
		Family:    family,
		Stock:     aliasOf(o.class) != "",
		AMIs:      o.images,
		Wanted:    o.wanted(device, snapshot),
		Snapshot:  snapshot,
		Burst:     burst(pools, o.fleet.Claims()),
		Launchers: spotLaunchers(o.class.GetName(), pools),
	}
	in.UserData, _, _ = unstructured.NestedString(o.class.Object, "spec", "userData")
	policy, _, _ := unstructured.NestedString(o.class.Object, "spec", "instanceStorePolicy")
	in.RAID0 = policy == raid0
	in.Architectures, in.ArchitecturesKnown = architecturesOf(o.class, pools)
	if defaultDevices(family) == nil {
		in.RootAddedBy = "Karpenter"
	}
	return in
}

func wordsFor(class string) preflight.Words {
	return preflight.Words{
		Target:              Kind + " " + class,
		Kind:                "class",
		Device:              "spec.target.ec2NodeClass.device",
		List:                "spec.blockDeviceMappings",
		UserData:            "spec.userData",
		InstanceStorePolicy: "spec.instanceStorePolicy",
		Architectures:       archLabel + " in the NodePools",
	}
}

// listed are the class's devices, without what is no object.
func listed(class *unstructured.Unstructured) []preflight.Device {
	var devices []preflight.Device
	for _, entry := range devicesOf(class) {
		if device, isObject := entry.(mapping); isObject {
			ebs := ebsOf(device)
			devices = append(devices, preflight.Device{Name: nameOf(device), EBS: ebs != nil, SizeGiB: sizeGiB(ebs["volumeSize"])})
		}
	}
	return devices
}

// wanted returns the volume that would be written; zero when none can be made, which is for the plan to say.
func (o *observation) wanted(device *v1alpha1.Device, snapshot binding.Snapshot) preflight.Volume {
	devices := devicesOf(o.class)
	if len(devices) == 0 {
		devices = defaultDevices(familyOf(o.class))
	}
	current := find(devices, device.Name)
	own := current
	if known, err := readRecord(o.class); err == nil && known.hasWritten(device.Name, current) {
		own = known.former[device.Name]
	}
	wanted, problem := desired(o.class.GetName(), current, own, device, snapshot)
	if problem != nil {
		return preflight.Volume{}
	}
	rate, _ := ebsOf(wanted)["volumeInitializationRate"].(int64)
	return preflight.Volume{SizeGiB: sizeGiB(ebsOf(wanted)["volumeSize"]), InitializationRate: rate}
}
