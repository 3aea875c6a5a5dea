package ec2nodeclass

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

const (
	// minimumGiB is Karpenter's own default for a Bottlerocket data volume: amifamily.DefaultEBS of its AWS provider.
	minimumGiB = 20
	// gp3Throughput, in MiB/s, fills a node's page cache from a cold volume four times as fast as gp3's own 125.
	gp3Throughput = 500
	// gp3BaseIOPS come with every gp3 volume, and a volume takes at most 1 MiB/s of throughput for 4 of its IOPS:
	// https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html
	gp3BaseIOPS          = 3000
	gp3IOPSPerThroughput = 4
)

// bytesOfThreeGiB is a unit in which 0.6, the part of a volume that its contents may fill, is a whole number. kubelet
// collects images above 85 % by default and cannot collect these: what is left is for what else a node pulls and writes.
const bytesOfThreeGiB = 3 << 30

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
	if problem := setSize(ebs, device, snapshot); problem != nil {
		return nil, problem
	}
	if problem := setPerformance(ebs, device); problem != nil {
		return nil, problem
	}
	ebs["snapshotID"] = snapshot.ID
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

// setSize always leaves a volumeSize: without one Karpenter assumes 20 GiB of ephemeral storage, whatever the snapshot.
func setSize(ebs mapping, device *v1alpha1.Device, snapshot binding.Snapshot) *binding.Problem {
	classGiB := sizeGiB(ebs["volumeSize"])
	wantedGiB := max(classGiB, minimumGiB, snapshot.SizeGiB, roomyGiB(snapshot.StoredBytes))
	if device.VolumeSize != nil {
		wantedGiB = binding.WholeGiB(*device.VolumeSize)
	}
	if wantedGiB < snapshot.SizeGiB {
		return &binding.Problem{
			Reason: v1alpha1.ReasonVolumeSizeTooSmall, Stalled: true,
			Message: fmt.Sprintf("device.volumeSize %s is below the %d GiB of snapshot %s, and EC2 makes no volume smaller "+
				"than its snapshot: raise it to %dGi or more, or leave it out",
				device.VolumeSize, snapshot.SizeGiB, snapshot.ID, snapshot.SizeGiB),
		}
	}
	if wantedGiB != classGiB { // otherwise the class's own way of writing it stays
		ebs["volumeSize"] = fmt.Sprintf("%dGi", wantedGiB)
	}
	return nil
}

// roomyGiB returns the least size of a volume of which so many bytes are at most 60 %; 0 when they are not known.
func roomyGiB(storedBytes int64) int64 {
	return (storedBytes*5 + bytesOfThreeGiB - 1) / bytesOfThreeGiB
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

// setPerformance drops what the class said for another volume type, and refuses what EC2 would refuse at launch: there
// it would show only as a pool that no longer scales.
func setPerformance(ebs mapping, device *v1alpha1.Device) *binding.Problem {
	if device.VolumeType != "" {
		ebs["volumeType"] = device.VolumeType
	}
	if ebs["volumeType"] == nil {
		ebs["volumeType"] = "gp3"
	}
	volumeType, _ := ebs["volumeType"].(string)
	if !takesIOPS(volumeType) {
		delete(ebs, "iops")
	}
	if volumeType != "gp3" {
		delete(ebs, "throughput")
	}
	if device.IOPS != nil {
		ebs["iops"] = *device.IOPS
	}
	if device.Throughput != nil {
		ebs["throughput"] = *device.Throughput
	}
	if ebs["throughput"] == nil && volumeType == "gp3" {
		ebs["throughput"] = int64(gp3Throughput)
	}
	if device.VolumeInitializationRate != nil {
		ebs["volumeInitializationRate"] = *device.VolumeInitializationRate
	}
	return checkPerformance(ebs, volumeType, device.Name)
}

func takesIOPS(volumeType string) bool {
	return volumeType == "gp3" || volumeType == "io1" || volumeType == "io2"
}

func checkPerformance(ebs mapping, volumeType, name string) *binding.Problem {
	iops, hasIOPS := ebs["iops"].(int64)
	throughput, hasThroughput := ebs["throughput"].(int64)
	switch {
	case hasIOPS && !takesIOPS(volumeType):
		return invalid("%s is %s, which has no iops to set: leave device.iops out, or set device.volumeType to gp3, io1 "+
			"or io2", name, volumeType)
	case hasThroughput && volumeType != "gp3":
		return invalid("%s is %s, which has no throughput to set: leave device.throughput out, or set "+
			"device.volumeType to gp3", name, volumeType)
	case !hasIOPS && (volumeType == "io1" || volumeType == "io2"):
		return invalid("%s is %s, which needs iops: set device.iops", name, volumeType)
	case volumeType == "gp3" && hasIOPS && iops < gp3BaseIOPS:
		return invalid("%s is gp3, which has at least %d iops: raise device.iops, or leave it out", name, gp3BaseIOPS)
	case volumeType == "gp3" && throughput*gp3IOPSPerThroughput > max(iops, gp3BaseIOPS):
		return invalid("%s has a throughput of %d MiB/s, for which gp3 needs %d iops: set device.iops, or lower "+
			"device.throughput", name, throughput, throughput*gp3IOPSPerThroughput)
	default:
		return nil
	}
}
