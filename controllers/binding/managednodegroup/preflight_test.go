package managednodegroup

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
)

func TestPreflight(t *testing.T) {
	image := binding.Snapshot{ID: "snap-1", Format: v1alpha1.FormatContainerd, SizeGiB: 8, Platforms: []string{"linux/amd64"}}
	files, partitioned, keyed := image, image, image
	files.Format, partitioned.Format = v1alpha1.FormatFiles, v1alpha1.FormatBottlerocket
	keyed.Format, keyed.Key = v1alpha1.FormatBottlerocket, &binding.Key{ARN: "arn:aws:kms:eu-central-1:111122223333:key/k", Grantees: []string{}}
	const grant = " has no grant for KMS key arn:aws:kms:eu-central-1:111122223333:key/k of snapshot snap-1: unless the key's policy names the role, no "
	const run = "instance starts. In the account of the nodes, run: aws kms create-grant --region eu-central-1 --key-id " +
		"arn:aws:kms:eu-central-1:111122223333:key/k --grantee-principal arn:aws:iam::ACCOUNT:role/aws-service-role/"
	const operations = " --operations "
	cases := map[string]struct {
		reason   string
		amiType  string
		capacity string
		images   []ami.Image
		snapshot binding.Snapshot
		rate     int64
		problem  string
		warnings []string
	}{
		"nothing wrong": {reason: "the usual group", amiType: "BOTTLEROCKET_x86_64", snapshot: partitioned},
		"files": {reason: "no containerd finds an image in them", amiType: "BOTTLEROCKET_x86_64", snapshot: files,
			problem: "FormatMismatch: snapshot snap-1 has the format Files: it holds no images that the containerd of a node could run: name a snapshot of the format Bottlerocket in spec.snapshot"},
		"an architecture that is missing": {reason: "no node would find an image", amiType: "BOTTLEROCKET_ARM_64_NVIDIA", snapshot: partitioned,
			problem: "ArchitectureMismatch: snapshot snap-1 holds images for amd64, and the nodes of EKS node group prod/gpu are arm64: add linux/arm64 to the platforms of the snapshot"},
		"nothing mounts": {reason: "nothing of EKS's AMI mounts a second disk", amiType: "AL2023_x86_64_STANDARD", snapshot: image,
			problem: "DeviceNotMounted: nothing in the user data of launch template lt-1 of EKS node group prod/gpu mounts /dev/xvdb over /var/lib/containerd, so that nodes would not see the images on it: add the script of docs/node-user-data.md, with device=/dev/xvdb"},
		"Windows": {reason: "its containerd runs Windows images", amiType: "WINDOWS_CORE_2022_x86_64", snapshot: image,
			problem: "FormatMismatch: snapshot snap-1 has the format Containerd: its images are for Linux, and the nodes of EKS node group prod/gpu run Windows: bind a node group of a Linux family"},
		"an AMI of its own": {reason: "its name tells the family", amiType: "CUSTOM", snapshot: image,
			images:  []ami.Image{{Name: "bottlerocket-aws-k8s-1.33-x86_64-v1.50.0-5ed15786", Architecture: "amd64"}},
			problem: "FormatMismatch: snapshot snap-1 has the format Containerd: it has no partitions, and the nodes of EKS node group prod/gpu are Bottlerocket, which keeps its data in one: name a snapshot of the format Bottlerocket in spec.snapshot"},
		"no grants": {reason: "Auto Scaling launches, and Spot too", amiType: "BOTTLEROCKET_x86_64", capacity: "SPOT", snapshot: keyed, warnings: []string{
			"KMSGrantMissing: EKS node group prod/gpu launches instances by Auto Scaling, whose role AWSServiceRoleForAutoScaling" + grant + run + "autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling" + operations + "Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey CreateGrant",
			"KMSGrantMissing: EKS node group prod/gpu launches Spot instances, whose role AWSServiceRoleForEC2Spot" + grant + "Spot " + run + "spot.amazonaws.com/AWSServiceRoleForEC2Spot" + operations + "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext CreateGrant DescribeKey ReEncryptFrom ReEncryptTo"}},
		"a rate for many nodes": {reason: "the group may grow to 20", amiType: "BOTTLEROCKET_x86_64", snapshot: partitioned, rate: 300, warnings: []string{
			"InitializationRateExceedsQuota: 20 nodes of EKS node group prod/gpu may start at once, and with a volumeInitializationRate of 300 MiB/s a Region's quota of 5000 MiB/s lets 16 of them: the others fail to launch; lower device.volumeInitializationRate, or have the quota raised"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			version := launch.Version{TemplateID: "lt-1", Number: 1, Default: true, Devices: []launch.Device{{Name: "/dev/xvda", EBS: &launch.Volume{SizeGiB: 8}}}}
			o := &observation{
				group: eks.NodeGroup{
					Cluster: "prod", Name: "gpu", Status: eks.StatusActive, AMIType: tc.amiType, CapacityType: tc.capacity, MaxSize: 20,
					Template: &eks.Template{ID: "lt-1", Version: "1"},
				},
				history: template.History{Template: launch.Template{ID: "lt-1"}, Versions: []launch.Version{version}},
				images:  tc.images,
			}
			b := &v1alpha1.NodeClassBinding{}
			b.UID = "uid"
			device := v1alpha1.Device{Name: "/dev/xvdb"}
			if tc.rate != 0 {
				device.VolumeInitializationRate = &tc.rate
			}
			b.Spec.Target.ManagedNodeGroup = &v1alpha1.ManagedNodeGroupTarget{ClusterName: "prod", NodeGroupName: "gpu", Device: device}
			plan := o.Plan(b, tc.snapshot, version.CreateTime)
			problem := ""
			if plan.Problem != nil {
				problem = plan.Problem.Error()
			}
			var warnings []string
			for _, warning := range plan.Warnings {
				warnings = append(warnings, warning.Reason+": "+warning.Message)
			}
			if diff := cmp.Diff(tc.problem, problem); diff != "" {
				t.Errorf("%s: problem (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.warnings, warnings); diff != "" {
				t.Errorf("%s: warnings (-want +got):\n%s", tc.reason, diff)
			}
			if written := plan.Write != nil; written != (tc.problem == "") {
				t.Errorf("%s: a write is planned: %v", tc.reason, written)
			}
		})
	}
}
