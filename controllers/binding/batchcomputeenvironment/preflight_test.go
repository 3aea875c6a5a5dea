package batchcomputeenvironment

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
)

func TestPreflight(t *testing.T) {
	const amazonType = "ECS_AL2023"
	cases := map[string]struct {
		reason  string
		eks     bool
		image   batch.Image
		format  v1alpha1.Format
		problem string
	}{
		"files for ECS": {"they are for its containers", false, batch.Image{Type: amazonType}, v1alpha1.FormatFiles, ""},
		"images for ECS": {"Docker has a store of its own", false, batch.Image{Type: amazonType}, v1alpha1.FormatBottlerocket,
			"FormatMismatch: snapshot snap-1 has the format Bottlerocket: the nodes of Batch compute environment gpu run Docker, and their Docker does not read a containerd store: use the format Files on a data device"},
		"files for EKS": {"no containerd finds an image in them", true, batch.Image{Type: "EKS_AL2023"}, v1alpha1.FormatFiles,
			"FormatMismatch: snapshot snap-1 has the format Files: it holds no images that the containerd of a node could run: name a snapshot of the format Containerd in spec.snapshot"},
		"images for EKS that nothing mounts": {"nothing of Amazon's AMI mounts a second disk", true, batch.Image{Type: "EKS_AL2023_NVIDIA"}, v1alpha1.FormatContainerd,
			"DeviceNotMounted: nothing in the user data of launch template lt-1 of Batch compute environment gpu mounts /dev/xvdf over /var/lib/containerd, so that nodes would not see the images on it: add the script of docs/node-user-data.md, with device=/dev/xvdf"},
		"an AMI of its own": {"its name tells the family, whatever the environment says", true, batch.Image{Type: "EKS_AL2023", ID: "ami-1"}, v1alpha1.FormatContainerd,
			"DeviceUnlikeFamily: /dev/xvdf is not where Bottlerocket nodes keep images, and a second data partition beside that of /dev/xvdb makes them choose one of the two at random: delete this binding and make one for /dev/xvdb"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			version := launch.Version{TemplateID: "lt-1", Number: 1, Default: true}
			o := &observation{
				environment: &batch.ComputeEnvironment{
					Name: "gpu", Status: batch.Valid, Managed: true, EKS: tc.eks, AllocationStrategy: "BEST_FIT_PROGRESSIVE",
					Images: []batch.Image{tc.image}, Templates: []batch.Template{{ID: "lt-1", Version: "1"}},
				},
				images: []ami.Image{{ID: "ami-1", Name: "bottlerocket-aws-k8s-1.33-x86_64-v1.50.0-5ed15786", Architecture: "amd64"}},
			}
			o.uses = []use{{named: o.environment.Templates[0], history: template.History{Template: launch.Template{ID: "lt-1"}, Versions: []launch.Version{version}}}}
			b := &v1alpha1.NodeClassBinding{}
			b.UID = "uid"
			b.Spec.Target.BatchComputeEnvironment = &v1alpha1.BatchComputeEnvironmentTarget{Name: "gpu", Device: v1alpha1.Device{Name: "/dev/xvdf"}}
			plan := o.Plan(b, binding.Snapshot{ID: "snap-1", Format: tc.format, SizeGiB: 8, Platforms: []string{"linux/amd64", "linux/arm64"}}, version.CreateTime)
			problem := ""
			if plan.Problem != nil {
				problem = plan.Problem.Error()
			}
			if diff := cmp.Diff(tc.problem, problem); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if written := plan.Write != nil; written != (tc.problem == "") {
				t.Errorf("%s: a write is planned: %v", tc.reason, written)
			}
		})
	}
}
