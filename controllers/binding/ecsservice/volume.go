package ecsservice

import (
	"cmp"
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/volume"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

// What ECS takes, which is less than what EBS does:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceManagedEBSVolumeConfiguration.html
const (
	mostGiB        = 16384
	mostThroughput = 1000
	// gp3BaseIOPS are what a gp3 volume has when nobody says it.
	gp3BaseIOPS = 3000
)

var mostIOPS = map[string]int64{"gp3": 16000, "io1": 64000, "io2": 256000}

// magnetic are EBS's types on hard disks.
var magnetic = map[string]bool{"standard": true, "st1": true, "sc1": true}

// find returns the volume of that name; nil when the service does not configure it.
func find(volumes []ecs.Volume, name string) *ecs.Volume {
	for i := range volumes {
		if volumes[i].Name == name {
			return &volumes[i]
		}
	}
	return nil
}

func snapshotOf(volume *ecs.Volume) string {
	if volume == nil {
		return ""
	}
	return volume.SnapshotID
}

// desired returns the volume that is made from the snapshot: current, which may be nil, with what a binding decides taken
// from its spec, else from own, which is what the service itself says of the volume. Without a snapshot it only checks.
func desired(target *v1alpha1.ECSServiceTarget, current, own *ecs.Volume, snapshot binding.Snapshot) (ecs.Volume, *binding.Problem) {
	next, mine := ecs.Volume{Name: target.VolumeName}, ecs.Volume{}
	if current != nil {
		next = *current
	}
	if own != nil {
		mine = *own
	}
	if target.VolumeType == "" && magnetic[mine.Type] {
		return next, invalid("volume %s of %s is of the type %s, which is too slow to read images from: set ecsService.volumeType "+
			"to gp3", target.VolumeName, nameOf(target), mine.Type)
	}
	made, problem := volume.From(volume.Volume{
		SizeGiB: mine.SizeGiB, Type: mine.Type, IOPS: mine.IOPS, Throughput: mine.Throughput, InitializationRate: mine.InitializationRate,
	}, askedOf(target, mine.SizeGiB, snapshot), snapshot, volume.Words{Volume: "volume " + target.VolumeName, Fields: "ecsService."})
	if problem != nil {
		return next, problem
	}
	next.SnapshotID, next.SizeGiB, next.Type, next.IOPS = made.SnapshotID, made.SizeGiB, made.Type, made.IOPS
	next.Throughput, next.InitializationRate = made.Throughput, made.InitializationRate
	next.FilesystemType = filesystemOf(target)
	next.RoleARN = cmp.Or(target.RoleARN, mine.RoleARN, next.RoleARN)
	if next.RoleARN == "" {
		return next, invalid("%s has no volume %s yet, so ECS needs to know the infrastructure role that makes it: set "+
			"ecsService.roleARN", nameOf(target), target.VolumeName)
	}
	return next, withinLimits(target, next)
}

func withinLimits(target *v1alpha1.ECSServiceTarget, wanted ecs.Volume) *binding.Problem {
	tooMuch := func(field string, value, most int64) *binding.Problem {
		return invalid("volume %s of %s would have %s %d, and ECS takes at most %d for %s: lower ecsService.%[3]s",
			target.VolumeName, nameOf(target), field, value, most, wanted.Type)
	}
	most, limited := mostIOPS[wanted.Type]
	switch {
	case wanted.SizeGiB > mostGiB:
		return tooMuch("volumeSize", wanted.SizeGiB, mostGiB)
	case limited && wanted.IOPS > most:
		return tooMuch("iops", wanted.IOPS, most)
	case wanted.Throughput > mostThroughput:
		return tooMuch("throughput", wanted.Throughput, mostThroughput)
	}
	return nil
}

// askedOf has the size be no more than it must be: a task's volume holds what the snapshot has, and nothing is pulled to it.
func askedOf(target *v1alpha1.ECSServiceTarget, ownGiB int64, snapshot binding.Snapshot) volume.Asked {
	size := target.VolumeSize
	if size == nil {
		size = resource.NewQuantity(max(ownGiB, snapshot.SizeGiB)<<30, resource.BinarySI)
	}
	return volume.Asked{
		Size: size, Type: target.VolumeType,
		IOPS: wide(target.IOPS), Throughput: wide(target.Throughput), InitializationRate: wide(target.VolumeInitializationRate),
	}
}

func wide(value *int32) *int64 {
	if value == nil {
		return nil
	}
	wider := int64(*value)
	return &wider
}

// same tells whether a volume is as it is to be. ECS may say the IOPS that a gp3 volume has unasked.
func same(current *ecs.Volume, wanted ecs.Volume) bool {
	return current != nil && reflect.DeepEqual(plain(*current), plain(wanted))
}

// equal is same for volumes that may both not be there.
func equal(a, b *ecs.Volume) bool {
	if a == nil || b == nil {
		return a == b
	}
	return same(a, *b)
}

// content is what tasks find in a volume, in messages.
func content(volume *ecs.Volume) string {
	switch {
	case volume == nil:
		return "no volume"
	case volume.SnapshotID == "":
		return "an empty volume"
	}
	return volume.SnapshotID
}

func plain(of ecs.Volume) ecs.Volume {
	if of.Type == "gp3" && of.IOPS == gp3BaseIOPS {
		of.IOPS = 0
	}
	return of
}
