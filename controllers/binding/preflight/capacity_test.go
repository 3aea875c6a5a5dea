package preflight_test

import (
	"testing"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/internal/aws/ami"
)

func TestSizes(t *testing.T) {
	rooted := func(device string, gib int64) func(*preflight.Input) {
		return func(in *preflight.Input) {
			in.AMIs = []ami.Image{{ID: "ami-1", RootDevice: device, RootGiB: 2}, {ID: "ami-2", RootDevice: device, RootGiB: gib}}
		}
	}
	run(t, map[string]row{
		"root device below the AMI's": {reason: "EC2 would refuse every launch of that AMI", in: bottlerocket(), change: rooted("/dev/xvda", 9),
			problem: "RootDeviceTooSmall", says: "its AMI ami-2 needs 9"},
		"root device as large as the AMI's": {reason: "that is enough", in: bottlerocket(), change: rooted("/dev/xvda", 8)},
		"root device that is not listed":    {reason: "EC2 takes the AMI's own size", in: bottlerocket(), change: rooted("/dev/sda1", 100)},
		"contents of more than 60 %": {reason: "what else nodes pull has no room", in: bottlerocket(),
			change:   func(in *preflight.Input) { in.Snapshot.StoredBytes = 24<<30 + 1 },
			warnings: []string{"ContentsFillVolume"}, says: "take 25 GiB of the 40 GiB of /dev/xvdb in EC2NodeClass gpu, and kubelet cannot collect them, so that little is left for what else nodes pull: set device.volumeSize to 41Gi"},
		"contents of 60 %": {reason: "that is what volumes are sized for", in: bottlerocket(),
			change: func(in *preflight.Input) { in.Snapshot.StoredBytes = 24 << 30 }},
		"contents of a device that cannot be made": {reason: "its size is not known", in: bottlerocket(),
			change: func(in *preflight.Input) { in.Snapshot.StoredBytes, in.Wanted = 100<<30, preflight.Volume{} }},
	})
}

func TestArchitectures(t *testing.T) {
	of := func(known bool, nodes []string, platforms ...string) func(*preflight.Input) {
		return func(in *preflight.Input) {
			in.Architectures, in.ArchitecturesKnown, in.Snapshot.Platforms = nodes, known, platforms
		}
	}
	amd64, both := []string{"amd64"}, []string{"amd64", "arm64"}
	run(t, map[string]row{
		"none": {reason: "no node would find an image", in: bottlerocket(), change: of(true, amd64, "linux/arm64"),
			problem: "ArchitectureMismatch", says: "holds images for arm64, and the nodes of EC2NodeClass gpu are amd64: add linux/amd64"},
		"some": {reason: "those of the other architecture pull their images", in: bottlerocket(), change: of(true, both, "linux/amd64"),
			warnings: []string{"ArchitectureMismatch"}, says: "holds no images for arm64, which nodes of EC2NodeClass gpu may be, too: those pull all their images; add linux/arm64 to the platforms of the snapshot, or leave it out of kubernetes.io/arch in the NodePools"},
		"all, of a variant": {reason: "x86-64-v3 is amd64", in: bottlerocket(), change: of(true, amd64, "linux/amd64/v3", "windows/arm64")},
		"nodes that are not known": {reason: "they may be of one architecture", in: bottlerocket(), change: of(false, both, "linux/amd64"),
			warnings: []string{"NotChecked"}, says: "holds no images for arm64, and the AMIs of EC2NodeClass gpu are not resolved"},
		"platforms that are not known": {reason: "a snapshot of another account has no tags", in: bottlerocket(), change: of(true, amd64),
			warnings: []string{"NotChecked"}, says: "are not known"},
		"no architecture": {reason: "no node is launched, and the platform says so", in: bottlerocket(), change: of(true, nil, "linux/amd64")},
	})
}

func TestInitializationRate(t *testing.T) {
	rated := func(rate, burst int64) func(*preflight.Input) {
		return func(in *preflight.Input) { in.Wanted.InitializationRate, in.Burst = rate, burst }
	}
	run(t, map[string]row{
		"with fast restores": {reason: "they are paid for and not used", in: bottlerocket(),
			change:   func(in *preflight.Input) { in.Wanted.InitializationRate, in.Snapshot.FastRestore = 100, true },
			warnings: []string{"InitializationRateIgnoresFastSnapshotRestore"}, says: "with which EBS does not use the fast snapshot restores of snapshot snap-1"},
		"fast restores alone": {reason: "they are used", in: bottlerocket(), change: func(in *preflight.Input) { in.Snapshot.FastRestore = true }},
		"more nodes than the quota lets": {reason: "all of them may be replaced at once", in: bottlerocket(), change: rated(300, 17),
			warnings: []string{"InitializationRateExceedsQuota"}, says: "17 nodes of EC2NodeClass gpu may start at once, and with a volumeInitializationRate of 300 MiB/s a Region's quota of 5000 MiB/s lets 16 of them"},
		"as many as the quota lets": {reason: "16 times 300 is 4,800", in: bottlerocket(), change: rated(300, 16)},
		"exactly the quota":         {reason: "50 times 100 is the quota", in: bottlerocket(), change: rated(100, 50)},
		"many nodes, no rate":       {reason: "the quota is for the rate", in: bottlerocket(), change: rated(0, 5000)},
	})
}

