package ec2nodeclass

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/volume"
)

// tuned are the fields of a device that a binding decides. All others stay as they are in the class.
var tuned = []string{"snapshotID", "volumeSize", "volumeType", "iops", "throughput", "volumeInitializationRate"}

// desired returns the mapping that boots from the snapshot: current, which may be nil, with the tuned fields taken from
// the binding, else from own, which is what the class itself says of the device. Without a snapshot it only checks.
func desired(class string, current, own mapping, device *v1alpha1.Device, snapshot binding.Snapshot) (mapping, *binding.Problem) {
	if current != nil && ebsOf(current) == nil {
		return nil, invalid("%s of EC2NodeClass %s has no ebs, so it is no volume that a snapshot could fill: remove "+
			"it from spec.blockDeviceMappings, or name another device", device.Name, class)
	}
	next := runtime.DeepCopyJSON(current)
	if next == nil {
		next = mapping{"deviceName": device.Name, "ebs": mapping{"encrypted": true}}
	}
	ebs := ebsOf(next)
	copyTuned(ebs, ebsOf(own))
	wanted, problem := volume.From(volumeOf(ebs), volume.OfDevice(device), snapshot, volume.Words{Volume: device.Name, Fields: "device."})
	if problem != nil {
		return nil, problem
	}
	setVolume(ebs, wanted)
	return next, nil
}

// copyTuned makes the tuned fields of to those of from: what from lacks, to loses.
func copyTuned(to, from mapping) {
	for _, field := range tuned {
		delete(to, field)
		if value, found := from[field]; found {
			to[field] = value
		}
	}
}

// volumeOf returns what a mapping says; what is no number counts as not said.
func volumeOf(ebs mapping) volume.Volume {
	volumeType, _ := ebs["volumeType"].(string)
	iops, _ := ebs["iops"].(int64)
	throughput, _ := ebs["throughput"].(int64)
	rate, _ := ebs["volumeInitializationRate"].(int64)
	return volume.Volume{SizeGiB: sizeGiB(ebs["volumeSize"]), Type: volumeType, IOPS: iops, Throughput: throughput, InitializationRate: rate}
}

// setVolume always leaves a volumeSize: without one Karpenter assumes 20 GiB of ephemeral storage, whatever the snapshot.
func setVolume(ebs mapping, wanted volume.Volume) {
	if wanted.SizeGiB != sizeGiB(ebs["volumeSize"]) { // otherwise the class's own way of writing it stays
		ebs["volumeSize"] = fmt.Sprintf("%dGi", wanted.SizeGiB)
	}
	ebs["volumeType"] = wanted.Type
	setNumber(ebs, "iops", wanted.IOPS)
	setNumber(ebs, "throughput", wanted.Throughput)
	setNumber(ebs, "volumeInitializationRate", wanted.InitializationRate)
	ebs["snapshotID"] = wanted.SnapshotID
}

func setNumber(ebs mapping, field string, value int64) {
	if value == 0 {
		delete(ebs, field)
		return
	}
	ebs[field] = value
}

// sizeGiB returns 0 for what is absent or no quantity.
func sizeGiB(value any) int64 {
	text, _ := value.(string)
	size, err := resource.ParseQuantity(text)
	if err != nil {
		return 0
	}
	return binding.WholeGiB(size)
}
