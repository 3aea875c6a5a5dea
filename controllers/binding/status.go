package binding

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/message"
)

// longestMessage is how much a condition says, in bytes: metav1.Condition allows 32768 characters.
const longestMessage = 32768

// foremost returns the problem that Ready speaks of: one that needs a person before those that solve themselves.
func (d decision) foremost() *Problem {
	for _, problem := range []*Problem{d.unapplied, d.unhealthy, d.unavailable, d.unfit} {
		if problem != nil && problem.Stalled {
			return problem
		}
	}
	for _, problem := range []*Problem{d.unavailable, d.unfit, d.unapplied} {
		if problem != nil {
			return problem
		}
	}
	return nil
}

// mark writes the outcome into the status. observedGeneration moves only when the pass came to an end: kstatus reads
// it before the conditions, so a spec that needs a person must count as observed, and one that is under way must not.
func mark(binding *v1alpha1.NodeClassBinding, d decision, now time.Time) {
	m := marker{binding, now}
	m.set(v1alpha1.ConditionSnapshotAvailable, snapshotAvailable(d))
	m.set(v1alpha1.ConditionPreflightPassed, preflightPassed(d))
	m.set(v1alpha1.ConditionApplied, applied(binding, d))
	markPending(binding, d, now)
	binding.Status.Rival = d.rival
	justWritten := settle(&binding.Status, d, now)
	markHandled(binding, d)
	m.markNodes(d, justWritten)
	if m.summarise(d) {
		binding.Status.ObservedGeneration = binding.Generation
	}
}

// settle records which snapshot the target names now, which one to go back to, and which one never to write again. It
// tells whether another snapshot took the place of the one before.
func settle(status *v1alpha1.NodeClassBindingStatus, d decision, now time.Time) bool {
	status.HealthySince = d.trial.healthySince
	if d.trial.proven {
		status.LastKnownGoodSnapshotID, status.LastKnownGoodProven = status.AppliedSnapshotID, true
	}
	if !d.reached() {
		return false
	}
	id, before := d.goal.snapshot.ID, status.AppliedSnapshotID
	wasBad := before == "" || before == d.trial.rejected || before == status.RejectedSnapshotID
	status.RejectedSnapshotID, status.RejectedBecause = d.rejection(id)
	switch {
	case id == before && d.goal.plan.Recreated:
		status.AppliedTime, status.HealthySince = &metav1.Time{Time: now}, nil
		return true
	case id == before:
		return false
	case !wasBad && !status.LastKnownGoodProven:
		status.LastKnownGoodSnapshotID = before
	}
	status.AppliedSnapshotID, status.AppliedTime, status.HealthySince = id, &metav1.Time{Time: now}, nil
	if id == "" {
		status.AppliedTime = nil
	}
	return true
}

// reached tells whether the target names what it was to name.
func (d decision) reached() bool { return d.goal != nil && (!d.failed || d.upkeep) }

// serves tells whether new nodes boot with a snapshot of the binding.
func (d decision) serves() bool {
	if d.reached() {
		return d.goal.snapshot.ID != ""
	}
	return d.inPlace
}

// rejection is the snapshot that stays rejected once the target names another.
func (d decision) rejection(named string) (id, because string) {
	if d.trial.rejected == named {
		return "", ""
	}
	return d.trial.rejected, message.Clip(d.trial.because, longestBecause)
}

// markHandled records that larder.dev/apply-now was acted on, which a write that failed did not.
func markHandled(binding *v1alpha1.NodeClassBinding, d decision) {
	if d.asked && !d.failed {
		binding.Status.LastHandledApplyNow = requestOf(binding)
	}
}

func markPending(binding *v1alpha1.NodeClassBinding, d decision, now time.Time) {
	if d.waiting == nil {
		binding.Status.Pending = nil
		return
	}
	binding.Status.Pending = pendingOf(binding, *d.waiting, d.unapplied.Reason, now)
}

func snapshotAvailable(d decision) metav1.Condition {
	if d.unavailable != nil {
		return failed(d.unavailable)
	}
	return metav1.Condition{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompleted,
		Message: fmt.Sprintf("%s is completed and has %d GiB", d.wanted.ID, d.wanted.SizeGiB),
	}
}

