package binding

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// markNodes sets the nodes and RolledOut. What is not rolled out yet is neither a fault nor under way by Larder: nodes are
// replaced when the platform does, so it says nothing about Ready and Reconciling.
func (m marker) markNodes(d decision, justWritten bool) {
	status := &m.binding.Status
	if problem := d.observed.Problem; problem != nil && len(d.observed.Pools) == 0 {
		status.Nodes = nil
		m.set(v1alpha1.ConditionRolledOut, metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: problem.Reason, Message: "the target's nodes are not known",
		})
		return
	}
	status.Nodes = nodesOf(d.observed.Pools, justWritten)
	m.set(v1alpha1.ConditionRolledOut, rolledOut(status, d.subject.Node+"s", d.observed.Progress))
}

// rolledOut calls the nodes what the platform does.
func rolledOut(status *v1alpha1.NodeClassBindingStatus, called, progress string) metav1.Condition {
	nodes, all := status.Nodes, status.Nodes.Current+status.Nodes.Outdated
	switch {
	case status.AppliedSnapshotID == "":
		return metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNothingApplied,
			Message: "the target names no snapshot of this binding",
		}
	case progress != "":
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUpdateInProgress, Message: progress}
	case nodes.Outdated > 0:
		return metav1.Condition{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNodesOutdated,
			Message: fmt.Sprintf("%d of %d %s were launched with something else than %s: status.nodes says where",
				nodes.Outdated, all, called, status.AppliedSnapshotID),
		}
	case all == 0:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodesCurrent,
			Message: "the target has no " + called + "; the next ones are launched with " + status.AppliedSnapshotID,
		}
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodesCurrent,
			Message: fmt.Sprintf("all %d %s were launched with %s", all, called, status.AppliedSnapshotID),
		}
	}
}

// nodesOf says how far the applied snapshot has come. Right after another one was written, no node has it yet.
func nodesOf(pools []Pool, justWritten bool) *v1alpha1.NodeCounts {
	counts := &v1alpha1.NodeCounts{}
	for _, pool := range byName(pools) {
		is := v1alpha1.NodePoolCounts{Name: pool.Name, Current: int32(pool.Current), Outdated: int32(pool.Outdated)}
		if justWritten {
			is.Current, is.Outdated = 0, is.Current+is.Outdated
		}
		counts.Current += is.Current
		counts.Outdated += is.Outdated
		if len(counts.NodePools) < mostPools {
			counts.NodePools = append(counts.NodePools, is)
		}
	}
	return counts
}
