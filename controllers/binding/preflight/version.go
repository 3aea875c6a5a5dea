package preflight

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// ImageOf returns the AMI that a version of a launch template names; none when it names a parameter, or leaves it to who
// launches.
func ImageOf(version launch.Version) []string {
	if !strings.HasPrefix(version.ImageID, "ami-") {
		return nil
	}
	return []string{version.ImageID}
}

// ReadVersion takes what a version of a launch template tells of the nodes that are launched with it.
func (in *Input) ReadVersion(version launch.Version) {
	in.Devices = nil
	for _, device := range version.Devices {
		one := Device{Name: device.Name, EBS: device.EBS != nil}
		if device.EBS != nil {
			one.SizeGiB = device.EBS.SizeGiB
		}
		in.Devices = append(in.Devices, one)
	}
	in.UserData = version.UserData
	if text, err := base64.StdEncoding.DecodeString(version.UserData); err == nil {
		in.UserData = string(text)
	}
}

// ReadAMIs takes what the AMIs tell of the nodes that boot from them; without any that is nothing.
func (in *Input) ReadAMIs(images []ami.Image) {
	system := amifamily.OfImages(images)
	in.AMIs, in.Family, in.Runtime = images, system.Family, system.Runtime
	in.Stock = len(images) > 0 && !slices.ContainsFunc(images, func(image ami.Image) bool { return !image.Amazon })
	in.Architectures, in.ArchitecturesKnown = amifamily.Architectures(), false
	if len(images) == 0 {
		return
	}
	in.Architectures, in.ArchitecturesKnown = nil, true
	for _, image := range images {
		if image.Architecture != "" && !slices.Contains(in.Architectures, image.Architecture) {
			in.Architectures = append(in.Architectures, image.Architecture)
		}
	}
	slices.Sort(in.Architectures)
}

// ReadAMIType takes what EKS's name of a node group's AMI tells, which is Amazon's own.
func (in *Input) ReadAMIType(amiType string) {
	family, architecture := amifamily.OfAMIType(amiType)
	in.AMIs, in.Family, in.Runtime, in.Stock = nil, family, amifamily.Kubernetes, true
	in.Architectures, in.ArchitecturesKnown = []string{architecture}, true
	if architecture == "" {
		in.Architectures, in.ArchitecturesKnown = amifamily.Architectures(), false
	}
}

// VolumeIn returns the volume that a list of devices has at a name; zero for none.
func VolumeIn(devices []launch.Device, name string) Volume {
	for _, device := range devices {
		if device.Name == name && device.EBS != nil {
			return Volume{SizeGiB: device.EBS.SizeGiB, InitializationRate: device.EBS.InitializationRate}
		}
	}
	return Volume{}
}
