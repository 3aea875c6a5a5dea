package amifamily

import (
	"regexp"

	"github.com/larder-dev/larder/internal/aws/ami"
)

// Runtime is what runs containers on a node, and so what has to find images there.
type Runtime int

// Runtimes.
const (
	// Kubernetes has kubelet, which asks containerd.
	Kubernetes Runtime = iota
	// Docker is that of hosts of ECS, and of Batch on ECS.
	Docker
	// UnknownRuntime is that of nodes of which nothing says one.
	UnknownRuntime
)

// System is what a node runs.
type System struct {
	// Family is one of the names above.
	Family string
	// Runtime runs its containers.
	Runtime Runtime
}

// makes are the AMIs of Amazon's by what their names begin with. A copy, or an AMI that was made upon one, often keeps the
// name, or has it in its description.
var makes = []struct {
	name *regexp.Regexp
	System
}{
	// https://github.com/bottlerocket-os/bottlerocket#variants
	{regexp.MustCompile(`\bbottlerocket-aws-k8s-`), System{Bottlerocket, Kubernetes}},
	{regexp.MustCompile(`\bbottlerocket-aws-ecs-`), System{Bottlerocket, Docker}},
	// https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html, and the descriptions that
	// https://github.com/awslabs/amazon-eks-ami gives what is built with its templates.
	{regexp.MustCompile(`\bamazon-eks-node-al2023-|\bEKS-optimized Kubernetes node based on Amazon Linux 2023\b`), System{AL2023, Kubernetes}},
	{regexp.MustCompile(`\bamazon-eks-(?:(?:gpu|arm64)-)?node-\d|\bEKS Kubernetes Worker AMI with AmazonLinux2 `), System{AL2, Kubernetes}},
	// https://docs.aws.amazon.com/eks/latest/userguide/retrieve-windows-ami-id.html
	{regexp.MustCompile(`\bWindows_Server-2019-\S*-EKS_Optimized-`), System{Windows2019, Kubernetes}},
	{regexp.MustCompile(`\bWindows_Server-2022-\S*-EKS_Optimized-`), System{Windows2022, Kubernetes}},
	{regexp.MustCompile(`\bWindows_Server-2025-\S*-EKS_Optimized-`), System{Windows2025, Kubernetes}},
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-optimized_AMI.html
	{regexp.MustCompile(`\bal2023-ami-ecs-`), System{AL2023, Docker}},
	{regexp.MustCompile(`\bamzn2-ami-ecs-`), System{AL2, Docker}},
	{regexp.MustCompile(`\bWindows_Server-2019-\S*-ECS_Optimized-`), System{Windows2019, Docker}},
	{regexp.MustCompile(`\bWindows_Server-2022-\S*-ECS_Optimized-`), System{Windows2022, Docker}},
	{regexp.MustCompile(`\bWindows_Server-2025-\S*-ECS_Optimized-`), System{Windows2025, Docker}},
}

// OfImages returns what nodes run that boot from one of the AMIs: Unknown and UnknownRuntime where they differ, or where
// an AMI does not say.
func OfImages(images []ami.Image) System {
	systems := make([]System, 0, len(images))
	for _, image := range images {
		systems = append(systems, ofImage(image))
	}
	return Common(systems)
}

// Common returns what all of the systems are: Unknown and UnknownRuntime where they differ, and for none.
func Common(systems []System) System {
	common := System{Family: Unknown, Runtime: UnknownRuntime}
	for at, system := range systems {
		if at == 0 {
			common = system
		}
		if system.Family != common.Family {
			common.Family = Unknown
		}
		if system.Runtime != common.Runtime {
			common.Runtime = UnknownRuntime
		}
	}
	return common
}

func ofImage(image ami.Image) System {
	for _, text := range []string{image.Name, image.Description} {
		for _, one := range makes {
			if one.name.MatchString(text) {
				return one.System
			}
		}
	}
	return System{Family: Unknown, Runtime: UnknownRuntime}
}
