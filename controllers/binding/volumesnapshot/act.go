package volumesnapshot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// write is a change, as the steps that it takes in their order; each is left out when there is nothing to do. Every step
// names what was observed by its UID and resource version. A write that ended in the middle is planned anew from what is
// there then.
type write struct {
	key client.ObjectKey
	// retains get the policy Retain back, before anything is deleted.
	retains []*snapshotv1.VolumeSnapshotContent
	// dropsBefore is a content in the way of makesContent.
	dropsBefore, makesContent *snapshotv1.VolumeSnapshotContent
	// deletes and makes are the VolumeSnapshot: between the two is the gap.
	deletes, makes *snapshotv1.VolumeSnapshot
	// reclasses gets this class.
	reclasses *snapshotv1.VolumeSnapshot
	class     *string
	// drops are contents that no VolumeSnapshot names by now.
	drops []*snapshotv1.VolumeSnapshotContent
	// leavesContent and leaves lose Larder's marks, the VolumeSnapshot last: without its mark the content would be taken
	// for a leftover.
	leavesContent *snapshotv1.VolumeSnapshotContent
	leaves        *snapshotv1.VolumeSnapshot
}

func (w *write) isEmpty() bool {
	return len(w.retains) == 0 && w.makesContent == nil && w.deletes == nil && w.makes == nil && w.reclasses == nil &&
		len(w.drops) == 0 && w.leavesContent == nil && w.leaves == nil
}

// drop plans to delete a content, unless that is up to others alone.
func (w *write) drop(content *snapshotv1.VolumeSnapshotContent) {
	if canDelete(content) {
		w.drops = append(w.drops, content)
	}
}

// Act implements binding.Target.
func (t *Target) Act(ctx context.Context, planned binding.Write) error {
	w := planned.(*write)
	for _, step := range []func(context.Context, *write) error{
		t.retain, t.makeContent, t.replace, t.reclass, t.deleteContents, t.leave,
	} {
		if err := step(ctx, w); err != nil {
			return classify(w, err)
		}
	}
	return nil
}

func (t *Target) retain(ctx context.Context, w *write) error {
	for _, content := range w.retains {
		kept := content.DeepCopy()
		kept.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentRetain
		if err := t.patch(ctx, content, kept); err != nil {
			return err
		}
	}
	return nil
}

func (t *Target) makeContent(ctx context.Context, w *write) error {
	if w.dropsBefore != nil {
		if err := t.delete(ctx, w.dropsBefore); err != nil {
			return err
		}
	}
	if w.makesContent == nil {
		return nil
	}
	err := t.Client.Create(ctx, w.makesContent.DeepCopy(), client.FieldOwner(fieldManager))
	if apierrors.IsAlreadyExists(err) {
		return contentExists(w.makesContent.Name)
	}
	return err
}

// replace is where the gap is, so nothing else comes in between.
func (t *Target) replace(ctx context.Context, w *write) error {
	if w.deletes != nil {
		if err := t.delete(ctx, w.deletes); err != nil {
			return err
		}
	}
	if w.makes == nil {
		return nil
	}
	return t.Client.Create(ctx, w.makes.DeepCopy(), client.FieldOwner(fieldManager))
}

func (t *Target) reclass(ctx context.Context, w *write) error {
	if w.reclasses == nil {
		return nil
	}
	changed := w.reclasses.DeepCopy()
	changed.Spec.VolumeSnapshotClassName = w.class
	return t.patch(ctx, w.reclasses, changed)
}

func (t *Target) deleteContents(ctx context.Context, w *write) error {
	for _, content := range w.drops {
		if err := t.delete(ctx, content); err != nil {
			return err
		}
	}
	return nil
}

