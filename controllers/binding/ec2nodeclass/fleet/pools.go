package fleet

import (
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/controllers/binding"
)

// Pools counts the nodes by NodePool, sorted by its name. Nodes that are being deleted are not counted. applied is when
// the snapshot in place was written; zero for none.
func (f *Fleet) Pools(applied time.Time) []binding.Pool {
	found := map[string]*binding.Pool{}
	for _, claim := range f.claims {
		if claim.GetDeletionTimestamp() != nil {
			continue
		}
		name := poolOf(claim)
		pool := found[name]
		if pool == nil {
			pool = &binding.Pool{Name: name, HoldsDrift: holdsDrift(f.pools[name])}
			found[name] = pool
		}
		if f.isCurrent(claim, applied) {
			pool.Current++
		} else {
			pool.Outdated++
		}
		if !f.isLeaving(claim) {
			pool.Staying++
		}
	}
	var pools []binding.Pool
	for _, name := range slices.Sorted(maps.Keys(found)) {
		pools = append(pools, *found[name])
	}
	return pools
}

// isCurrent tells that a NodeClaim was launched with what was applied: with the class just as it is now, or at least since
// then. The second holds after a later change to another part of the class, too, and where Karpenter notes no hash.
func (f *Fleet) isCurrent(claim *unstructured.Unstructured, applied time.Time) bool {
	if applied.IsZero() {
		return false
	}
	return isSince(claim, applied) || isSettled(&f.class) && compare(claim, &f.class, classHash) == same
}

// isSince tells that a NodeClaim was created at that time or later. Times of objects are whole seconds.
func isSince(claim *unstructured.Unstructured, applied time.Time) bool {
	return !claim.GetCreationTimestamp().Time.Before(applied.Truncate(time.Second))
}

// holdsDrift tells that a budget of a NodePool, static ones included, never lets Karpenter replace a drifted node. Without
// budgets Karpenter takes 10 %. A budget with a schedule does not count: while it is inactive, it does not limit at all.
func holdsDrift(pool *unstructured.Unstructured) bool {
	if pool == nil {
		return false
	}
	budgets, _ := field(pool, "spec", "disruption", "budgets").([]any)
	return slices.ContainsFunc(budgets, func(budget any) bool {
		entry, _ := budget.(map[string]any)
		return entry["schedule"] == nil && entry["duration"] == nil && isNone(entry["nodes"]) && isForDrift(entry)
	})
}

// isNone tells a count or a percentage of zero. Karpenter rounds percentages up, so 1% of any nodes is one.
func isNone(nodes any) bool {
	text, _ := nodes.(string)
	digits := strings.TrimSuffix(text, "%")
	return digits != "" && strings.Trim(digits, "0") == ""
}

// isForDrift tells that a budget is for drift: without reasons it is for every one. An empty list is not the same as none:
// Karpenter then applies it to nothing (Budget.Reasons == nil in its GetAllowedDisruptionsByReason).
func isForDrift(budget map[string]any) bool {
	if budget["reasons"] == nil {
		return true
	}
	reasons, _ := budget["reasons"].([]any)
	return slices.Contains(reasons, any("Drifted"))
}
