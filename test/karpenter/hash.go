package karpenter

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Annotations of Karpenter.
const (
	annotationClassHash        = "karpenter.k8s.aws/ec2nodeclass-hash"
	annotationClassHashVersion = "karpenter.k8s.aws/ec2nodeclass-hash-version"
	annotationPoolHash         = "karpenter.sh/nodepool-hash"
	annotationPoolHashVersion  = "karpenter.sh/nodepool-hash-version"

	// The versions of karpenter-provider-aws v1.15.1 and karpenter v1.14.0.
	classHashVersion = "v6"
	poolHashVersion  = "v3"
)

// notInClassHash are the fields of a class's spec that carry hash:"ignore". Kubelet's does too, but is hashed beside the
// spec; so is the family.
var notInClassHash = []string{"subnetSelectorTerms", "securityGroupSelectorTerms", "capacityReservationSelectorTerms",
	"amiSelectorTerms", "amiFamily", "ipPrefixCount"}

// hashOfClass tells specs apart as Karpenter does. The value is another than Karpenter's.
func hashOfClass(class *unstructured.Unstructured) string {
	spec, _ := field(class.Object, "spec").(map[string]any)
	hashed := map[string]any{"familyByAlias": familyOf(class)}
	for name, value := range spec {
		if !slices.Contains(notInClassHash, name) {
			hashed[name] = value
		}
	}
	return hashOf(hashed)
}

// hashOfPool is of the template, without what carries hash:"ignore".
func hashOfPool(pool *unstructured.Unstructured) string {
	template, _ := field(pool.DeepCopy().Object, "spec", "template").(map[string]any)
	unstructured.RemoveNestedField(template, "spec", "requirements")
	unstructured.RemoveNestedField(template, "spec", "resources")
	return hashOf(template)
}

// familyOf is the AMI family: the alias's, or the one that is given.
func familyOf(class *unstructured.Unstructured) string {
	given := text(class.Object, "spec", "amiFamily")
	for _, term := range entries(class.Object, "spec", "amiSelectorTerms") {
		if alias, _, found := strings.Cut(text(term, "alias"), "@"); found && given == "" {
			return strings.ToLower(alias)
		}
	}
	return strings.ToLower(given)
}

func hashOf(value any) string {
	hash := fnv.New64a()
	_, _ = hash.Write(encode(canonical(value))) // a hash's Write never fails
	return fmt.Sprint(hash.Sum64())
}

// canonical leaves out zero values, orders lists, and brings quantities into one form.
func canonical(value any) any {
	switch value := value.(type) {
	case map[string]any:
		fields := map[string]any{}
		for name, one := range value {
			if name == "volumeSize" {
				one = canonicalQuantity(one)
			}
			if one = canonical(one); !isZero(one) {
				fields[name] = one
			}
		}
		return fields
	case []any:
		entries := make([]string, 0, len(value))
		for _, one := range value {
			entries = append(entries, string(encode(canonical(one))))
		}
		slices.Sort(entries)
		return entries
	default:
		return value
	}
}

func canonicalQuantity(value any) any {
	given, ok := value.(string)
	if !ok {
		return value
	}
	quantity, err := resource.ParseQuantity(given)
	if err != nil {
		return value
	}
	return quantity.String()
}

func isZero(value any) bool {
	given := reflect.ValueOf(value)
	switch given.Kind() {
	case reflect.Map, reflect.Slice:
		return given.Len() == 0
	default:
		return !given.IsValid() || given.IsZero()
	}
}

// encode sorts the fields of objects.
func encode(value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encoding what came as JSON: %v", err))
	}
	return encoded
}
