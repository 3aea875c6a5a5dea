package preflight_test

import (
	"testing"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
)

// batch is how an environment of Batch is spoken of.
var batch = preflight.Words{
	Target: "Batch compute environment x", Kind: "compute environment", Device: "spec.target.batchComputeEnvironment.device",
	List: "the launch template", UserData: "the user data", Architectures: "the environment's instance types",
}

// docker is an environment that nothing is wrong with.
func docker() preflight.Input {
	return preflight.Input{
		Words:         batch,
		Family:        amifamily.AL2023,
		Runtime:       amifamily.Docker,
		Stock:         true,
		Device:        "/dev/xvdf",
		UserData:      "#!/bin/bash\nmount -o ro /dev/xvdf /models\n",
		Wanted:        preflight.Volume{SizeGiB: 16},
		Snapshot:      binding.Snapshot{ID: "snap-1", Format: v1alpha1.FormatFiles, SizeGiB: 16, StoredBytes: 16 << 30},
		Architectures: []string{"amd64"}, ArchitecturesKnown: true,
	}
}

func TestHostsOfDocker(t *testing.T) {
	const bottlerocketOfECS = "[settings.ecs]\ncluster = \"gpu\"\n"
	on := func(family, device, userData string) func(*preflight.Input) {
		return func(in *preflight.Input) { in.Family, in.Device, in.UserData = family, device, userData }
	}
	run(t, map[string]row{
		"files":            {reason: "they fill their volume, and are for any architecture", in: docker()},
		"no snapshot yet":  {reason: "what it will be is not known", in: docker(), change: func(in *preflight.Input) { in.Snapshot = binding.Snapshot{} }},
		"by UUID in fstab": {reason: "the filesystem's own name", in: docker(), change: on(amifamily.AL2023, "/dev/xvdf", "#!/bin/bash\necho UUID=1 /models ext4 >>/etc/fstab; mount -a\n")},
		"images for containerd": {reason: "Docker has a store of its own", in: docker(), change: withFormat(v1alpha1.FormatContainerd),
			problem: "FormatMismatch", says: "snapshot snap-1 has the format Containerd: the nodes of Batch compute environment x run Docker, and their Docker does not read a containerd store: use the format Files on a data device"},
		"images for Bottlerocket": {reason: "the same", in: docker(), change: withFormat(v1alpha1.FormatBottlerocket), problem: "FormatMismatch",
			says: "has the format Bottlerocket: the nodes of Batch compute environment x run Docker"},
		"a format that is not known": {reason: "a snapshot of another account has no tags", in: docker(), change: withFormat(""),
			warnings: []string{"NotChecked"}, says: "make sure that it is Files"},
		"Windows": {reason: "it reads no ext4", in: docker(), change: on(amifamily.Windows2022, "/dev/xvdf", "mount /dev/xvdf"),
			problem: "FormatMismatch", says: "the nodes of Batch compute environment x run Windows: bind a compute environment of a Linux family"},
		"the root": {reason: "a node whose root is a model does not boot", in: docker(), change: onDevice("/dev/xvda"),
			problem: "DeviceInvalid", says: "name the data device in spec.target.batchComputeEnvironment.device", warnings: []string{"DeviceNotMounted"}},
		"Bottlerocket's own data device": {reason: "it needs the volume", in: docker(),
			change:  on(amifamily.Bottlerocket, "/dev/xvdb", bottlerocketOfECS+"[settings.bootstrap-containers.models]\nsource = \"x\"\n"),
			problem: "DeviceUnlikeFamily", says: "/dev/xvdb is where Bottlerocket hosts keep everything that they write"},
		"Bottlerocket that mounts nothing": {reason: "it mounts only its own volumes", in: docker(), change: on(amifamily.Bottlerocket, "/dev/xvdf", bottlerocketOfECS),
			warnings: []string{"DeviceNotMounted"}, says: "nothing that could be read in the user data of Batch compute environment x mounts /dev/xvdf, and Bottlerocket mounts no volume but its own"},
		"Bottlerocket with a bootstrap container": {reason: "it may mount the volume", in: docker(),
			change: on(amifamily.Bottlerocket, "/dev/xvdf", bottlerocketOfECS+"[settings.bootstrap-containers.models]\nsource = \"x\"\n")},
		"nothing that mounts": {reason: "no host of ECS mounts a second volume", in: docker(), change: withUserData("#!/bin/bash\necho ECS_CLUSTER=gpu >>/etc/ecs/ecs.config\n"),
			warnings: []string{"DeviceNotMounted"}, says: "and nothing else does, unless the AMI: make sure"},
		"a script that fetches another": {reason: "that one may mount the volume", in: docker(), change: withUserData("#!/bin/bash\naws s3 cp s3://scripts/boot.sh - | sh\n")},
		"a script that formats": {reason: "it may format the files", in: docker(), change: withUserData("#!/bin/bash\nmkfs.ext4 /dev/xvdf\nmount /dev/xvdf /models\n"),
			warnings: []string{"NotChecked"}, says: "also makes a filesystem"},
		"compressed user data": {reason: "it may mount the volume, and cannot be read", in: docker(), change: withUserData("\x1f\x8b\x08mount"),
			warnings: []string{"DeviceNotMounted"}},
	})
}

func TestFilesForNodesOfNoKnownRuntime(t *testing.T) {
	in := docker()
	in.Family, in.Runtime = amifamily.Unknown, amifamily.UnknownRuntime
	problem, warnings := preflight.Check(in)
	expect(t, row{reason: "they may be hosts of Docker", warnings: []string{"NotChecked", "NotChecked"},
		says: "has the AMI family unknown"}, problem, warnings)
	const want = "what runs containers on the nodes of Batch compute environment x cannot be seen, and snapshot snap-1 has the format " +
		"Files, which holds no images that the containerd of a Kubernetes node could run: make sure that they are hosts of Docker"
	if got := warnings[1].Message; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}
