package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// Until looks again and again until something holds, which what describes; it fails when that takes longer than patience.
func (s *Stack) Until(ctx context.Context, what string, patience time.Duration, holds func() (bool, error)) error {
	const glance = 200 * time.Millisecond
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	for {
		if done, err := holds(); err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not seen: %s: %w", what, context.Cause(ctx))
		case <-deadline.C:
			return fmt.Errorf("not seen within %s: %s; the bindings are: %s", patience, what, s.AllBindings(ctx))
		case <-ticker.C:
		}
	}
}

// Binding reads one.
func (s *Stack) Binding(ctx context.Context, name string) (*v1alpha1.NodeClassBinding, error) {
	found := &v1alpha1.NodeClassBinding{}
	if err := s.Admin.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
		return nil, fmt.Errorf("reading NodeClassBinding %s: %w", name, err)
	}
	return found, nil
}

// Says tells whether a condition has a reason, at the newest generation.
func Says(b *v1alpha1.NodeClassBinding, condition, reason string) bool {
	found := meta.FindStatusCondition(b.Status.Conditions, condition)
	return found != nil && found.Reason == reason && found.ObservedGeneration == b.Generation
}

// IsReady tells whether a binding is Ready, at the newest generation.
func IsReady(b *v1alpha1.NodeClassBinding) bool {
	return meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionReady) && b.Status.ObservedGeneration == b.Generation
}

// AllBindings are all of the cluster, in JSON, for a message that says what was seen instead.
func (s *Stack) AllBindings(ctx context.Context) string {
	list := &v1alpha1.NodeClassBindingList{}
	if err := s.Admin.List(context.WithoutCancel(ctx), list); err != nil {
		return err.Error()
	}
	for i := range list.Items {
		list.Items[i].ManagedFields = nil
	}
	encoded, err := json.Marshal(list.Items)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}
