package volume

import (
	"fmt"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// setPerformance drops what the target said for another volume type.
func (v *Volume) setPerformance(asked Asked) {
	if asked.Type != "" {
		v.Type = asked.Type
	}
	if v.Type == "" {
		v.Type = gp3
	}
	if !takesIOPS(v.Type) {
		v.IOPS = 0
	}
	if v.Type != gp3 {
		v.Throughput = 0
	}
	if asked.IOPS != nil {
		v.IOPS = *asked.IOPS
	}
	if asked.Throughput != nil {
		v.Throughput = *asked.Throughput
	}
	if v.Throughput == 0 && v.Type == gp3 {
		v.Throughput = gp3Throughput
	}
	if asked.InitializationRate != nil {
		v.InitializationRate = *asked.InitializationRate
	}
}

func takesIOPS(volumeType string) bool {
	return volumeType == gp3 || volumeType == "io1" || volumeType == "io2"
}

// check refuses what EC2 would refuse at launch: there it would show only as nodes that do not come.
func (v *Volume) check(words Words) *binding.Problem {
	invalid := func(format string, args ...any) *binding.Problem {
		return &binding.Problem{
			Reason: v1alpha1.ReasonDeviceInvalid, Stalled: true, Message: words.Volume + " " + fmt.Sprintf(format, args...),
		}
	}
	switch {
	case v.IOPS != 0 && !takesIOPS(v.Type):
		return invalid("is %s, which has no iops to set: leave %siops out, or set %[2]svolumeType to gp3, io1 or io2", v.Type, words.Fields)
	case v.Throughput != 0 && v.Type != gp3:
		return invalid("is %s, which has no throughput to set: leave %sthroughput out, or set %[2]svolumeType to gp3", v.Type, words.Fields)
	case v.IOPS == 0 && (v.Type == "io1" || v.Type == "io2"):
		return invalid("is %s, which needs iops: set %siops", v.Type, words.Fields)
	case v.Type == gp3 && v.IOPS != 0 && v.IOPS < gp3BaseIOPS:
		return invalid("is gp3, which has at least %d iops: raise %siops, or leave it out", gp3BaseIOPS, words.Fields)
	case v.Type == gp3 && v.Throughput*gp3IOPSPerThroughput > max(v.IOPS, gp3BaseIOPS):
		return invalid("has a throughput of %d MiB/s, for which gp3 needs %d iops: set %siops, or lower %[3]sthroughput",
			v.Throughput, v.Throughput*gp3IOPSPerThroughput, words.Fields)
	default:
		return nil
	}
}
