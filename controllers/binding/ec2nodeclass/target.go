// Package ec2nodeclass writes the device of a NodeClassBinding into Karpenter's EC2NodeClass, and takes it out again.
//
// spec.blockDeviceMappings is one atomic list to the API server: whoever writes one device writes them all. So the
// whole list is written, every other device as it was observed, under the resource version that was observed.
// Classes are read as unstructured objects: a field that a newer Karpenter knows and Larder does not must survive.
package ec2nodeclass

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// What the target needs of Karpenter's kinds.
//
// +kubebuilder:rbac:groups=karpenter.k8s.aws,resources=ec2nodeclasses,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=karpenter.sh,resources=nodeclaims,verbs=get;list;watch

var (
	classKind = schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"}
	claimKind = schema.GroupVersionKind{Group: "karpenter.sh", Version: "v1", Kind: "NodeClaim"}
)

const (
	// kindRetry is how soon a missing kind, and deniedRetry how soon a denied request, is tried again: no watch tells
	// that Karpenter was installed or a role extended.
	kindRetry   = 30 * time.Second
	deniedRetry = 10 * time.Minute
	// conflictRetry leaves the writer that was faster the time to finish.
	conflictRetry = time.Second

	// poolLabel names a NodeClaim's NodePool: sigs.k8s.io/karpenter, pkg/apis/v1/labels.go.
	poolLabel = "karpenter.sh/nodepool"
)

// Target reads and writes EC2NodeClasses. It implements binding.Target.
type Target struct {
	// Client writes.
	Client client.Client
	// Reader reads from the API server, past any cache: what is written rests on exactly what is there, field managers
	// included, and a NodeClaim that a cache does not know yet is a node all the same.
	Reader client.Reader
	// Images says what the AMIs of a class need.
	Images Images
}

// observation is one class, and what runs on it. It implements binding.Observation.
type observation struct {
	// class is nil when it could not be read; problem says why.
	class   *unstructured.Unstructured
	problem *binding.Problem
	// claims counts the class's NodeClaims by NodePool. They are read only when the strategy spares them.
	claims map[string]int
	// images are the AMIs of the class, and imageWarnings say why they are not known.
	images        []ami.Image
	imageWarnings []binding.Warning
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
	o := &observation{class: class}
	o.images, o.imageWarnings = t.readImages(ctx, class)
	if b.Spec.Rollout.Strategy == v1alpha1.RolloutNewNodesOnly {
		o.claims, err = t.countClaims(ctx, name)
	}
	if apierrors.IsForbidden(err) {
		return &observation{problem: unreadable(name, err)}, nil
	}
	return o, err
}

func (o *observation) pools() []binding.Pool {
	var pools []binding.Pool
	for _, name := range slices.Sorted(maps.Keys(o.claims)) {
		pools = append(pools, binding.Pool{Name: name, Outdated: o.claims[name], Staying: o.claims[name]})
	}
	return pools
}

// countClaims counts by NodePool. Without the kind there are no nodes.
func (t *Target) countClaims(ctx context.Context, class string) (map[string]int, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(claimKind.GroupVersion().WithKind(claimKind.Kind + "List"))
	if err := t.Reader.List(ctx, list); meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("listing the NodeClaims of EC2NodeClass %s: %w", class, err)
	}
	claims := map[string]int{}
	for i := range list.Items {
		if classOf(&list.Items[i]) == class {
			claims[list.Items[i].GetLabels()[poolLabel]]++
		}
	}
	return claims, nil
}

// classOf returns the EC2NodeClass that a NodeClaim was made from; empty when it is of another kind.
func classOf(claim *unstructured.Unstructured) string {
	ref, _, _ := unstructured.NestedStringMap(claim.Object, "spec", "nodeClassRef")
	if ref["group"] != classKind.Group || ref["kind"] != classKind.Kind {
		return ""
	}
	return ref["name"]
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
		Message:    fmt.Sprintf("the operator may not read EC2NodeClass %s or its NodeClaims: extend its role; %v", name, err),
		RetryAfter: deniedRetry,
		Stalled:    true,
		Cause:      err,
	}
}
