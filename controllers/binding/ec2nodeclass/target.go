// Package ec2nodeclass writes the device of a NodeClassBinding into Karpenter's EC2NodeClass, and takes it out again; or
// keeps a second class that is equal to the first but for the device, and leaves the first alone.
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
	"github.com/larder-dev/larder/controllers/binding/preflight"
	"github.com/larder-dev/larder/internal/aws/ami"
)

// What the target needs of Karpenter's kinds. It creates and deletes only classes that it derives from others.
//
// +kubebuilder:rbac:groups=karpenter.k8s.aws,resources=ec2nodeclasses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=karpenter.sh,resources=nodeclaims;nodepools,verbs=get;list;watch

var classKind = fleet.ClassKind

const (
	// kindRetry is how soon a missing kind, and deniedRetry how soon a denied request, is tried again: no watch tells
	// that Karpenter was installed or a role extended.
	kindRetry   = 30 * time.Second
	deniedRetry = 10 * time.Minute
	// conflictRetry leaves the writer that was faster the time to finish.
	conflictRetry = time.Second
	// inUseRetry is how soon it is looked whether a derived class is still in use.
	inUseRetry = 30 * time.Second
)

// Target reads and writes EC2NodeClasses. It implements binding.Target.
type Target struct {
	// Client writes.
	Client client.Client
	// Reader reads from the API server, past any cache: what is written rests on exactly what is there, field managers
	// included, and a NodeClaim that a cache does not know yet is a node all the same.
	Reader client.Reader
	// Cache has the NodeClaims and NodePools that are watched. Passes come with every node, and a cluster has thousands.
	Cache client.Reader
	// Images says what the AMIs of a class need.
	Images preflight.Images
}

// observation is the class that a binding names, the one derived from it, and what runs on the one that nodes launch
// from. It implements binding.Observation.
type observation struct {
	// class is nil when it could not be read; problem says why.
	class   *unstructured.Unstructured
	problem *binding.Problem
	// derived is nil when there is none.
	derived *unstructured.Unstructured
	// fleet is what Karpenter runs of the class that nodes launch from.
	fleet fleet.Fleet
	// rate tells whether the cluster's EC2NodeClasses have a volumeInitializationRate, if the binding says one.
	rate support
	// images are the AMIs of the class, and imageWarnings say why they are not known.
	images        []ami.Image
	imageWarnings []binding.Warning
}

// Kind is the kind of Target's subjects.
const Kind = "EC2NodeClass"

// Subject implements binding.Target.
func (t *Target) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	class := b.Spec.Target.EC2NodeClass
	if class == nil {
		return binding.Subject{}, false
	}
	subject := binding.Subject{Kind: Kind, Name: class.Name, Part: class.Device.Name, Node: "NodeClaim", Pool: "NodePool"}
	if class.Derive != nil {
		subject.Name, subject.Source, subject.Whole = class.Derive.Name, class.Name, true
	}
	subject.Evidence = fmt.Sprintf("Karpenter keeps the cause in its log: kubectl logs --namespace kube-system "+
		"deployment/karpenter | grep %s.", subject.Name)
	return subject, true
}

// Observe implements binding.Target.
func (t *Target) Observe(ctx context.Context, b *v1alpha1.NodeClassBinding, as binding.Freshness) (binding.Observation, error) {
	if as == binding.Live {
		return t.observe(ctx, b, t.Reader)
	}
	return t.observe(ctx, b, t.Cache)
}

