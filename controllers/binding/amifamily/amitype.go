package amifamily

import "strings"

// OfAMIType returns the family and the architecture of an EKS node group's amiType: "AL2023_ARM_64_NVIDIA" is AL2023 on
// arm64. The words behind the architecture (NVIDIA, NEURON, FIPS) are variants that keep their images where the family
// does. The type CUSTOM says neither: its nodes boot from the AMI of the launch template.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html
func OfAMIType(amiType string) (family, architecture string) {
	switch {
	case strings.Contains(amiType, "_ARM_64"):
		architecture = "arm64"
	case strings.Contains(amiType, "_x86_64"):
		architecture = "amd64"
	}
	switch system, _, _ := strings.Cut(amiType, "_"); system {
	case "BOTTLEROCKET":
		return Bottlerocket, architecture
	case "AL2023":
		return AL2023, architecture
	case "AL2":
		return AL2, architecture
	case "CUSTOM":
		return Custom, architecture
	}
	for _, windows := range []string{Windows2019, Windows2022, Windows2025} {
		if strings.HasPrefix(amiType, "WINDOWS_") && strings.Contains(amiType, "_"+strings.TrimPrefix(windows, "Windows")+"_") {
			return windows, architecture
		}
	}
	return Unknown, architecture
}

// Architectures are those that EC2 has Linux nodes of, by the words of container images.
func Architectures() []string { return []string{"amd64", "arm64"} }

// OfBatchType returns what instances of Batch run by the imageType of their environment's ec2Configuration:
// "ECS_AL2023_NVIDIA" is AL2023 with Docker.
// https://docs.aws.amazon.com/batch/latest/APIReference/API_Ec2Configuration.html
func OfBatchType(imageType string) System {
	system := System{Family: Unknown, Runtime: UnknownRuntime}
	switch orchestrator, _, _ := strings.Cut(imageType, "_"); orchestrator {
	case "ECS":
		system.Runtime = Docker
	case "EKS":
		system.Runtime = Kubernetes
	}
	switch _, variant, _ := strings.Cut(imageType, "_"); {
	case strings.HasPrefix(variant, AL2023):
		system.Family = AL2023
	case variant == AL2, strings.HasPrefix(variant, AL2+"_"):
		system.Family = AL2
	}
	return system
}
