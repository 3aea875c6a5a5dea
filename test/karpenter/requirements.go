package karpenter

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// operators are those of a NodePool's requirements, as label selectors name them.
var operators = map[string]selection.Operator{"In": selection.In, "NotIn": selection.NotIn, "Exists": selection.Exists,
	"DoesNotExist": selection.DoesNotExist, "Gt": selection.GreaterThan, "Lt": selection.LessThan}

// defaultLabels are a node's unless its NodePool requires others.
var defaultLabels = map[string]string{
	labelArch:                          amd64,
	"kubernetes.io/os":                 "linux",
	"node.kubernetes.io/instance-type": "m7i.xlarge",
	"topology.kubernetes.io/zone":      "us-west-2a",
	"karpenter.sh/capacity-type":       "on-demand",
}

// fitsRequirements tells whether a NodePool would make a node with such labels.
func fitsRequirements(pool *unstructured.Unstructured, of map[string]string) (bool, error) {
	for _, one := range entries(pool.Object, "spec", "template", "spec", "requirements") {
		values := valuesOf(one)
		requirement, err := labels.NewRequirement(text(one, "key"), operators[text(one, "operator")], values)
		if err != nil {
			return false, fmt.Errorf("reading the requirements of NodePool %s: %w", pool.GetName(), err)
		}
		if !requirement.Matches(labels.Set(of)) {
			return false, nil
		}
	}
	return true, nil
}

// labelsFor are those of a new node of a NodePool: the first value that fits each requirement.
func labelsFor(pool *unstructured.Unstructured) map[string]string {
	all := map[string]string{}
	for key, value := range defaultLabels {
		all[key] = value
	}
	for _, one := range entries(pool.Object, "spec", "template", "spec", "requirements") {
		key, values := text(one, "key"), valuesOf(one)
		switch text(one, "operator") {
		case "In":
			all[key] = values[0]
		case "NotIn":
			all[key] = "not-" + strings.Join(values, "-or-")
		case "Exists":
			if all[key] == "" {
				all[key] = "any"
			}
		case "DoesNotExist":
			delete(all, key)
		case "Gt":
			all[key] = beside(values[0], 1)
		case "Lt":
			all[key] = beside(values[0], -1)
		}
	}
	given, _ := field(pool.Object, "spec", "template", "metadata", "labels").(map[string]any)
	for key := range given {
		all[key] = text(given, key)
	}
	all[labelPool] = pool.GetName()
	all[labelClass] = classOf(pool.Object, "spec", "template", "spec")
	return all
}

func beside(number string, step int) string {
	value, err := strconv.Atoi(number)
	if err != nil {
		return number
	}
	return strconv.Itoa(value + step)
}

func valuesOf(requirement map[string]any) []string {
	values, _, _ := unstructured.NestedStringSlice(requirement, "values")
	return values
}