func (t *Target) leave(ctx context.Context, w *write) error {
	if w.leavesContent != nil {
		left := w.leavesContent.DeepCopy()
		delete(left.Labels, v1alpha1.LabelBinding)
		if err := t.patch(ctx, w.leavesContent, left); err != nil {
			return err
		}
	}
	if w.leaves == nil {
		return nil
	}
	left := w.leaves.DeepCopy()
	delete(left.Labels, v1alpha1.LabelBinding)
	return t.patch(ctx, w.leaves, left)
}

// patch writes what after has different, unless the object changed since before was read. What is gone needs no change.
func (t *Target) patch(ctx context.Context, before, after client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	return client.IgnoreNotFound(t.Client.Patch(ctx, after, patch, client.FieldOwner(fieldManager)))
}

// delete has an object be gone when it returns, if nobody but the snapshot controller holds it.
func (t *Target) delete(ctx context.Context, object client.Object) error {
	if !isEnding(object) {
		if err := t.Client.Delete(ctx, object, asObserved(object)); err != nil {
			return client.IgnoreNotFound(err)
		}
	}
	return t.release(ctx, object)
}

// asObserved holds a VolumeSnapshot to the resource version that was read. A content need only be the same one: the
// controller writes to it when its VolumeSnapshot goes.
func asObserved(object client.Object) client.Preconditions {
	uid, version := object.GetUID(), object.GetResourceVersion()
	if _, ok := object.(*snapshotv1.VolumeSnapshot); ok {
		return client.Preconditions{UID: &uid, ResourceVersion: &version}
	}
	return client.Preconditions{UID: &uid}
}

// release takes the snapshot controller's finalizers off an object that is being deleted. The controller may be at that
// too.
func (t *Target) release(ctx context.Context, object client.Object) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current := object.DeepCopyObject().(client.Object)
		err := t.Reader.Get(ctx, client.ObjectKeyFromObject(object), current)
		if err != nil || current.GetUID() != object.GetUID() {
			return client.IgnoreNotFound(err)
		}
		released := current.DeepCopyObject().(client.Object)
		released.SetFinalizers(slices.DeleteFunc(released.GetFinalizers(), isOfController))
		if len(released.GetFinalizers()) == len(current.GetFinalizers()) {
			return nil
		}
		return t.patch(ctx, current, released)
	})
}

// canDelete tells whether there is anything left to do for an object to go.
func canDelete(object client.Object) bool {
	return !isEnding(object) || slices.ContainsFunc(object.GetFinalizers(), isOfController)
}

// isOfController tells whether the CSI snapshot controller put a finalizer on an object.
// https://github.com/kubernetes-csi/external-snapshotter/blob/v8.7.0/pkg/utils/util.go
func isOfController(finalizer string) bool {
	return strings.HasPrefix(finalizer, "snapshot.storage.kubernetes.io/")
}

// classify turns the answers that a person or time can do something about into problems.
func classify(w *write, err error) error {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return namespaceEnds(w.key)
	case apierrors.IsConflict(err):
		return changed(w, "changed while it was being written: it is looked at again at once", conflictRetry, err)
	case apierrors.IsAlreadyExists(err):
		return changed(w, "exists although another is to take its place: another user made it just now, or a finalizer keeps it: "+
			"see its metadata.finalizers", heldRetry, err)
	case apierrors.IsForbidden(err):
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteDenied, Stalled: true,
			Message: fmt.Sprintf("writing VolumeSnapshot %s was denied: let the operator's role create, patch and delete "+
				"VolumeSnapshots and VolumeSnapshotContents, and see whether an admission policy refuses it; %v", w.key, err),
			RetryAfter: deniedRetry, Cause: err,
		}
	default:
		return fmt.Errorf("writing VolumeSnapshot %s: %w", w.key, err)
	}
}

func changed(w *write, how string, retryAfter time.Duration, err error) *binding.Problem {
	return &binding.Problem{
		Reason:     v1alpha1.ReasonWriteConflict,
		Message:    fmt.Sprintf("VolumeSnapshot %s %s", w.key, how),
		RetryAfter: retryAfter, Cause: err,
	}
}
