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
