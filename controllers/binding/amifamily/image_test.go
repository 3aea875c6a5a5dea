package amifamily_test

import (
	"testing"

	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/internal/aws/ami"
)

func TestOfImages(t *testing.T) {
	named := func(names ...string) (images []ami.Image) {
		for _, name := range names {
			images = append(images, ami.Image{Name: name})
		}
		return images
	}
	const bottlerocket, al2023 = "bottlerocket-aws-k8s-1.33-nvidia-x86_64-v1.50.0-5ed15786", "amazon-eks-node-al2023-x86_64-standard-1.33-v20251016"
	unknown := amifamily.System{Family: amifamily.Unknown, Runtime: amifamily.UnknownRuntime}
	cases := map[string]struct {
		reason string
		images []ami.Image
		want   amifamily.System
	}{
		"Bottlerocket of EKS":      {"every variant is called so", named(bottlerocket), amifamily.System{Family: amifamily.Bottlerocket, Runtime: amifamily.Kubernetes}},
		"Bottlerocket of ECS":      {"the same system with Docker", named("bottlerocket-aws-ecs-2-x86_64-v1.50.0-5ed15786"), amifamily.System{Family: amifamily.Bottlerocket, Runtime: amifamily.Docker}},
		"AL2023 of EKS":            {"the standard AMI", named(al2023), amifamily.System{Family: amifamily.AL2023, Runtime: amifamily.Kubernetes}},
		"AL2023 of EKS, NVIDIA":    {"a driver more", named("amazon-eks-node-al2023-arm64-nvidia-1.33-v20251016"), amifamily.System{Family: amifamily.AL2023, Runtime: amifamily.Kubernetes}},
		"AL2 of EKS":               {"AL2 is not named", named("amazon-eks-node-1.29-v20240415"), amifamily.System{Family: amifamily.AL2, Runtime: amifamily.Kubernetes}},
		"AL2 of EKS, GPU":          {"the driver comes first", named("amazon-eks-gpu-node-1.29-v20240415"), amifamily.System{Family: amifamily.AL2, Runtime: amifamily.Kubernetes}},
		"AL2 of EKS, arm64":        {"so does the architecture", named("amazon-eks-arm64-node-1.29-v20240415"), amifamily.System{Family: amifamily.AL2, Runtime: amifamily.Kubernetes}},
		"AL2023 of ECS":            {"the variant comes next", named("al2023-ami-ecs-gpu-hvm-2023.0.20250905-kernel-6.1-x86_64-ebs"), amifamily.System{Family: amifamily.AL2023, Runtime: amifamily.Docker}},
		"AL2 of ECS":               {"Amazon's older word", named("amzn2-ami-ecs-kernel-5.10-hvm-2.0.20250902-x86_64-ebs"), amifamily.System{Family: amifamily.AL2, Runtime: amifamily.Docker}},
		"Windows of EKS":           {"no Linux image runs there", named("Windows_Server-2022-English-Core-EKS_Optimized-1.33-2025.09.16"), amifamily.System{Family: amifamily.Windows2022, Runtime: amifamily.Kubernetes}},
		"Windows of ECS":           {"nor there", named("Windows_Server-2019-English-Full-ECS_Optimized-2025.09.13"), amifamily.System{Family: amifamily.Windows2019, Runtime: amifamily.Docker}},
		"a copy":                   {"EC2 writes the name into the description", []ami.Image{{Name: "encrypted", Description: "[Copied ami-0123456789abcdef0 from us-east-1] " + bottlerocket}}, amifamily.System{Family: amifamily.Bottlerocket, Runtime: amifamily.Kubernetes}},
		"built with EKS's recipe":  {"it describes what it makes", []ami.Image{{Name: "golden", Description: "EKS-optimized Kubernetes node based on Amazon Linux 2023, (k8s: 1.33.5)"}}, amifamily.System{Family: amifamily.AL2023, Runtime: amifamily.Kubernetes}},
		"one of one's own":         {"its name says nothing", named("golden-2026-01"), unknown},
		"Amazon Linux itself":      {"it has neither kubelet nor ECS's agent", named("al2023-ami-2023.8.20250915.0-kernel-6.1-x86_64"), unknown},
		"a word that contains one": {"another maker's name", named("notbottlerocket-aws-k8s-1.33"), unknown},
		"two of one kind":          {"both architectures of a pool", named(bottlerocket, "bottlerocket-aws-k8s-1.33-aarch64-v1.50.0-5ed15786"), amifamily.System{Family: amifamily.Bottlerocket, Runtime: amifamily.Kubernetes}},
		"two families":             {"which one a node has cannot be said", named(bottlerocket, al2023), amifamily.System{Family: amifamily.Unknown, Runtime: amifamily.Kubernetes}},
		"two runtimes":             {"what a node runs cannot be said", named(al2023, "al2023-ami-ecs-hvm-2023.0.20250905-kernel-6.1-x86_64"), amifamily.System{Family: amifamily.AL2023, Runtime: amifamily.UnknownRuntime}},
		"a known and an unknown":   {"the other one may be anything", named(al2023, "golden"), unknown},
		"no AMI":                   {"nothing is known", nil, unknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := amifamily.OfImages(tc.images); got != tc.want {
				t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
			}
		})
	}
}
