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

// Targets are the kinds of targets that there are. A further one is one more of them.
type Targets []Target

// of returns the target of a binding and what the binding holds of it.
func (t Targets) of(binding *v1alpha1.NodeClassBinding) (Target, Subject) {
	for _, target := range t {
		if subject, ok := target.Subject(binding); ok {
			return target, subject
		}
	}
	return unknownTarget{}, Subject{Kind: "target", Name: "of NodeClassBinding " + binding.Name} // which nobody else holds
}

// Of lists the bindings of one target: those that write it, and those that make another from it.
func Of(ctx context.Context, reader client.Reader, kind, name string) ([]v1alpha1.NodeClassBinding, error) {
	var list v1alpha1.NodeClassBindingList
	if err := reader.List(ctx, &list, client.MatchingFields{indexTarget: kind + "/" + name}); err != nil {
		return nil, fmt.Errorf("listing the bindings of %s %s: %w", kind, name, err)
	}
	return list.Items, nil
}

// holderOf returns the binding that holds the device which binding wants too: the oldest of those on the same target.
// It is nil when binding itself is the oldest. One that is being deleted holds the device until it has restored it, and
// one that makes its target from another holds every device.
func (t Targets) holderOf(binding *v1alpha1.NodeClassBinding, sameTarget []v1alpha1.NodeClassBinding) *v1alpha1.NodeClassBinding {
	_, subject := t.of(binding)
	holder := binding
	for i := range sameTarget {
		other := &sameTarget[i]
		if _, of := t.of(other); other.UID != binding.UID && collide(of, subject) && older(other, holder) {
			holder = other
		}
	}
	if holder == binding {
		return nil
	}
	return holder
}

func collide(a, b Subject) bool {
	return a.Kind == b.Kind && a.Name == b.Name && (a.Whole || b.Whole || a.Part == b.Part)
}

// older breaks ties by name, since creation times are whole seconds.
func older(a, b *v1alpha1.NodeClassBinding) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}
