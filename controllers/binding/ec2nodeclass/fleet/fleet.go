// Package fleet reads what Karpenter runs of an EC2NodeClass: which of its nodes would be replaced if the class changed,
// which were launched with the snapshot in place, and how those get on.
//
// It is pure, and reads unstructured objects, of any Karpenter from 1.0 on: what is absent, unknown or malformed counts as
// not said, and then a node counts as one that stays, and as one that nothing is known against.
package fleet

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The kinds of Karpenter's that a fleet is read from, in version v1, which is there from Karpenter 1.0 on.
var (
	ClassKind = schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"}
	ClaimKind = schema.GroupVersionKind{Group: "karpenter.sh", Version: "v1", Kind: "NodeClaim"}
	PoolKind  = schema.GroupVersionKind{Group: "karpenter.sh", Version: "v1", Kind: "NodePool"}
)

// poolLabel names a NodeClaim's NodePool: sigs.k8s.io/karpenter, pkg/apis/v1/labels.go.
const poolLabel = "karpenter.sh/nodepool"

// Fleet is what Karpenter runs of one EC2NodeClass. The zero value runs nothing.
type Fleet struct {
	name string
	// class is empty when it does not exist: NodePools can name a class that is yet to come.
	class  unstructured.Unstructured
	claims []*unstructured.Unstructured
	// pools are, by name, those that name the class, and those that claims of the class belong to.
	pools map[string]*unstructured.Unstructured
}

// Of picks from a cluster's NodeClaims and NodePools those of the EC2NodeClass of that name. The class is nil when it does
// not exist. The objects are kept, not copied.
func Of(name string, class *unstructured.Unstructured, claims, pools []unstructured.Unstructured) Fleet {
	f := Fleet{name: name, pools: map[string]*unstructured.Unstructured{}}
	if class != nil {
		f.class = *class
	}
	owners := map[string]bool{}
	for i := range claims {
		if ClassOfClaim(&claims[i]) == name {
			f.claims = append(f.claims, &claims[i])
			owners[poolOf(&claims[i])] = true
		}
	}
	for i := range pools {
		if owners[pools[i].GetName()] || ClassOfPool(&pools[i]) == name {
			f.pools[pools[i].GetName()] = &pools[i]
		}
	}
	return f
}

// Launching returns the NodePools that launch nodes with the class, sorted by name.
func (f *Fleet) Launching() []*unstructured.Unstructured {
	var pools []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(f.pools)) {
		if ClassOfPool(f.pools[name]) == f.name {
			pools = append(pools, f.pools[name])
		}
	}
	return pools
}

// Claims counts the NodeClaims of the class, those that are being deleted included.
func (f *Fleet) Claims() int { return len(f.claims) }

// ClassOfClaim returns the name of the EC2NodeClass that a NodeClaim was made from; empty when it is of another kind.
func ClassOfClaim(claim *unstructured.Unstructured) string {
	return classIn(claim, "spec", "nodeClassRef")
}

// ClassOfPool returns the name of the EC2NodeClass that a NodePool launches with; empty when it is of another kind.
func ClassOfPool(pool *unstructured.Unstructured) string {
	return classIn(pool, "spec", "template", "spec", "nodeClassRef")
}

func classIn(object *unstructured.Unstructured, path ...string) string {
	ref, _ := field(object, path...).(map[string]any)
	if ref["group"] != ClassKind.Group || ref["kind"] != ClassKind.Kind {
		return ""
	}
	name, _ := ref["name"].(string)
	return name
}

// poolOf returns the name of a NodeClaim's NodePool; empty when it has none.
func poolOf(claim *unstructured.Unstructured) string {
	return claim.GetLabels()[poolLabel]
}
