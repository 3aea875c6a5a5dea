package targets

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

// Parameter is the SSM parameter that publishes the snapshot which bindings of Bind want.
const Parameter = "/larder/images"

// Interval is how often such bindings look at it, and at their targets.
const Interval = 10 * time.Minute

// Snapshot makes a completed EBS snapshot of so many GiB, with the tags by which Larder knows its own, for linux/amd64.
// It returns its id.
func (w *World) Snapshot(format v1alpha1.Format, sizeGiB int64) string {
	contents := ebs.Contents{Format: string(format), Platforms: []string{"linux/amd64"}, StoredBytes: sizeGiB << 29}
	return w.AWS.AddSnapshot(fakeaws.Snapshot{VolumeSize: sizeGiB, Tags: contents.Tags()})
}

// Publish has bindings want a snapshot.
func (w *World) Publish(id string) { w.AWS.AddParameter(fakeaws.Parameter{Name: Parameter, Value: id}) }

// Renew makes a snapshot of 40 GiB, has bindings want it, and returns its id.
func (w *World) Renew(format v1alpha1.Format) string {
	id := w.Snapshot(format, 40)
	w.Publish(id)
	return id
}

// Bind makes a binding of a target to the published snapshot, with strategy Roll, after it was edited, if so.
func (w *World) Bind(name string, target v1alpha1.Target, edits ...func(*v1alpha1.NodeClassBinding)) {
	w.Helper()
	b := &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	b.Spec.Snapshot.SSMParameter, b.Spec.Snapshot.Interval.Duration = Parameter, Interval
	b.Spec.Target, b.Spec.Rollout.Strategy = target, v1alpha1.RolloutRoll
	b.Spec.DeletionPolicy = v1alpha1.BindingDeletionRestore
	for _, edit := range edits {
		edit(b)
	}
	w.Create(b)
}

// Unbind deletes a binding as a person does: Settle then has it restore its target.
func (w *World) Unbind(name string) {
	w.Helper()
	w.Must(w.Client.Delete(w.Context(), &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

// Edit changes a binding as a person does.
func (w *World) Edit(name string, edit func(*v1alpha1.NodeClassBinding)) {
	w.Helper()
	b := w.Binding(name)
	edit(b)
	w.Must(w.Client.Update(w.Context(), b, client.FieldOwner("kubectl-edit")))
}

// Ask sets larder.dev/apply-now.
func (w *World) Ask(name, value string) {
	w.Helper()
	w.Edit(name, func(b *v1alpha1.NodeClassBinding) {
		metav1.SetMetaDataAnnotation(&b.ObjectMeta, v1alpha1.AnnotationApplyNow, value)
	})
}

// Binding reads a binding; nil when it is gone.
func (w *World) Binding(name string) *v1alpha1.NodeClassBinding {
	w.Helper()
	b := &v1alpha1.NodeClassBinding{}
	if err := w.Client.Get(w.Context(), client.ObjectKey{Name: name}, b); err != nil {
		w.Must(client.IgnoreNotFound(err))
		return nil
	}
	return b
}

// Expect compares conditions, each as Describe puts it.
func (w *World) Expect(why string, b *v1alpha1.NodeClassBinding, want map[string]string) {
	w.Helper()
	if b == nil {
		w.Fatalf("%s: the binding is gone", why)
	}
	for conditionType, condition := range want {
		if got := Describe(b, conditionType); got != condition {
			w.Errorf("%s: %s is %s, want %s: %s", why, conditionType, got, condition, Message(b, conditionType))
		}
	}
}
