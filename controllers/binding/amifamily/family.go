// Package amifamily knows what the nodes of Karpenter's AMI families boot from.
package amifamily

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Values of spec.amiFamily that Larder knows: pkg/apis/v1/labels.go of Karpenter's AWS provider.
const (
	Bottlerocket = "Bottlerocket"
	AL2023       = "AL2023"
	AL2          = "AL2"
	Windows2019  = "Windows2019"
	Windows2022  = "Windows2022"
	Windows2025  = "Windows2025"
	Custom       = "Custom"
)

// Unknown is the family of a class that says none.
const Unknown = "unknown"

// BottlerocketDataDevice is the device that Bottlerocket's AMIs keep everything on but their settings and the system.
const BottlerocketDataDevice = "/dev/xvdb"

// Of returns spec.amiFamily, else the family of the alias in spec.amiSelectorTerms, as Karpenter does; Unknown when
// neither says.
func Of(class *unstructured.Unstructured) string {
	if family, _, _ := unstructured.NestedString(class.Object, "spec", "amiFamily"); family != "" {
		return family
	}
	name := aliasOf(class)
	for _, family := range []string{Bottlerocket, AL2023, AL2, Windows2019, Windows2022, Windows2025} {
		if strings.EqualFold(name, family) {
			return family
		}
	}
	return Unknown
}

// HasAlias tells whether a class's AMIs are Amazon's own. Those that it selects otherwise may be anybody's.
func HasAlias(class *unstructured.Unstructured) bool { return aliasOf(class) != "" }

// aliasOf returns what is before the version in "al2023@latest"; empty when there is no alias.
func aliasOf(class *unstructured.Unstructured) string {
	spec, _ := class.Object["spec"].(map[string]any)
	terms, _ := spec["amiSelectorTerms"].([]any)
	for _, term := range terms {
		fields, _ := term.(map[string]any)
		if alias, _ := fields["alias"].(string); alias != "" {
			name, _, _ := strings.Cut(alias, "@")
			return name
		}
	}
	return ""
}

// IsWindows tells whether a family's nodes run Windows.
func IsWindows(family string) bool {
	return family == Windows2019 || family == Windows2022 || family == Windows2025
}

// RootDevice returns the device that a family's AMIs boot from, which must never be replaced; empty when that is not known.
func RootDevice(family string) string {
	switch family {
	case Bottlerocket, AL2023, AL2:
		return "/dev/xvda"
	case Windows2019, Windows2022, Windows2025:
		return "/dev/sda1"
	default:
		return ""
	}
}

// DefaultDevices returns the devices that Karpenter gives a class without a list: Bottlerocket.DefaultBlockDeviceMappings
// of its AWS provider. Its root volume has 4 GiB up to version 1.14 and 6 GiB since; AMIs of either age boot from 6.
// It is nil for families whose devices Larder does not write. A list replaces the defaults altogether, so who writes the
// first device has to write the default ones too.
func DefaultDevices(family string) []any {
	if family != Bottlerocket {
		return nil
	}
	volume := func(name, size string) map[string]any {
		ebs := map[string]any{"encrypted": true, "volumeType": "gp3", "volumeSize": size}
		return map[string]any{"deviceName": name, "ebs": ebs}
	}
	return []any{volume("/dev/xvda", "6Gi"), volume(BottlerocketDataDevice, "20Gi")}
}
