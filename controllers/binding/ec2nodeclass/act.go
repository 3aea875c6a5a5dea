package ec2nodeclass

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// Act implements binding.Target. Every request names the resource version that was observed, so a class that changed
// since is observed again before anything is written.
func (t *Target) Act(ctx context.Context, planned binding.Write) error {
	w := planned.(*write)
	act := t.apply
	if w.restores {
		act = t.restore
	}
	err := act(ctx, w)
	if w.restores && apierrors.IsNotFound(err) {
		return nil // with the class went all there was to restore
	}
	return classify(w.class.GetName(), err)
}

// apply writes by server-side apply with force: it takes the list over from whoever owned it, and leaves the ownership
// of everything else alone. The UID keeps it from creating a class that was deleted in the meantime.
func (t *Target) apply(ctx context.Context, w *write) error {
	annotations, err := w.record.annotations()
	if err != nil {
		return err
	}
	class := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"annotations": annotations},
		"spec":     map[string]any{"blockDeviceMappings": w.devices},
	}}
	class.SetGroupVersionKind(classKind)
	class.SetName(w.class.GetName())
	class.SetUID(w.class.GetUID())
	class.SetResourceVersion(w.class.GetResourceVersion())
	return t.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(class), client.FieldOwner(fieldManager), client.ForceOwnership)
}

// restore writes by merge patch, since an apply could not remove a list that somebody else owns by now.
func (t *Target) restore(ctx context.Context, w *write) error {
	annotations, err := w.record.annotations()
	if err != nil {
		return err
	}
	var devices any
	if len(w.devices) > 0 {
		devices = w.devices
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"resourceVersion": w.class.GetResourceVersion(),
			"annotations":     annotations,
		},
		"spec": map[string]any{"blockDeviceMappings": devices},
	})
	if err != nil {
		return fmt.Errorf("encoding the restored devices: %w", err)
	}
	class := w.class.DeepCopy()
	if err := t.Client.Patch(ctx, class, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldManager)); err != nil {
		return err
	}
	if !w.releases || !hasFields(class) {
		return nil
	}
	return t.release(ctx, class)
}

// release takes Larder off the list of field managers, without touching a field. Otherwise the next one who applies the
// list would meet a conflict with a manager that no longer wants anything.
func (t *Target) release(ctx context.Context, class *unstructured.Unstructured) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": class.GetResourceVersion()},
		{"op": "replace", "path": "/metadata/managedFields", "value": slices.DeleteFunc(class.GetManagedFields(), isOurs)},
	})
	if err != nil {
		return fmt.Errorf("encoding the field managers: %w", err)
	}
	return t.Client.Patch(ctx, class, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(fieldManager))
}

// classify turns the answers that a person or time can do something about into problems.
func classify(class string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsConflict(err):
		return &binding.Problem{
			Reason:     v1alpha1.ReasonWriteConflict,
			Message:    fmt.Sprintf("EC2NodeClass %s changed while it was being written: it is looked at again at once", class),
			RetryAfter: conflictRetry, Cause: err,
		}
	case apierrors.IsForbidden(err):
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteDenied, Stalled: true,
			Message: fmt.Sprintf("writing EC2NodeClass %s was denied: let the operator's role patch EC2NodeClasses, and "+
				"see whether an admission policy refuses it; %v", class, err),
			RetryAfter: deniedRetry, Cause: err,
		}
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return &binding.Problem{
			Reason: v1alpha1.ReasonDeviceInvalid, Stalled: true,
			Message: fmt.Sprintf("Karpenter's rules for EC2NodeClass %s refuse the devices: change spec.target.ec2NodeClass."+
				"device, or the class; %v", class, err),
			Cause: err,
		}
	default:
		return fmt.Errorf("writing EC2NodeClass %s: %w", class, err)
	}
}
