package managednodegroup

import (
	"fmt"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/eks"
)

// health is what EKS says since the applied snapshot was written: it counts nodes as Ready only when the update that brought
// it succeeded, since EKS waits for each to be.
func (o *observation) health(b *v1alpha1.NodeClassBinding) binding.Health {
	if update := o.failed(b); update != nil {
		return binding.Health{Failure: &binding.Problem{
			Reason: v1alpha1.ReasonUpdateFailed, Stalled: true, RetryAfter: afterDenied, Message: o.failure(update),
		}}
	}
	applied := b.Status.AppliedSnapshotID
	if b.Status.AppliedTime == nil || applied == "" || o.inPlace(b) != applied {
		return binding.Health{}
	}
	nodes := o.group.DesiredSize
	switch {
	case o.running() != nil || o.group.Status == eks.StatusUpdating:
		return binding.Health{RetryAfter: lookAgain}
	case o.group.Status == eks.StatusDegraded:
		return binding.Health{Working: nodes, Failure: &binding.Problem{
			Reason: v1alpha1.ReasonTargetDegraded, Stalled: true, RetryAfter: afterDenied,
			Message: fmt.Sprintf("%s is DEGRADED since it boots with %s%s", named(o.group), applied, because(o.group.Issues)),
		}}
	default:
		return binding.Health{Working: nodes, Proven: nodes > 0}
	}
}

// failure says of an update what EKS says of it, and what to do.
func (o *observation) failure(update *eks.Update) string {
	return fmt.Sprintf("EKS could not update %s to version %d of launch template %s (update %s %s)%s",
		named(o.group), update.TemplateVersion, o.history.Template.ID, update.ID, update.Status, because(update.Errors))
}

// longestIssues is how much of what EKS says goes into a message, in bytes: the rest of it has to fit as well.
const longestIssues = message.Longest / 2

// because lists issues with EKS's own codes and words, and says what to do about the first that is known; empty for none.
func because(issues []eks.Issue) string {
	if len(issues) == 0 {
		return ""
	}
	var said []string
	advice := ""
	for _, issue := range issues {
		words := issue.Code
		if issue.Message != "" {
			words += ": " + strings.TrimRight(issue.Message, ". ")
		}
		if len(issue.ResourceIDs) > 0 {
			words += " (" + strings.Join(issue.ResourceIDs, ", ") + ")"
		}
		said = append(said, words)
		if advice == "" {
			advice = advices[issue.Code]
		}
	}
	text := ", since " + message.Clip(strings.Join(said, "; "), longestIssues)
	if advice != "" {
		text += ": " + advice
	}
	return text
}

// advices say what to do about an issue of a group or an update, by EKS's code.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_Issue.html
// https://docs.aws.amazon.com/eks/latest/APIReference/API_ErrorDetail.html
// https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
var advices = map[string]string{
	"PodEvictionFailure": "some pods were not evicted in time, mostly for a PodDisruptionBudget: let it allow an eviction, or set " +
		"target.managedNodeGroup.force",
	"NodeCreationFailure": "nodes were launched and did not join the cluster: read the console output of one, and see whether it " +
		"can mount the device",
	"AsgInstanceLaunchFailures": "EC2 launched no instance: see whether the snapshot, its KMS key and the instance type's capacity are " +
		"there for the Auto Scaling group",
	"Ec2LaunchTemplateNotFound":       "the launch template, or its version, was deleted: create the group again with another",
	"SourceEc2LaunchTemplateNotFound": "the launch template, or its version, was deleted: create the group again with another",
	"Ec2LaunchTemplateVersionMismatch": "somebody changed the launch template or the Auto Scaling group that EKS made for itself: " +
		"have the Auto Scaling group launch EKS's version again",
	"Ec2LaunchTemplateVersionMaxLimitExceeded": "delete versions of the launch template that nothing uses",
	"AccessDenied":                 "see whether the node role is still allowed into the cluster, and whether Larder's role has ec2:RunInstances",
	"InstanceLimitExceeded":        "have AWS raise the quota of the instance type",
	"InsufficientFreeAddresses":    "give the group's subnets more free addresses",
	"IpNotAvailable":               "give the group's subnets more free addresses",
	"ClusterUnreachable":           "see whether nodes reach the cluster's API server",
	"InsufficientNumberOfReplicas": "let the group have more nodes at a time",
}
