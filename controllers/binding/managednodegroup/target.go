// Package managednodegroup has the nodes of an EKS managed node group boot with a snapshot: it publishes versions of the
// launch template that the group was made with, and asks EKS to go to them. EKS replaces all nodes of the group then, and
// goes back by itself when it cannot. What Larder knows of an update it reads from EKS: a restart needs no memory.
//
//	group on 4 ──publish 5 (snapshot), ask──▶ UPDATING ──Successful──▶ on 5, on trial, proven
//	     ▲                                       │                        │ degraded, or bad
//	     └──────────────Failed───────────────────┘                        ▼
//	        EKS went back, nothing is written                   publish 6 (as 4 was), ask
package managednodegroup

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Kind is the kind of Target's subjects.
const Kind = "EKS node group"

const (
	// lookAgain is how soon a group is read again that EKS is at work on: no watch tells of it.
	lookAgain = 30 * time.Second
	// afterDenied is when it is tried again what only a person can mend.
	afterDenied = 10 * time.Minute
)

// Groups are node groups as the target needs them; eks.Client has them.
type Groups interface {
	// Describe returns a group, or an error for which IsNotFound of internal/aws holds.
	Describe(ctx context.Context, cluster, group string) (eks.NodeGroup, error)
	// Updates returns a group's updates, the oldest first.
	Updates(ctx context.Context, cluster, group string) ([]eks.Update, error)
	// UpdateVersion asks for an update, once for each token.
	UpdateVersion(ctx context.Context, asked eks.VersionUpdate) (eks.Update, error)
}

// Target reads and updates managed node groups. It implements binding.Target.
type Target struct {
	// Groups are the node groups, and Templates the launch templates, of the operator's account and Region.
	Groups    Groups
	Templates template.Templates
	// Images says what AMIs of the launch templates are.
	Images preflight.Images
	// Bindings reads NodeClassBindings, from a cache if there is one.
	Bindings client.Reader
}

// observation is a node group, what was asked of EKS for it, and its launch template. It implements binding.Observation.
type observation struct {
	group   eks.NodeGroup
	updates []eks.Update
	history template.History
	// problem says why there is no group to write, or none that can be read; nil when all of the above is known.
	problem *binding.Problem
	// images are the AMIs of a group that has its own, and imageWarnings say why they are not known.
	images        []ami.Image
	imageWarnings []binding.Warning
}

// Subject implements binding.Target.
func (t *Target) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	group := b.Spec.Target.ManagedNodeGroup
	if group == nil {
		return binding.Subject{}, false
	}
	return binding.Subject{
		Kind: Kind, Name: group.ClusterName + "/" + group.NodeGroupName, Part: group.Device.Name, Node: "node", Pool: "node group",
	}, true
}

// Observe implements binding.Target. What was asked of EKS is read before the group: an update that ends in between is then
// seen as one that runs, and not as a group that somebody took back.
func (t *Target) Observe(ctx context.Context, b *v1alpha1.NodeClassBinding, _ binding.Freshness) (binding.Observation, error) {
	of := b.Spec.Target.ManagedNodeGroup
	updates, err := t.Groups.Updates(ctx, of.ClusterName, of.NodeGroupName)
	if err != nil {
		return unread(of, err)
	}
	group, err := t.Groups.Describe(ctx, of.ClusterName, of.NodeGroupName)
	if err != nil {
		return unread(of, err)
	}
	o := &observation{group: group, updates: updates, problem: unusable(group)}
	if o.problem == nil {
		o.history, o.problem, err = template.Read(ctx, t.Templates, t.Bindings, launch.Reference{ID: group.Template.ID})
	}
	if err != nil {
		return nil, fmt.Errorf("reading the launch template of node group %s of EKS cluster %s: %w", group.Name, group.Cluster, err)
	}
	o.images, o.imageWarnings = preflight.ReadImages(ctx, t.Images, named(group), o.imagesOf(b))
	return o, nil
}

// unread says of a group that cannot be read why, if a person can mend it.
func unread(of *v1alpha1.ManagedNodeGroupTarget, err error) (binding.Observation, error) {
	switch {
	case aws.IsNotFound(err):
		return &observation{problem: &binding.Problem{
			Reason: v1alpha1.ReasonTargetMissing, Cause: err, RetryAfter: afterDenied,
			Message: fmt.Sprintf("EKS has no node group %s of a cluster %s in this account and Region: create it, or delete this binding "+
				"and make one for another group", of.NodeGroupName, of.ClusterName),
		}}, nil
	case aws.Classify(err) == aws.Stalled:
		return &observation{problem: &binding.Problem{
			Reason: v1alpha1.ReasonTargetUnreadable, Stalled: true, RetryAfter: afterDenied, Cause: err,
			Message: fmt.Sprintf("node group %s of EKS cluster %s cannot be read, since AWS refuses %s: %s: allow it to Larder's role",
				of.NodeGroupName, of.ClusterName, aws.Action(err), aws.Words(err)),
		}}, nil
	default:
		return nil, err
	}
}

// unusable says why nothing can be written to a group; nil when something can.
func unusable(group eks.NodeGroup) *binding.Problem {
	switch group.Status {
	case eks.StatusDeleting, eks.StatusDeleteFailed:
		return &binding.Problem{
			Reason: v1alpha1.ReasonTargetMissing, RetryAfter: afterDenied,
			Message: fmt.Sprintf("%s is being deleted (%s%s): delete this binding, or create the group again",
				named(group), group.Status, because(group.Issues)),
		}
	case eks.StatusCreateFailed:
		return &binding.Problem{
			Reason: v1alpha1.ReasonTargetDegraded, Stalled: true, RetryAfter: afterDenied,
			Message: fmt.Sprintf("EKS could not create %s%s: delete it and create it again", named(group), because(group.Issues)),
		}
	}
	if group.Template == nil {
		return &binding.Problem{
			Reason: v1alpha1.ReasonNoLaunchTemplate, Stalled: true, RetryAfter: afterDenied,
			Message: fmt.Sprintf("%s was created without a launch template, and EKS gives it none later: create another group with a "+
				"launch template that has the device, move the pods there, and bind that one", named(group)),
		}
	}
	return nil
}

// named is what messages call a group.
func named(group eks.NodeGroup) string { return Kind + " " + group.Cluster + "/" + group.Name }
