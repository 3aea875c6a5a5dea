package ec2nodeclass

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// narrow returns those of the values that a label may have by a list of node selector requirements. Other operators than
// these compare numbers, which neither architectures nor capacity types are.
func narrow(values []string, requirements []any, label string) []string {
	for _, entry := range requirements {
		requirement, _ := entry.(map[string]any)
		if requirement["key"] != label {
			continue
		}
		listed, _ := requirement["values"].([]any)
		operator := requirement["operator"]
		values = slices.DeleteFunc(slices.Clone(values), func(value string) bool {
			isListed := slices.Contains(listed, any(value))
			return operator == "In" && !isListed || operator == "NotIn" && isListed || operator == "DoesNotExist"
		})
	}
	return values
}

// allowedBy returns those of the values that a label of a NodePool's nodes may have. A label that the pool sets itself is
// a requirement too.
func allowedBy(pool *unstructured.Unstructured, values []string, label string) []string {
	requirements := listAt(pool.Object, "spec", "template", "spec", "requirements")
	labels, _, _ := unstructured.NestedStringMap(pool.Object, "spec", "template", "metadata", "labels")
	if value, isSet := labels[label]; isSet {
		values = narrow(values, []any{map[string]any{"key": label, "operator": "In", "values": []any{value}}}, label)
	}
	return narrow(values, requirements, label)
}

// listAt returns a list without copying it; nil when there is none.
func listAt(object map[string]any, fields ...string) []any {
	value, _, _ := unstructured.NestedFieldNoCopy(object, fields...)
	list, _ := value.([]any)
	return list
}
