// Package volume decides what a volume that is made from a snapshot is like: its size and its performance. It is pure, and
// the same for a node's device and for what else EBS makes volumes for.
package volume

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

const (
	// MinimumGiB is the least size, in GiB, that a volume gets unasked: Karpenter's own default for a Bottlerocket data volume: amifamily.DefaultEBS of its AWS provider.
	MinimumGiB = 20
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

// gp3 is the type of a volume of which nobody says another.
const gp3 = "gp3"

// Volume is what a binding decides of a volume; zero is what nobody says.
type Volume struct {
	// SnapshotID is what it is made from.
	SnapshotID string
	// SizeGiB is its size in GiB.
	SizeGiB int64
	// Type is the EBS volume type.
	Type string
	// IOPS are I/O operations a second; Throughput and InitializationRate are in MiB a second.
	IOPS, Throughput, InitializationRate int64
}

// Asked is what a binding's spec says of a volume; nil and empty is what it leaves out.
type Asked struct {
	// Size is a quantity of bytes.
	Size *resource.Quantity
	// Type is the EBS volume type.
	Type string
	// IOPS are I/O operations a second; Throughput and InitializationRate are in MiB a second.
	IOPS, Throughput, InitializationRate *int64
}

// OfDevice is what a node's device says.
func OfDevice(device *v1alpha1.Device) Asked {
	return Asked{
		Size: device.VolumeSize, Type: device.VolumeType,
		IOPS: device.IOPS, Throughput: device.Throughput, InitializationRate: device.VolumeInitializationRate,
	}
}

// Words are what messages call the volume and where they send people.
type Words struct {
	// Volume names it: "/dev/xvdb".
	Volume string
	// Fields is the path of its fields in the binding, with a dot at its end: "device.".
	Fields string
}

// From returns the volume to be made from the snapshot. What the binding does not ask for is as in own, which is what the
// target itself says, and else Larder's default. A problem has the reason VolumeSizeTooSmall or DeviceInvalid. Without a
// snapshot it only checks.
func From(own Volume, asked Asked, snapshot binding.Snapshot, words Words) (Volume, *binding.Problem) {
	next := own
	next.SnapshotID = snapshot.ID
	var problem *binding.Problem
	if next.SizeGiB, problem = size(own.SizeGiB, asked.Size, snapshot, words); problem != nil {
		return Volume{}, problem
	}
	next.setPerformance(asked)
	if problem := next.check(words); problem != nil {
		return Volume{}, problem
	}
	return next, nil
}

// size is never left to EBS: it would be the snapshot's, without room for what else nodes pull.
func size(ownGiB int64, asked *resource.Quantity, snapshot binding.Snapshot, words Words) (int64, *binding.Problem) {
	wantedGiB := max(ownGiB, MinimumGiB, snapshot.SizeGiB, roomyGiB(snapshot.StoredBytes))
	if asked != nil {
		wantedGiB = binding.WholeGiB(*asked)
	}
	if wantedGiB < snapshot.SizeGiB {
		return 0, &binding.Problem{
			Reason: v1alpha1.ReasonVolumeSizeTooSmall, Stalled: true,
			Message: fmt.Sprintf("%svolumeSize %s is below the %d GiB of snapshot %s, and EC2 makes no volume smaller "+
				"than its snapshot: raise it to %dGi or more, or leave it out",
				words.Fields, asked, snapshot.SizeGiB, snapshot.ID, snapshot.SizeGiB),
		}
	}
	return wantedGiB, nil
}

// roomyGiB returns the least size of a volume of which so many bytes are at most 60 %; 0 when they are not known.
func roomyGiB(storedBytes int64) int64 {
	return (storedBytes*5 + bytesOfThreeGiB - 1) / bytesOfThreeGiB
}
