package preflight_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/internal/aws/ami"
)

func requirement(key, operator string, values ...any) object {
	return object{"key": key, "operator": operator, "values": values}
}

func poolOf(spec object, requirements ...any) *unstructured.Unstructured {
	if spec == nil {
		spec = object{}
	}
	spec["template"] = object{"spec": object{"requirements": requirements}}
	return &unstructured.Unstructured{Object: object{"spec": spec}}
}

func withAMIs(requirements ...any) func(*preflight.Input) {
	return func(in *preflight.Input) {
		var amis []any
		for _, one := range requirements {
			amis = append(amis, object{"id": "ami-1", "requirements": []any{one}})
		}
		in.Class.Object["status"] = object{"amis": amis}
	}
}

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
			change: func(in *preflight.Input) { in.Snapshot.StoredBytes, in.Wanted = 100<<30, nil }},
	})
}

func TestArchitectures(t *testing.T) {
	const arch = "kubernetes.io/arch"
	amd64, arm64 := requirement(arch, "In", "amd64"), requirement(arch, "In", "arm64")
	holding := func(platforms ...string) func(*preflight.Input) {
		return func(in *preflight.Input) { in.Snapshot.Platforms = platforms }
	}
	all := func(changes ...func(*preflight.Input)) func(*preflight.Input) {
		return func(in *preflight.Input) {
			for _, change := range changes {
				change(in)
			}
		}
	}
	pools := func(pools ...*unstructured.Unstructured) func(*preflight.Input) {
		return func(in *preflight.Input) { in.Pools = pools }
	}
	labelled := poolOf(nil)
	_ = unstructured.SetNestedStringMap(labelled.Object, map[string]string{arch: "arm64"}, "spec", "template", "metadata", "labels")
	run(t, map[string]row{
		"none": {reason: "no node would find an image", in: bottlerocket(), change: all(withAMIs(amd64), holding("linux/arm64")),
			problem: "ArchitectureMismatch", says: "holds images for arm64, and the nodes of EC2NodeClass gpu are amd64: add linux/amd64"},
		"none for the pools": {reason: "the AMIs are for both, the NodePools for one", in: bottlerocket(),
			change:  all(withAMIs(amd64, arm64), holding("linux/amd64"), pools(poolOf(nil, arm64))),
			problem: "ArchitectureMismatch", says: "are arm64"},
		"none for the pools, by what they exclude": {reason: "NotIn is In of the rest", in: bottlerocket(),
			change:  all(holding("linux/amd64"), pools(poolOf(nil, requirement(arch, "NotIn", "amd64")))),
			problem: "ArchitectureMismatch", says: "are arm64"},
		"none for the pools, by a label": {reason: "a label that a pool sets is a requirement", in: bottlerocket(),
			change:  all(holding("linux/amd64"), pools(labelled)),
			problem: "ArchitectureMismatch", says: "are arm64"},
		"some": {reason: "those of the other architecture pull their images", in: bottlerocket(),
			change:   all(withAMIs(amd64, arm64), holding("linux/amd64"), pools(poolOf(nil, amd64), poolOf(nil))),
			warnings: []string{"ArchitectureMismatch"}, says: "holds no images for arm64"},
		"all that the pools have": {reason: "the AMI for arm64 is never launched", in: bottlerocket(),
			change: all(withAMIs(amd64, arm64), holding("linux/amd64/v3"), pools(poolOf(nil, amd64)))},
		"AMIs that are not resolved": {reason: "the class may be of one architecture", in: bottlerocket(), change: holding("linux/amd64"),
			warnings: []string{"NotChecked"}, says: "holds no images for arm64, and the AMIs of EC2NodeClass gpu are not resolved"},
		"platforms that are not known": {reason: "a snapshot of another account has no tags", in: bottlerocket(), change: all(withAMIs(amd64), holding()),
			warnings: []string{"NotChecked"}, says: "are not known"},
		"pools without a common architecture": {reason: "no node is launched, and Karpenter says so", in: bottlerocket(),
			change: all(withAMIs(amd64), holding("linux/amd64"), pools(poolOf(nil, arm64)))},
	})
}

