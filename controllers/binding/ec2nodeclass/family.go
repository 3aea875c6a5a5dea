package ec2nodeclass

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

// familyOf returns spec.amiFamily, else the family of the alias in spec.amiSelectorTerms, as Karpenter does;
// amifamily.Unknown when neither says.
func familyOf(class *unstructured.Unstructured) string {
	if family, _, _ := unstructured.NestedString(class.Object, "spec", "amiFamily"); family != "" {
		return family
	}
	name := aliasOf(class)
	for _, family := range []string{
		amifamily.Bottlerocket, amifamily.AL2023, amifamily.AL2,
		amifamily.Windows2019, amifamily.Windows2022, amifamily.Windows2025,
	} {
		if strings.EqualFold(name, family) {
			return family
		}
	}
	return amifamily.Unknown
}

// aliasOf returns what is before the version in "al2023@latest"; empty when there is no alias. The AMIs of a class with an
// alias are Amazon's own; those that it selects otherwise may be anybody's.
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

// defaultDevices returns the devices that Karpenter gives a class without a list: Bottlerocket.DefaultBlockDeviceMappings
// of its AWS provider. Its root volume has 4 GiB up to version 1.14 and 6 GiB since; AMIs of either age boot from 6.
// It is nil for families whose devices Larder does not write. A list replaces the defaults altogether, so who writes the
// first device has to write the default ones too.
func defaultDevices(family string) []any {
	if family != amifamily.Bottlerocket {
		return nil
	}
	volume := func(name, size string) mapping {
		ebs := mapping{"encrypted": true, "volumeType": "gp3", "volumeSize": size}
		return mapping{"deviceName": name, "ebs": ebs}
	}
	return []any{volume("/dev/xvda", "6Gi"), volume(amifamily.BottlerocketDataDevice, "20Gi")}
}
