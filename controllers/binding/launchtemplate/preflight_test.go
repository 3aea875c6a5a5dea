package launchtemplate

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/launch"
)

func TestPreflight(t *testing.T) {
	node := ami.Image{Name: "amazon-eks-node-al2023-x86_64-standard-1.33-v20251016", Architecture: "amd64", Amazon: true}
	host := ami.Image{Name: "al2023-ami-ecs-hvm-2023.0.20250905-kernel-6.1-x86_64", Architecture: "amd64", Amazon: true}
	const mounts = "#!/bin/bash\nmount /dev/xvdf /models\n"
	cases := map[string]struct {
		reason   string
		image    ami.Image
		format   v1alpha1.Format
		userData string
		problem  string
	}{
		"files for Docker": {"they are for its containers", host, v1alpha1.FormatFiles, mounts, ""},
		"images for Docker": {"it has a store of its own", host, v1alpha1.FormatContainerd, mounts,
			"FormatMismatch: snapshot snap-1 has the format Containerd: the nodes of launch template lt-1 (workers) run Docker, and their Docker does not read a containerd store: use the format Files on a data device"},
		"files for Kubernetes": {"no containerd finds an image in them", node, v1alpha1.FormatFiles, mounts,
			"FormatMismatch: snapshot snap-1 has the format Files: it holds no images that the containerd of a node could run: name a snapshot of the format Containerd in spec.snapshot"},
		"images that nothing mounts": {"nothing of Amazon's AMI mounts a second disk", node, v1alpha1.FormatContainerd, mounts,
			"DeviceNotMounted: nothing in the user data of launch template lt-1 (workers) mounts /dev/xvdf over /var/lib/containerd, so that nodes would not see the images on it: add the script of docs/node-user-data.md, with device=/dev/xvdf"},
		"images that something mounts": {"nodes see them", node, v1alpha1.FormatContainerd, "#!/bin/bash\nmount /dev/xvdf /var/lib/containerd\n", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			version := launch.Version{TemplateID: "lt-1", Number: 1, Default: true, UserData: base64.StdEncoding.EncodeToString([]byte(tc.userData))}
			o := &observation{
				history: template.History{Template: launch.Template{ID: "lt-1", Name: "workers"}, Versions: []launch.Version{version}},
				images:  []ami.Image{tc.image},
			}
			b := &v1alpha1.NodeClassBinding{}
			b.UID = "uid"
			b.Spec.Target.LaunchTemplate = &v1alpha1.LaunchTemplateTarget{ID: "lt-1", Device: v1alpha1.Device{Name: "/dev/xvdf"}}
			plan := o.Plan(b, binding.Snapshot{ID: "snap-1", Format: tc.format, SizeGiB: 8, Platforms: []string{"linux/amd64"}}, time.Now())
			problem := ""
			if plan.Problem != nil {
				problem = plan.Problem.Error()
			}
			if diff := cmp.Diff(tc.problem, problem); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if len(plan.Warnings) > 0 {
				t.Errorf("%s: warnings %+v", tc.reason, plan.Warnings)
			}
			if written := plan.Write != nil; written != (tc.problem == "") {
				t.Errorf("%s: a write is planned: %v", tc.reason, written)
			}
		})
	}
}