func preflightPassed(d decision) metav1.Condition {
	switch {
	case d.unfit != nil:
		return failed(d.unfit)
	case d.unavailable != nil:
		return metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: d.unavailable.Reason,
			Message: "nothing is wrong with the target, but the size of the snapshot is not known",
		}
	case len(d.observed.Warnings) > 0:
		warnings := make([]string, len(d.observed.Warnings))
		for i, warning := range d.observed.Warnings {
			warnings[i] = warning.Reason + ": " + warning.Message
		}
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPassedWithWarnings, Message: strings.Join(warnings, "; "),
		}
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPassed, Message: "the target can take the snapshot",
		}
	}
}

func applied(binding *v1alpha1.NodeClassBinding, d decision) metav1.Condition {
	kind, name := targetOf(binding)
	switch {
	case d.unapplied != nil:
		return failed(d.unapplied)
	case d.goal == nil:
		return metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: d.foremost().Reason,
			Message: fmt.Sprintf("%s %s was left as it is", kind, name),
		}
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonApplied,
			Message: fmt.Sprintf("%s of %s %s names %s", deviceOf(binding), kind, name, d.goal.snapshot.ID),
		}
	}
}

func failed(problem *Problem) metav1.Condition {
	return metav1.Condition{Status: metav1.ConditionFalse, Reason: problem.Reason, Message: problem.Message}
}

// marker sets conditions of one binding, as of one moment.
type marker struct {
	binding *v1alpha1.NodeClassBinding
	now     time.Time
}

func (m marker) set(conditionType string, condition metav1.Condition) {
	condition.Type = conditionType
	condition.Message = message.Clip(condition.Message, longestMessage)
	condition.ObservedGeneration = m.binding.Generation
	condition.LastTransitionTime = metav1.Time{Time: m.now}
	meta.SetStatusCondition(&m.binding.Status.Conditions, condition)
}

func (m marker) setWhile(present bool, conditionType string, problem *Problem) {
	if !present {
		meta.RemoveStatusCondition(&m.binding.Status.Conditions, conditionType)
		return
	}
	m.set(conditionType, metav1.Condition{
		Status: metav1.ConditionTrue, Reason: problem.Reason, Message: problem.Message,
	})
}

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
	m.set(v1alpha1.ConditionRolledOut, rolledOut(status))
}

func rolledOut(status *v1alpha1.NodeClassBindingStatus) metav1.Condition {
	nodes, all := status.Nodes, status.Nodes.Current+status.Nodes.Outdated
	switch {
	case status.AppliedSnapshotID == "":
		return metav1.Condition{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNothingApplied,
			Message: "the target names no snapshot of this binding",
		}
	case nodes.Outdated > 0:
		return metav1.Condition{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNodesOutdated,
			Message: fmt.Sprintf("%d of %d nodes were launched with something else than %s: status.nodes says where",
				nodes.Outdated, all, status.AppliedSnapshotID),
		}
	case all == 0:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodesCurrent,
			Message: "the target has no nodes; the next ones are launched with " + status.AppliedSnapshotID,
		}
	default:
		return metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonNodesCurrent,
			Message: fmt.Sprintf("all %d nodes were launched with %s", all, status.AppliedSnapshotID),
		}
	}
}

// summarise sets Ready, Reconciling and Stalled, and tells whether the pass came to an end: what remains to be
// done, if anything, is up to a person, to time, or to nodes that the strategy spares.
func (m marker) summarise(d decision) bool {
	problem := d.foremost()
	if problem == nil {
		m.set(v1alpha1.ConditionReady, metav1.Condition{
			Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady,
			Message: "new nodes boot with " + d.goal.snapshot.ID,
		})
		m.setWhile(false, v1alpha1.ConditionReconciling, nil)
		m.setWhile(false, v1alpha1.ConditionStalled, nil)
		return true
	}
	ready := failed(problem)
	stillServes := !problem.Stalled && problem == d.unapplied && d.serves()
	if stillServes {
		ready.Status = metav1.ConditionTrue
	}
	staged := stillServes && d.waiting != nil && !d.failed
	m.set(v1alpha1.ConditionReady, ready)
	m.setWhile(!problem.Stalled && !staged, v1alpha1.ConditionReconciling, problem)
	m.setWhile(problem.Stalled, v1alpha1.ConditionStalled, problem)
	return problem.Stalled || staged
}

func equalStatus(a, b *v1alpha1.NodeClassBindingStatus) bool {
	return equality.Semantic.DeepEqual(a, b)
}
