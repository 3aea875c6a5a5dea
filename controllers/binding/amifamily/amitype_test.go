package amifamily_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

func TestOfAMIType(t *testing.T) {
	cases := map[string]struct{ reason, family, architecture string }{
		"BOTTLEROCKET_ARM_64_NVIDIA_FIPS": {"variants have the same data volume", amifamily.Bottlerocket, "arm64"},
		"BOTTLEROCKET_x86_64":             {"the standard variant", amifamily.Bottlerocket, "amd64"},
		"AL2023_x86_64_NEURON":            {"a driver more", amifamily.AL2023, "amd64"},
		"AL2023_ARM_64_STANDARD":          {"the standard AMI", amifamily.AL2023, "arm64"},
		"AL2_x86_64_GPU":                  {"AL2 is not the beginning of AL2023", amifamily.AL2, "amd64"},
		"AL2_ARM_64":                      {"nothing behind the architecture", amifamily.AL2, "arm64"},
		"WINDOWS_CORE_2025_x86_64":        {"the year tells the family", amifamily.Windows2025, "amd64"},
		"WINDOWS_FULL_2019_x86_64":        {"with a desktop", amifamily.Windows2019, "amd64"},
		"CUSTOM":                          {"the launch template names the AMI", amifamily.Custom, ""},
		"AL2027_ARM_64_STANDARD":          {"a newer EKS may have more", amifamily.Unknown, "arm64"},
		"WINDOWS_CORE_2031_x86_64":        {"and more of Windows", amifamily.Unknown, "amd64"},
		"":                                {"EKS always says one", amifamily.Unknown, ""},
	}
	for amiType, tc := range cases {
		t.Run(amiType, func(t *testing.T) {
			if family, architecture := amifamily.OfAMIType(amiType); family != tc.family || architecture != tc.architecture {
				t.Errorf("%s: got %s on %q, want %s on %q", tc.reason, family, architecture, tc.family, tc.architecture)
			}
		})
	}
}

func TestOfAMITypeKnowsAllOfEKS(t *testing.T) {
	for _, amiType := range types.AMITypes("").Values() {
		family, architecture := amifamily.OfAMIType(string(amiType))
		if family == amifamily.Unknown || (architecture == "") != (amiType == types.AMITypesCustom) {
			t.Errorf("amiType %s is of the family %s on %q", amiType, family, architecture)
		}
		begins := strings.ToUpper(strings.TrimRight(family, "0123456789"))
		if !strings.HasPrefix(string(amiType), begins) {
			t.Errorf("amiType %s does not begin with %s", amiType, begins)
		}
	}
}

func TestOfBatchType(t *testing.T) {
	cases := map[string]struct {
		reason string
		want   amifamily.System
	}{
		"ECS_AL2023":        {"the default of newer environments", amifamily.System{Family: amifamily.AL2023, Runtime: amifamily.Docker}},
		"ECS_AL2_NVIDIA":    {"a driver more", amifamily.System{Family: amifamily.AL2, Runtime: amifamily.Docker}},
		"ECS_AL2":           {"AL2 is not the beginning of AL2023", amifamily.System{Family: amifamily.AL2, Runtime: amifamily.Docker}},
		"ECS_AL1":           {"the first Amazon Linux is no family of Kubernetes", amifamily.System{Family: amifamily.Unknown, Runtime: amifamily.Docker}},
		"EKS_AL2023_NVIDIA": {"Batch on EKS has kubelet", amifamily.System{Family: amifamily.AL2023, Runtime: amifamily.Kubernetes}},
		"EKS_AL2":           {"the older one", amifamily.System{Family: amifamily.AL2, Runtime: amifamily.Kubernetes}},
		"":                  {"an environment may leave it to Batch", amifamily.System{Family: amifamily.Unknown, Runtime: amifamily.UnknownRuntime}},
	}
	for imageType, tc := range cases {
		t.Run(imageType, func(t *testing.T) {
			if got := amifamily.OfBatchType(imageType); got != tc.want {
				t.Errorf("%s: got %+v, want %+v", tc.reason, got, tc.want)
			}
		})
	}
}
