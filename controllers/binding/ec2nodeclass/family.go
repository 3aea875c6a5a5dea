package ec2nodeclass

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// AMI families whose devices Larder knows. The root device is what each family's AMIs boot from.
const (
	familyBottlerocket = "Bottlerocket"
	familyAL2023       = "AL2023"
	familyAL2          = "AL2"
)

// familyOf returns spec.amiFamily, else the family of the alias in spec.amiSelectorTerms, as Karpenter does; "unknown"
// when neither says.
func familyOf(class *unstructured.Unstructured) string {
	if family, _, _ := unstructured.NestedString(class.Object, "spec", "amiFamily"); family != "" {
		return family
	}
	terms, _, _ := unstructured.NestedSlice(class.Object, "spec", "amiSelectorTerms")
	for _, term := range terms {
		fields, _ := term.(map[string]any)
		alias, _ := fields["alias"].(string)
		name, _, _ := strings.Cut(alias, "@")
		for _, family := range []string{familyBottlerocket, familyAL2023, familyAL2} {
			if strings.EqualFold(name, family) {
				return family
			}
		}
	}
	return "unknown"
}

// rootDevice returns the device that must never be replaced; empty for a family whose root is not known.
func rootDevice(family string) string {
	switch family {
	case familyBottlerocket, familyAL2023, familyAL2:
		return "/dev/xvda"
	default:
		return ""
	}
}

// defaultDevices returns the devices that Karpenter gives a class without a list: Bottlerocket.DefaultBlockDeviceMappings
// of its AWS provider. Its root volume has 4 GiB up to version 1.14 and 6 GiB since; AMIs of either age boot from 6.
// It is nil for families whose devices Larder does not write. A list replaces the defaults altogether, so who writes the
// first device has to write the default ones too.
func defaultDevices(family string) []any {
	if family != familyBottlerocket {
		return nil
	}
	volume := func(name, size string) mapping {
		return mapping{"deviceName": name, "ebs": mapping{"encrypted": true, "volumeType": "gp3", "volumeSize": size}}
	}
	return []any{volume("/dev/xvda", "6Gi"), volume("/dev/xvdb", "20Gi")}
}