func (t *Target) observe(ctx context.Context, b *v1alpha1.NodeClassBinding, nodes client.Reader) (binding.Observation, error) {
	o := &observation{}
	var err error
	if o.class, o.problem, err = t.readClass(ctx, b.Spec.Target.EC2NodeClass.Name); err != nil {
		return nil, err
	}
	launches := b.Spec.Target.EC2NodeClass.Name
	if derives(b) {
		launches = b.Spec.Target.EC2NodeClass.Derive.Name
		derived, problem, err := t.readClass(ctx, launches)
		if err != nil {
			return nil, err
		}
		if problem != nil && problem.Reason == v1alpha1.ReasonTargetUnreadable {
			return &observation{problem: problem}, nil
		}
		if o.derived = derived; derived != nil && o.class == nil && o.problem.Reason == v1alpha1.ReasonTargetMissing {
			o.problem = sourceMissing(b.Spec.Target.EC2NodeClass.Name, launches)
		}
	}
	if o.class == nil && o.problem.Reason != v1alpha1.ReasonTargetUnreadable {
		if o.problem, err = t.explainMissing(ctx, b.Spec.Target.EC2NodeClass.Name, o.problem); err != nil {
			return nil, err
		}
	}
	if o.rate, err = t.readSupport(ctx, b); err != nil {
		return nil, err
	}
	if o.class == nil && o.derived == nil {
		return o, nil
	}
	if o.class != nil {
		o.images, o.imageWarnings = preflight.ReadImages(ctx, t.Images, Kind+" "+o.class.GetName(), imagesOf(o.class))
	}
	launching := o.class
	if derives(b) {
		launching = o.derived
	}
	o.fleet, err = readFleet(ctx, nodes, launches, launching)
	if apierrors.IsForbidden(err) {
		return &observation{problem: unreadable(launches, err)}, nil
	}
	return o, err
}

// readClass returns the class, or the problem that there is none to read.
func (t *Target) readClass(ctx context.Context, name string) (*unstructured.Unstructured, *binding.Problem, error) {
	class := &unstructured.Unstructured{}
	class.SetGroupVersionKind(classKind)
	err := t.Reader.Get(ctx, client.ObjectKey{Name: name}, class)
	switch {
	case err == nil:
		return class, nil, nil
	case meta.IsNoMatchError(err):
		return nil, kindMissing(), nil
	case apierrors.IsNotFound(err):
		return nil, classMissing(name), nil
	case apierrors.IsForbidden(err):
		return nil, unreadable(name, err), nil
	default:
		return nil, nil, fmt.Errorf("reading EC2NodeClass %s: %w", name, err)
	}
}

// readFleet reads what Karpenter runs of a class, which is nil when it does not exist.
func readFleet(ctx context.Context, nodes client.Reader, name string, class *unstructured.Unstructured) (fleet.Fleet, error) {
	claims, err := list(ctx, nodes, fleet.ClaimKind)
	if err != nil {
		return fleet.Fleet{}, fmt.Errorf("listing the NodeClaims of EC2NodeClass %s: %w", name, err)
	}
	pools, err := list(ctx, nodes, fleet.PoolKind)
	if err != nil {
		return fleet.Fleet{}, fmt.Errorf("listing the NodePools of EC2NodeClass %s: %w", name, err)
	}
	return fleet.Of(name, class, claims, pools), nil
}

// list returns none of a kind that the API server does not have.
func list(ctx context.Context, from client.Reader, kind schema.GroupVersionKind) ([]unstructured.Unstructured, error) {
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := from.List(ctx, found); meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return found.Items, nil
}

// nodes returns the part of a plan that tells of the nodes.
func (o *observation) nodes(b *v1alpha1.NodeClassBinding, now time.Time) ([]binding.Pool, binding.Health) {
	var applied time.Time
	if b.Status.AppliedTime != nil {
		applied = b.Status.AppliedTime.Time
	}
	return o.fleet.Pools(applied), o.fleet.Health(applied, binding.TrialTime(b), now)
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

func sourceMissing(name, derived string) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetMissing,
		Message: fmt.Sprintf("EC2NodeClass %s does not exist any more, so EC2NodeClass %s, which was made from it, stays as it "+
			"is: create %s again, or delete this binding (with deletionPolicy Leave to keep %s)", name, derived, name, derived),
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
