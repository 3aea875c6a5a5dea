package binding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// mostPools is how many NodePools a status lists: as many as the API allows.
const mostPools = 100

// pendingOf describes a change that waits. Its since is kept for as long as the same change does.
func pendingOf(binding *v1alpha1.NodeClassBinding, g goal, why string, now time.Time) *v1alpha1.PendingChange {
	pending := &v1alpha1.PendingChange{
		SnapshotID: g.snapshot.ID, Why: why, Since: &metav1.Time{Time: now},
		NodesThatWouldBeReplaced: int32(total(g.plan.Pools, replaced)),
	}
	if before := binding.Status.Pending; before != nil && before.SnapshotID == pending.SnapshotID {
		pending.Since = before.Since
	}
	if opens := windowAt(binding, now); opens.exists && opens.invalid == nil {
		pending.NextWindow = &metav1.Time{Time: opens.next}
	}
	for _, pool := range byName(g.plan.Pools) {
		if n := replaced(pool); n > 0 && len(pending.NodePools) < mostPools {
			pending.NodePools = append(pending.NodePools, v1alpha1.NodePoolReplacements{Name: pool.Name, Nodes: int32(n)})
		}
	}
	return pending
}

func byName(pools []Pool) []Pool {
	return slices.SortedFunc(slices.Values(pools), func(a, b Pool) int { return cmp.Compare(a.Name, b.Name) })
}

// count says "3 NodeClaims of NodePools a: 2, b: 1", with at most five pools.
func (s Subject) count(pools []Pool, count func(Pool) int) string {
	const atMost = 5
	var counts, names []string
	for _, pool := range byName(pools) {
		if n := count(pool); n > 0 {
			name := cmp.Or(pool.Name, "(none)")
			names, counts = append(names, name), append(counts, fmt.Sprintf("%s: %d", name, n))
		}
	}
	if more := len(counts) - atMost; more > 0 {
		counts = append(counts[:atMost], fmt.Sprintf("and %d more", more))
	}
	switch n := total(pools, count); {
	case n == 0:
		return "no " + s.Node
	case n == 1:
		return fmt.Sprintf("1 %s of %s %s", s.Node, s.Pool, names[0])
	case len(names) == 1:
		return fmt.Sprintf("%d %ss of %s %s", n, s.Node, s.Pool, names[0])
	default:
		return fmt.Sprintf("%d %ss of %ss %s", n, s.Node, s.Pool, strings.Join(counts, ", "))
	}
}
