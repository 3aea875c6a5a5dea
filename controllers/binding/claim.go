package binding

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// Fields by which bindings are found in the cache.
const (
	indexSnapshot = "spec.snapshot.ref.name"
	indexTarget   = "spec.target"
)

// KindEC2NodeClass is the kind of target that Of takes for Karpenter's EC2NodeClasses.
const KindEC2NodeClass = "EC2NodeClass"

// Of lists the bindings of one target: those that write it, and those that derive another from it.
func Of(ctx context.Context, reader client.Reader, kind, name string) ([]v1alpha1.NodeClassBinding, error) {
	var list v1alpha1.NodeClassBindingList
	if err := reader.List(ctx, &list, client.MatchingFields{indexTarget: kind + "/" + name}); err != nil {
		return nil, fmt.Errorf("listing the bindings of %s %s: %w", kind, name, err)
	}
	return list.Items, nil
}

func targetOf(binding *v1alpha1.NodeClassBinding) (kind, name string) {
	return KindEC2NodeClass, launchedFrom(&binding.Spec.Target.EC2NodeClass)
}

// launchedFrom returns the name of the class that a binding writes, and that nodes launch from.
func launchedFrom(target *v1alpha1.EC2NodeClassTarget) string {
	if target.Derive != nil {
		return target.Derive.Name
	}
	return target.Name
}

func deviceOf(binding *v1alpha1.NodeClassBinding) string {
	return binding.Spec.Target.EC2NodeClass.Device.Name
}

// holderOf returns the binding that holds the device which binding wants too: the oldest of those on the same target.
// It is nil when binding itself is the oldest. One that is being deleted holds the device until it has restored it, and
// one that derives its target holds every device.
func holderOf(binding *v1alpha1.NodeClassBinding, sameTarget []v1alpha1.NodeClassBinding) *v1alpha1.NodeClassBinding {
	holder := binding
	for i := range sameTarget {
		other := &sameTarget[i]
		if other.UID != binding.UID && collide(other, binding) && older(other, holder) {
			holder = other
		}
	}
	if holder == binding {
		return nil
	}
	return holder
}

func collide(a, b *v1alpha1.NodeClassBinding) bool {
	_, nameOfA := targetOf(a)
	_, nameOfB := targetOf(b)
	derives := a.Spec.Target.EC2NodeClass.Derive != nil || b.Spec.Target.EC2NodeClass.Derive != nil
	return nameOfA == nameOfB && (derives || deviceOf(a) == deviceOf(b))
}

// older breaks ties by name, since creation times are whole seconds.
func older(a, b *v1alpha1.NodeClassBinding) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}