func TestSpotGrant(t *testing.T) {
	const (
		arn      = "arn:aws-cn:kms:cn-north-1:111122223333:key/11111111-2222-3333-4444-555555555555"
		spotRole = "arn:aws-cn:iam::111122223333:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
	)
	spot := preflight.Launcher{Name: "a NodePool of EC2NodeClass gpu", Role: preflight.SpotRole()}
	encrypted := func(grantees []string, launchers ...preflight.Launcher) func(*preflight.Input) {
		return func(in *preflight.Input) {
			in.Snapshot.Key = &binding.Key{ARN: arn, Grantees: grantees}
			in.Launchers = launchers
		}
	}
	other := []string{"arn:aws-cn:iam::111122223333:role/AWSServiceRoleForEC2Spot"}
	run(t, map[string]row{
		"no grant": {reason: "a role of that name that is not the service's does not count", in: bottlerocket(), change: encrypted(other, spot),
			warnings: []string{"KMSGrantMissing"}, says: "a NodePool of EC2NodeClass gpu launches Spot instances, whose role AWSServiceRoleForEC2Spot has no grant for KMS key " + arn +
				" of snapshot snap-1: unless the key's policy names the role, no Spot instance starts. In the account of the nodes, run: aws kms create-grant --region cn-north-1 --key-id " + arn +
				" --grantee-principal arn:aws-cn:iam::ACCOUNT:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot --operations Decrypt"},
		"grants that are not known": {reason: "reading them may be forbidden", in: bottlerocket(), change: encrypted(nil, spot),
			warnings: []string{"NotChecked"}, says: "may have no grant, which could not be read,"},
		"a grant": {reason: "Spot instances start", in: bottlerocket(), change: encrypted(append(other, spotRole), spot)},
		"no Spot": {reason: "the nodes' own roles are enough", in: bottlerocket(), change: encrypted(nil)},
		"no key": {reason: "AWS's own key needs no grant", in: bottlerocket(),
			change: func(in *preflight.Input) { in.Launchers = []preflight.Launcher{spot} }},
	})
}

func TestAutoScalingGrant(t *testing.T) {
	const arn = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
	role := func(name string) string {
		return "arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/" + name
	}
	launcher := func(name string) preflight.Launcher {
		return preflight.Launcher{Name: "managed node group prod/gpu", Role: preflight.AutoScalingRole(name)}
	}
	encrypted := func(grantees []string, launchers ...preflight.Launcher) func(*preflight.Input) {
		return func(in *preflight.Input) {
			in.Snapshot.Key, in.Launchers = &binding.Key{ARN: arn, Grantees: grantees}, launchers
		}
	}
	usual, suffixed := launcher(preflight.AutoScalingServiceRole), launcher("AWSServiceRoleForAutoScaling_gpu")
	spot := preflight.Launcher{Name: "managed node group prod/gpu", Role: preflight.SpotRole()}
	run(t, map[string]row{
		"no grant": {reason: "the group would launch nothing", in: bottlerocket(), change: encrypted([]string{}, usual),
			warnings: []string{"KMSGrantMissing"}, says: "managed node group prod/gpu launches instances by Auto Scaling, whose role AWSServiceRoleForAutoScaling has no grant for KMS key " + arn +
				" of snapshot snap-1: unless the key's policy names the role, no instance starts. In the account of the nodes, run: aws kms create-grant --region eu-central-1 --key-id " + arn +
				" --grantee-principal arn:aws:iam::ACCOUNT:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling --operations Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant"},
		"a grant":                   {reason: "instances start", in: bottlerocket(), change: encrypted([]string{role("AWSServiceRoleForAutoScaling")}, usual)},
		"a grant for another role":  {reason: "a group has one role", in: bottlerocket(), change: encrypted([]string{role("AWSServiceRoleForAutoScaling")}, suffixed), warnings: []string{"KMSGrantMissing"}, says: "role AWSServiceRoleForAutoScaling_gpu"},
		"Spot, and a grant for one": {reason: "both roles have a part in it", in: bottlerocket(), change: encrypted([]string{role("AWSServiceRoleForAutoScaling")}, usual, spot), warnings: []string{"KMSGrantMissing"}, says: "launches Spot instances"},
		"Spot, and no grants":       {reason: "both are told", in: bottlerocket(), change: encrypted(nil, usual, spot), warnings: []string{"NotChecked", "NotChecked"}, says: "may have no grant"},
	})
}
