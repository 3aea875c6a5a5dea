package preflight_test

import (
	"testing"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/internal/aws/ami"
)

func withDevices(devices ...preflight.Device) func(*preflight.Input) {
	return func(in *preflight.Input) { in.Devices = devices }
}

func withFamily(family string) func(*preflight.Input) {
	return func(in *preflight.Input) {
		in.Family, in.Stock = family, false
	}
}

func onDevice(name string) func(*preflight.Input) {
	return func(in *preflight.Input) { in.Device = name }
}

func TestDevice(t *testing.T) {
	root := device("/dev/xvda", 8)
	run(t, map[string]row{
		"listed twice": {reason: "EC2 takes a device once", in: bottlerocket(),
			change:  withDevices(root, device("/dev/xvdb", 20), device("/dev/xvdb", 30)),
			problem: "DeviceDuplicated", says: "lists /dev/xvdb 2 times"},
		"another listed twice": {reason: "only ours is ours to judge", in: bottlerocket(),
			change: withDevices(root, device("/dev/xvdb", 20), device("/dev/xvdc", 20), device("/dev/xvdc", 30))},
		"Bottlerocket's root": {reason: "a node whose root is a cache does not boot", in: bottlerocket(), change: onDevice("/dev/xvda"),
			problem: "DeviceInvalid", says: "is the root device of Bottlerocket nodes"},
		"AL2023's root": {reason: "the same for another family", in: al2023(t), change: onDevice("/dev/xvda"),
			problem: "DeviceInvalid", says: "is the root device of AL2023 nodes"},
		"the root of a custom AMI": {reason: "EC2 knows what an AMI boots from", in: bottlerocket(),
			change: func(in *preflight.Input) {
				withFamily("Custom")(in)
				in.AMIs = []ami.Image{{ID: "ami-1", RootDevice: "/dev/xvdb", RootGiB: 8}}
			},
			problem: "DeviceInvalid", says: "is the root device of Custom nodes", warnings: []string{"NotChecked"}},
		"no ebs": {reason: "a mapping without ebs is an instance store volume", in: bottlerocket(),
			change:  withDevices(root, preflight.Device{Name: "/dev/xvdb"}),
			problem: "DeviceInvalid", says: "has no ebs"},
		"no list, Bottlerocket": {reason: "Larder knows the devices that Karpenter would add", in: bottlerocket(), change: withDevices()},
		"no list, AL2023": {reason: "the root device would be lost", in: al2023(t), change: withDevices(),
			problem: "DeviceInvalid", says: "add the root device to spec.blockDeviceMappings first"},
		"another device on Bottlerocket": {reason: "two data partitions of one name", in: bottlerocket(), change: onDevice("/dev/xvdc"),
			problem: "DeviceUnlikeFamily", says: "make one for /dev/xvdb"},
		"another device on AL2023": {reason: "the script names it, and that is all that counts", in: al2023(t),
			change: func(in *preflight.Input) {
				in.Device = "/dev/xvdf"
				in.UserData = "#!/bin/bash\nmount /dev/xvdf /var/lib/containerd\n"
			}},
		"custom AMI": {reason: "what it does with its volumes is not known", in: bottlerocket(), change: withFamily("Custom"),
			warnings: []string{"NotChecked"}, says: "has the AMI family Custom"},
	})
}

func withFormat(format v1alpha1.Format) func(*preflight.Input) {
	return func(in *preflight.Input) { in.Snapshot.Format = format }
}

func TestFormat(t *testing.T) {
	windows := al2023(t)
	windows.Family = amifamily.Windows2022
	run(t, map[string]row{
		"Containerd on Bottlerocket": {reason: "the node would look for its partition", in: bottlerocket(), change: withFormat(v1alpha1.FormatContainerd),
			problem: "FormatMismatch", says: "format Bottlerocket in spec.snapshot"},
		"files on Bottlerocket": {reason: "no containerd finds an image in them", in: bottlerocket(), change: withFormat(v1alpha1.FormatFiles),
			problem: "FormatMismatch", says: "holds no images"},
		"files on AL2023": {reason: "the same", in: al2023(t), change: withFormat(v1alpha1.FormatFiles),
			problem: "FormatMismatch", says: "the format Containerd in spec.snapshot"},
		"Bottlerocket on AL2023": {reason: "the script mounts a disk, not a partition", in: al2023(t), change: withFormat(v1alpha1.FormatBottlerocket),
			problem: "FormatMismatch", says: "it has a partition table"},
		"Windows": {reason: "its containerd runs Windows images from NTFS", in: windows,
			problem: "FormatMismatch", says: "run Windows"},
		"not known": {reason: "a snapshot of another account has no tags", in: bottlerocket(), change: withFormat(""),
			warnings: []string{"NotChecked"}, says: "make sure that it is Bottlerocket"},
	})
}