func TestInitializationRate(t *testing.T) {
	rated := func(rate int64, change func(*preflight.Input)) func(*preflight.Input) {
		return func(in *preflight.Input) {
			in.Wanted["ebs"].(object)["volumeInitializationRate"] = rate
			change(in)
		}
	}
	limited := func(limits ...any) func(*preflight.Input) {
		return func(in *preflight.Input) {
			for _, limit := range limits {
				in.Pools = append(in.Pools, poolOf(object{"limits": object{"nodes": limit, "cpu": "10000"}}))
			}
		}
	}
	run(t, map[string]row{
		"with fast restores": {reason: "they are paid for and not used", in: bottlerocket(),
			change:   rated(100, func(in *preflight.Input) { in.Snapshot.FastRestore = true }),
			warnings: []string{"InitializationRateIgnoresFastSnapshotRestore"}, says: "with which EBS does not use the fast snapshot restores of snapshot snap-1"},
		"fast restores alone": {reason: "they are used", in: bottlerocket(), change: func(in *preflight.Input) { in.Snapshot.FastRestore = true }},
		"more nodes than the quota lets": {reason: "all of them may be replaced at once", in: bottlerocket(),
			change:   rated(300, func(in *preflight.Input) { in.Nodes = 17 }),
			warnings: []string{"InitializationRateExceedsQuota"}, says: "lets 16 of them"},
		"as many as the quota lets": {reason: "16 times 300 is 4,800", in: bottlerocket(), change: rated(300, func(in *preflight.Input) { in.Nodes = 16 })},
		"pools that may grow past it": {reason: "their limits add up, written as a number or as text", in: bottlerocket(),
			change:   rated(100, limited(int64(26), "25")),
			warnings: []string{"InitializationRateExceedsQuota"}, says: "51 nodes of EC2NodeClass gpu may start at once"},
		"a static pool past it": {reason: "Karpenter starts its replicas together", in: bottlerocket(),
			change:   rated(300, func(in *preflight.Input) { in.Pools = append(in.Pools, poolOf(object{"replicas": int64(20)})) }),
			warnings: []string{"InitializationRateExceedsQuota"}, says: "20 nodes"},
		"pools that may not":  {reason: "50 times 100 is the quota", in: bottlerocket(), change: rated(100, limited(int64(50), nil))},
		"many nodes, no rate": {reason: "the quota is for the rate", in: bottlerocket(), change: func(in *preflight.Input) { in.Nodes = 5000 }},
	})
}

func TestSpotGrant(t *testing.T) {
	const (
		capacity = "karpenter.sh/capacity-type"
		arn      = "arn:aws-cn:kms:cn-north-1:111122223333:key/11111111-2222-3333-4444-555555555555"
		spotRole = "arn:aws-cn:iam::111122223333:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
	)
	spot, onDemand := poolOf(nil, requirement(capacity, "In", "spot", "on-demand")), poolOf(nil, requirement(capacity, "In", "on-demand"))
	encrypted := func(grantees []string, pools ...*unstructured.Unstructured) func(*preflight.Input) {
		return func(in *preflight.Input) {
			in.Snapshot.Key = &binding.Key{ARN: arn, Grantees: grantees}
			in.Pools = pools
		}
	}
	other := []string{"arn:aws-cn:iam::111122223333:role/AWSServiceRoleForEC2Spot"}
	run(t, map[string]row{
		"no grant": {reason: "a role of that name that is not the service's does not count", in: bottlerocket(), change: encrypted(other, onDemand, spot),
			warnings: []string{"KMSGrantMissing"}, says: "aws kms create-grant --region cn-north-1 --key-id " + arn +
				" --grantee-principal arn:aws-cn:iam::ACCOUNT:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot --operations Decrypt"},
		"no requirement": {reason: "Karpenter prefers Spot where it may", in: bottlerocket(), change: encrypted([]string{}, poolOf(nil)),
			warnings: []string{"KMSGrantMissing"}, says: "has no grant"},
		"grants that are not known": {reason: "reading them may be forbidden", in: bottlerocket(), change: encrypted(nil, spot),
			warnings: []string{"NotChecked"}, says: "may have no grant, which could not be read,"},
		"a grant":                  {reason: "Spot instances start", in: bottlerocket(), change: encrypted(append(other, spotRole), spot)},
		"no Spot":                  {reason: "Karpenter's own role is enough", in: bottlerocket(), change: encrypted(nil, onDemand)},
		"pools that are not known": {reason: "there may be no Spot", in: bottlerocket(), change: encrypted(nil)},
		"no key": {reason: "AWS's own key needs no grant", in: bottlerocket(),
			change: func(in *preflight.Input) { in.Pools = []*unstructured.Unstructured{spot} }},
	})
}
