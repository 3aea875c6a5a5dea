// Package amifamily knows which systems nodes run, by the words of Karpenter, and what they boot from.
package amifamily

// Families by the names of Karpenter's spec.amiFamily: pkg/apis/v1/labels.go of its AWS provider.
const (
	Bottlerocket = "Bottlerocket"
	AL2023       = "AL2023"
	AL2          = "AL2"
	Windows2019  = "Windows2019"
	Windows2022  = "Windows2022"
	Windows2025  = "Windows2025"
	Custom       = "Custom"
)

// Unknown is the family of nodes of which nothing says one.
const Unknown = "unknown"

// BottlerocketDataDevice is the device that Bottlerocket's AMIs keep everything on but their settings and the system.
const BottlerocketDataDevice = "/dev/xvdb"

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
