// Package ec2nodeclass writes the device of a NodeClassBinding into Karpenter's EC2NodeClass, and takes it out again.
//
// spec.blockDeviceMappings is one atomic list to the API server: whoever writes one device writes them all. So the
// whole list is written, every other device as it was observed, under the resource version that was observed.
// Classes are read as unstructured objects: a field that a newer Karpenter knows and Larder does not must survive.
package ec2nodeclass

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

// What the target needs of Karpenter's kinds.
//
// +kubebuilder:rbac:groups=karpenter.k8s.aws,resources=ec2nodeclasses,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=karpenter.sh,resources=nodeclaims;nodepools,verbs=get;list;watch

var classKind = fleet.ClassKind

const (
	// kindRetry is how soon a missing kind, and deniedRetry how soon a denied request, is tried again: no watch tells
	// that Karpenter was installed or a role extended.
	kindRetry   = 30 * time.Second
	deniedRetry = 10 * time.Minute
	// conflictRetry leaves the writer that was faster the time to finish.
	conflictRetry = time.Second

	// defaultTrial is the default of spec.rollout.rollback.after, for bindings from before it.
	defaultTrial = 10 * time.Minute
)

// Target reads and writes EC2NodeClasses. It implements binding.Target.
type Target struct {
	// Client writes.
	Client client.Client
	// Reader reads from the API server, past any cache: what is written rests on exactly what is there, field managers
	// included, and a NodeClaim that a cache does not know yet is a node all the same.
	Reader client.Reader
}

// observation is one class, and what runs on it. It implements binding.Observation.
type observation struct {
	// class is nil when it could not be read; problem says why.
	class   *unstructured.Unstructured
	problem *binding.Problem
	// fleet is what Karpenter runs of the class that is written.
	fleet fleet.Fleet
}

// Observe implements binding.Target.
func (t *Target) Observe(ctx context.Context, b *v1alpha1.NodeClassBinding) (binding.Observation, error) {
	name := b.Spec.Target.EC2NodeClass.Name
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(classKind)
	err := t.Reader.Get(ctx, client.ObjectKey{Name: name}, class)
	switch {
	case meta.IsNoMatchError(err):
		return &observation{problem: kindMissing()}, nil
	case apierrors.IsNotFound(err):
		return &observation{problem: classMissing(name)}, nil
	case apierrors.IsForbidden(err):
		return &observation{problem: unreadable(name, err)}, nil
	case err != nil:
		return nil, fmt.Errorf("reading EC2NodeClass %s: %w", name, err)
	}
	running, err := t.readFleet(ctx, name, class)
	if apierrors.IsForbidden(err) {
		return &observation{problem: unreadable(name, err)}, nil
	} else if err != nil {
		return nil, err
	}
	return &observation{class: class, fleet: running}, nil
}

// readFleet reads what Karpenter runs of a class, which is nil when it does not exist.
func (t *Target) readFleet(ctx context.Context, name string, class *unstructured.Unstructured) (fleet.Fleet, error) {
	claims, err := t.list(ctx, fleet.ClaimKind)
	if err != nil {
		return fleet.Fleet{}, fmt.Errorf("listing the NodeClaims of EC2NodeClass %s: %w", name, err)
	}
	pools, err := t.list(ctx, fleet.PoolKind)
	if err != nil {
		return fleet.Fleet{}, fmt.Errorf("listing the NodePools of EC2NodeClass %s: %w", name, err)
	}
	return fleet.Of(name, class, claims, pools), nil
}

// list returns none of a kind that the API server does not have.
func (t *Target) list(ctx context.Context, kind schema.GroupVersionKind) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := t.Reader.List(ctx, list); meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// nodes returns the part of a plan that tells of the nodes.
func (o *observation) nodes(b *v1alpha1.NodeClassBinding, now time.Time) ([]binding.Pool, binding.Health) {
	var applied time.Time
	if b.Status.AppliedTime != nil {
		applied = b.Status.AppliedTime.Time
	}
	after := defaultTrial
	if b.Spec.Rollout.Rollback.After != nil {
		after = b.Spec.Rollout.Rollback.After.Duration
	}
	return o.fleet.Pools(applied), o.fleet.Health(applied, after, now)
}

func kindMissing() *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetKindMissing,
		Message: "this cluster has no EC2NodeClasses (karpenter.k8s.aws/v1): install Karpenter 1.0 or later; " +
			"the binding goes on by itself then",
		RetryAfter: kindRetry,
	}
}

func classMissing(name string) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetMissing,
		Message: fmt.Sprintf("EC2NodeClass %s does not exist: create it, or delete this binding and make one for "+
			"another class", name),
	}
}

func unreadable(name string, err error) *binding.Problem {
	return &binding.Problem{
		Reason:     v1alpha1.ReasonTargetUnreadable,
		Message:    fmt.Sprintf("the operator may not read EC2NodeClass %s, its NodeClaims or its NodePools: extend its role; %v", name, err),
		RetryAfter: deniedRetry,
		Stalled:    true,
		Cause:      err,
	}
}
