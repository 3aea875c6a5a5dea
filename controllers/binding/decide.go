package binding

import (
	"fmt"
	"strings"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// stagedRetry is a second way to hear that the last node went: a binding that waits for weeks must not depend on every
// event of a watch.
const stagedRetry = 5 * time.Minute

// decision is what a pass will do, and what it will say.
type decision struct {
	snapshot Snapshot
	// unavailable, unfit and unapplied are the problems behind SnapshotAvailable, PreflightPassed and Applied.
	unavailable, unfit, unapplied *Problem
	// inPlace tells that the target names the snapshot that this binding applied last.
	inPlace bool
	// write is nil when there is nothing to write, or when it may not be written.
	write Write
	rival *v1alpha1.Rival
}

// decide is pure.
func decide(binding *v1alpha1.NodeClassBinding, f facts, now time.Time) decision {
	var d decision
	d.snapshot, d.unavailable = f.usable(refOf(binding))
	plan := f.target.Plan(binding, d.snapshot, now)
	d.inPlace = plan.InPlace != "" && plan.InPlace == binding.Status.AppliedSnapshotID
	d.rival = rivalAfter(binding, d.snapshot, plan, now)
	d.unfit = plan.Problem
	if d.unfit == nil && f.holder != nil {
		d.unfit = claimed(binding, f.holder)
	}
	if d.unavailable != nil || d.unfit != nil || plan.Write == nil {
		return d
	}
	if hasStopped(d.rival) {
		d.unapplied = rivalProblem(binding, d.snapshot, plan, d.rival)
		return d
	}
	if d.unapplied = staged(binding, d.snapshot, plan); d.unapplied == nil {
		d.write = plan.Write
	}
	return d
}

// decideEnd is pure. A binding that does not hold the device wrote nothing that it could take back.
func decideEnd(binding *v1alpha1.NodeClassBinding, f facts, now time.Time) decision {
	if f.holder != nil {
		return decision{}
	}
	plan := f.target.PlanEnd(binding, now)
	d := decision{unfit: plan.Problem}
	if plan.Write == nil || plan.Problem != nil {
		return d
	}
	if binding.Spec.Rollout.Strategy == v1alpha1.RolloutNewNodesOnly && total(plan.Pools) > 0 {
		kind, name := targetOf(binding)
		d.unapplied = &Problem{
			Reason: v1alpha1.ReasonNodesWouldReplace,
			Message: fmt.Sprintf("the deletion waits, because restoring %s of %s %s would replace %s, which strategy "+
				"NewNodesOnly forbids: set rollout.strategy to Roll to have it restored now",
				deviceOf(binding), kind, name, describe(plan.Pools)),
			RetryAfter: stagedRetry,
		}
		return d
	}
	d.write = plan.Write
	return d
}

func claimed(binding, holder *v1alpha1.NodeClassBinding) *Problem {
	kind, name := targetOf(binding)
	return &Problem{
		Reason:  v1alpha1.ReasonDeviceClaimed,
		Stalled: true,
		Message: fmt.Sprintf("NodeClassBinding %s is older and holds %s of %s %s: delete one of the two bindings, or "+
			"give this one another device", holder.Name, deviceOf(binding), kind, name),
	}
}

func staged(binding *v1alpha1.NodeClassBinding, snapshot Snapshot, plan Plan) *Problem {
	if binding.Spec.Rollout.Strategy != v1alpha1.RolloutNewNodesOnly || total(plan.Pools) == 0 {
		return nil
	}
	kind, name := targetOf(binding)
	boots := "no node boots from a snapshot of this binding yet"
	if plan.InPlace != "" && plan.InPlace == binding.Status.AppliedSnapshotID {
		boots = "new nodes boot with " + plan.InPlace + " until then"
	}
	return &Problem{
		Reason: v1alpha1.ReasonNodesWouldReplace,
		Message: fmt.Sprintf("%s is written to %s of %s %s when no NodeClaim of it is left, since it would replace %s; %s. "+
			"To replace them now, set rollout.strategy to Roll",
			snapshot.ID, deviceOf(binding), kind, name, describe(plan.Pools), boots),
		RetryAfter: stagedRetry,
	}
}

func total(pools []Pool) int {
	sum := 0
	for _, pool := range pools {
		sum += pool.Staying
	}
	return sum
}

// describe says "3 nodes (NodePool a: 1, b: 2)", with at most five pools.
func describe(pools []Pool) string {
	const atMost = 5
	parts := make([]string, 0, atMost+1)
	for i, pool := range pools {
		if i == atMost {
			parts = append(parts, fmt.Sprintf("and %d more", len(pools)-atMost))
			break
		}
		parts = append(parts, fmt.Sprintf("%s: %d", pool.Name, pool.Staying))
	}
	nodes := "nodes"
	if total(pools) == 1 {
		nodes = "node"
	}
	return fmt.Sprintf("%d %s (NodePool %s)", total(pools), nodes, strings.Join(parts, ", "))
}
