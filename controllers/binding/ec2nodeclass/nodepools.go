package ec2nodeclass

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding/amifamily"
	"github.com/larder-dev/larder/controllers/binding/preflight"
)

const (
	archLabel     = "kubernetes.io/arch"
	capacityLabel = "karpenter.sh/capacity-type"
	capacitySpot  = "spot"
)

// architecturesOf returns those that nodes of a class can have, and whether anything but Karpenter itself says so, which
// has nodes of all: https://karpenter.sh/docs/concepts/nodepools/#architecture
func architecturesOf(class *unstructured.Unstructured, pools []*unstructured.Unstructured) (possible []string, known bool) {
	architectures := amifamily.Architectures()
	possible = architectures
	if images := listAt(class.Object, "status", "amis"); len(images) > 0 {
		known = true
		possible = union(images, func(image any) []string {
			fields, _ := image.(map[string]any)
			return narrow(architectures, listAt(fields, "requirements"), archLabel)
		})
	}
	if len(pools) == 0 {
		return possible, known
	}
	byPools := union(pools, func(pool *unstructured.Unstructured) []string { return allowedBy(pool, architectures, archLabel) })
	known = known || len(byPools) < len(architectures)
	return slices.DeleteFunc(slices.Clone(possible), func(arch string) bool { return !slices.Contains(byPools, arch) }), known
}

// union returns those architectures that one of the sources has, in a new list.
func union[T any](sources []T, of func(T) []string) []string {
	var all []string
	for _, source := range sources {
		all = append(all, of(source)...)
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// burst is how many nodes may start at once: all of them are replaced, or the NodePools grow to what they may have. Their
// other limits, like cpu, are no number of nodes.
func burst(pools []*unstructured.Unstructured, claims int) int64 {
	var limit int64
	for _, pool := range pools {
		replicas, _, _ := unstructured.NestedInt64(pool.Object, "spec", "replicas")
		limit += max(replicas, nodeLimit(pool))
	}
	return max(int64(claims), limit)
}

// nodeLimit returns 0 for none.
func nodeLimit(pool *unstructured.Unstructured) int64 {
	switch limit, _, _ := unstructured.NestedFieldNoCopy(pool.Object, "spec", "limits", "nodes"); limit := limit.(type) {
	case int64:
		return limit
	case string:
		quantity, err := resource.ParseQuantity(limit)
		if err != nil {
			return 0
		}
		return quantity.Value()
	default:
		return 0
	}
}

// spotLaunchers returns the NodePools as one, if any may launch Spot instances. On-demand instances need no more of a key
// than Karpenter's own role has.
func spotLaunchers(class string, pools []*unstructured.Unstructured) []preflight.Launcher {
	if !slices.ContainsFunc(pools, allowsSpot) {
		return nil
	}
	return []preflight.Launcher{{Name: "a NodePool of " + Kind + " " + class, Role: preflight.SpotRole()}}
}

// allowsSpot tells whether a NodePool may launch Spot instances, as one that says nothing does.
func allowsSpot(pool *unstructured.Unstructured) bool {
	return len(allowedBy(pool, []string{capacitySpot}, capacityLabel)) > 0
}
