package fleet

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ClaimChanged tells whether an update of a NodeClaim changes anything that a Fleet tells. A node's daily life, which
// Karpenter notes on it all the time, does not.
func ClaimChanged(before, after *unstructured.Unstructured) bool {
	return !reflect.DeepEqual(claimFacts(before), claimFacts(after))
}

func claimFacts(claim *unstructured.Unstructured) []any {
	launched := conditionOf(claim, conditionLaunched)
	return []any{
		claim.GetDeletionTimestamp() != nil, claim.GetAnnotations()[classHash], claim.GetAnnotations()[poolHash],
		launched.status, launched.reason,
		conditionOf(claim, conditionReady).status, conditionOf(claim, conditionDrifted).status,
	}
}

// PoolChanged tells whether an update of a NodePool changes anything that a Fleet tells.
func PoolChanged(before, after *unstructured.Unstructured) bool {
	return !reflect.DeepEqual(poolFacts(before), poolFacts(after))
}

func poolFacts(pool *unstructured.Unstructured) []any {
	healthy := conditionOf(pool, conditionRegistrationHealthy)
	return []any{
		field(pool, "spec", "disruption"), ClassOfPool(pool), pool.GetAnnotations()[poolHash], isSettled(pool),
		healthy.status, healthy.reason,
	}
}
