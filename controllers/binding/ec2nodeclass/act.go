package ec2nodeclass

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// neverVersion is a resource version that no object has: the first ones are etcd's own. The API server ignores it for an
// object that is created, and answers a conflict for one that exists.
const neverVersion = "1"

// Act implements binding.Target. Every request names the resource version that was observed, so a class that changed
// since is observed again before anything is written.
func (t *Target) Act(ctx context.Context, planned binding.Write) error {
	w := planned.(*write)
	var err error
	switch w.verb {
	case applyDevices:
		err = t.applyDevices(ctx, w)
	case render:
		err = t.render(ctx, w)
	case giveBack:
		err = client.IgnoreNotFound(t.giveBack(ctx, w)) // with the class went all there was to restore
	case release:
		err = client.IgnoreNotFound(t.unmark(ctx, w))
	case remove:
		err = client.IgnoreNotFound(t.remove(ctx, w))
	}
	return classify(w, err)
}

// applyDevices writes by server-side apply with force: it takes the list over from whoever owned it, and leaves the
// ownership of everything else alone. The UID keeps it from creating a class that was deleted in the meantime.
func (t *Target) applyDevices(ctx context.Context, w *write) error {
	annotations, err := w.record.annotations()
	if err != nil {
		return err
	}
	_, err = t.apply(ctx, w.class, map[string]any{
		"metadata": map[string]any{"annotations": annotations},
		"spec":     map[string]any{"blockDeviceMappings": w.devices},
	})
	return err
}

// render writes by server-side apply too, so that what is no longer in the spec goes. What others have added is not
// Larder's to leave out of an apply: it goes by a second request.
func (t *Target) render(ctx context.Context, w *write) error {
	labels, annotations, err := w.mark.metadata()
	if err != nil {
		return err
	}
	class, err := t.apply(ctx, w.class, map[string]any{
		"metadata": map[string]any{"labels": labels, "annotations": annotations},
		"spec":     w.spec,
	})
	if err != nil || reflect.DeepEqual(specOf(class), w.spec) {
		return err
	}
	return t.patchJSON(ctx, class, map[string]any{"op": "replace", "path": "/spec", "value": w.spec})
}

func (t *Target) apply(ctx context.Context, observed *unstructured.Unstructured, content map[string]any) (*unstructured.Unstructured, error) {
	class := &unstructured.Unstructured{Object: content}
	class.SetGroupVersionKind(classKind)
	class.SetName(observed.GetName())
	class.SetUID(observed.GetUID())
	class.SetResourceVersion(cmp.Or(observed.GetResourceVersion(), neverVersion))
	err := t.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(class), client.FieldOwner(fieldManager), client.ForceOwnership)
	return class, err
}

// giveBack writes by merge patch, since an apply could not remove a list that somebody else owns by now.
func (t *Target) giveBack(ctx context.Context, w *write) error {
	annotations, err := w.record.annotations()
	if err != nil {
		return err
	}
	content := map[string]any{"metadata": map[string]any{
		"resourceVersion": w.class.GetResourceVersion(), "annotations": annotations,
	}}
	if !w.keepsDevices {
		var devices any // null removes the list
		if len(w.devices) > 0 {
			devices = w.devices
		}
		content["spec"] = map[string]any{"blockDeviceMappings": devices}
	}
	class, err := t.patchMerge(ctx, w.class, content)
	if err != nil || !w.releases {
		return err
	}
	return t.release(ctx, class)
}

// unmark leaves a derived class to whoever uses it.
func (t *Target) unmark(ctx context.Context, w *write) error {
	labels, annotations := unmarked()
	class, err := t.patchMerge(ctx, w.class, map[string]any{"metadata": map[string]any{
		"resourceVersion": w.class.GetResourceVersion(), "labels": labels, "annotations": annotations,
	}})
	if err != nil {
		return err
	}
	return t.release(ctx, class)
}

func (t *Target) remove(ctx context.Context, w *write) error {
	uid, version := w.class.GetUID(), w.class.GetResourceVersion()
	return t.Client.Delete(ctx, w.class.DeepCopy(), client.Preconditions{UID: &uid, ResourceVersion: &version})
}

// release takes Larder off the list of field managers, without touching a field. Otherwise the next one who applies a
// field that Larder wrote would meet a conflict with a manager that no longer wants anything.
func (t *Target) release(ctx context.Context, class *unstructured.Unstructured) error {
	if !hasFields(class) {
		return nil
	}
	others := slices.DeleteFunc(class.GetManagedFields(), isOurs)
	if len(others) == 0 {
		// The API server takes an empty list for one that was not given, and an empty entry for none:
		// https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
		others = []metav1.ManagedFieldsEntry{{}}
	}
	return t.patchJSON(ctx, class, map[string]any{"op": "replace", "path": "/metadata/managedFields", "value": others})
}

// patchMerge returns the class as it is then.
func (t *Target) patchMerge(ctx context.Context, observed *unstructured.Unstructured, content map[string]any) (*unstructured.Unstructured, error) {
	patch, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encoding a change of the class: %w", err)
	}
	class := observed.DeepCopy()
	return class, t.Client.Patch(ctx, class, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(fieldManager))
}

func (t *Target) patchJSON(ctx context.Context, class *unstructured.Unstructured, operation map[string]any) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": class.GetResourceVersion()}, operation,
	})
	if err != nil {
		return fmt.Errorf("encoding a change of the class: %w", err)
	}
	return t.Client.Patch(ctx, class, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(fieldManager))
}

// classify turns the answers that a person or time can do something about into problems.
func classify(w *write, err error) error {
	class := w.class.GetName()
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
			Message: fmt.Sprintf("writing EC2NodeClass %s was denied: let the operator's role create, patch and delete "+
				"EC2NodeClasses, and see whether an admission policy refuses it; %v", class, err),
			RetryAfter: deniedRetry, Cause: err,
		}
	case w.verb == render && isRefused(err):
		return &binding.Problem{
			Reason: v1alpha1.ReasonDeviceInvalid, Stalled: true,
			Message: fmt.Sprintf("Karpenter's rules refuse EC2NodeClass %s as EC2NodeClass %s is now, with the device: change "+
				"that class, or spec.target.ec2NodeClass.device; %v", class, w.mark.from, err),
			Cause: err,
		}
	case isRefused(err):
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

func isRefused(err error) bool { return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) }
