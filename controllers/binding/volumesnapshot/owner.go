package volumesnapshot

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

const (
	// fieldManager is the name under which every binding writes.
	fieldManager = "larder"
	// someone stands for whoever deleted something, which leaves no trace on it.
	someone = "another user of the cluster"
)

// lastWriter returns who, other than Larder, last changed what is not as Larder made it; empty when nobody did.
func (o *observation) lastWriter(b *v1alpha1.NodeClassBinding) string {
	made := o.ours(b)
	if made == nil || isEnding(made) {
		return someone
	}
	content := o.content(sourceOf(made))
	if content == nil || isEnding(content) {
		return someone
	}
	last := metav1.ManagedFieldsEntry{}
	for _, object := range []metav1.Object{made, content} {
		for _, entry := range object.GetManagedFields() {
			if entry.Subresource == "" && (last.Time == nil || last.Time.Before(entry.Time)) {
				last = entry
			}
		}
	}
	if last.Manager == fieldManager {
		return ""
	}
	return last.Manager
}
