package fleet

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Hashes that Karpenter notes on a NodeClaim at its launch, and keeps on the class and the NodePool. Two of them are
// comparable only when their versions, in the annotation with the suffix -version, are equal.
const (
	classHash = "karpenter.k8s.aws/ec2nodeclass-hash"
	poolHash  = "karpenter.sh/nodepool-hash"
)

// isLeaving tells that Karpenter already replaces or removes a NodeClaim, so that a changed class costs no further node.
//
// Karpenter marks a drifted NodeClaim up to five minutes late, and by then a snapshot that waits for that drift would miss
// the first replacements. So the causes that can be told from the objects alone are recognised ahead of the mark. A hash
// is trusted only once Karpenter has looked at the object that it is of: a change that is taken back at once must not count.
func (f *Fleet) isLeaving(claim *unstructured.Unstructured) bool {
	switch {
	case claim.GetDeletionTimestamp() != nil, conditionOf(claim, conditionDrifted).is(metav1.ConditionTrue):
		return true
	case !conditionOf(claim, conditionLaunched).is(metav1.ConditionTrue):
		return false // it is yet to be launched, with the class as it will be then
	case isSettled(&f.class) && compare(claim, &f.class, classHash) == different:
		return true
	case f.hasOtherImage(claim):
		return true
	}
	pool := f.pools[poolOf(claim)]
	return pool != nil && isSettled(pool) && compare(claim, pool, poolHash) == different
}

type comparison int

const (
	unknown comparison = iota
	same
	different
)

// compare does as Karpenter does: where an annotation is missing, nothing can be said.
func compare(claim, owner *unstructured.Unstructured, hash string) comparison {
	const version = "-version"
	ours, theirs := claim.GetAnnotations(), owner.GetAnnotations()
	switch {
	case ours[hash] == "" || theirs[hash] == "" || ours[hash+version] == "" || ours[hash+version] != theirs[hash+version]:
		return unknown
	case ours[hash] == theirs[hash]:
		return same
	default:
		return different
	}
}

// hasOtherImage tells that a NodeClaim runs an AMI that the class no longer selects. One that it selects for other
// instance types counts as its own.
func (f *Fleet) hasOtherImage(claim *unstructured.Unstructured) bool {
	resolved := conditionOf(&f.class, conditionAMIsReady)
	if !resolved.is(metav1.ConditionTrue) || resolved.generation == 0 || resolved.lags(&f.class) {
		return false
	}
	image, _ := field(claim, "status", "imageID").(string)
	selected, _ := field(&f.class, "status", "amis").([]any)
	if image == "" || len(selected) == 0 {
		return false
	}
	for _, ami := range selected {
		ami, _ := ami.(map[string]any)
		if id, _ := ami["id"].(string); id == image || id == "" {
			return false
		}
	}
	return true
}
