package volumesnapshot

import (
	"bytes"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// fieldManager is the name under which every binding writes.
	fieldManager = "larder"
	// someone stands for whoever deleted something, which leaves no trace on it.
	someone = "another user of the cluster"
)

// takenBackBy returns who, other than Larder, made a write necessary for the snapshot that is applied; empty when Larder
// itself was interrupted in one.
func (w *write) takenBackBy() string {
	switch {
	case len(w.retains) > 0:
		return writerOf(w.retains[0], "f:deletionPolicy")
	case w.reclasses != nil:
		return writerOf(w.reclasses, "f:volumeSnapshotClassName")
	case w.deletes != nil && !isEnding(w.deletes):
		return ""
	default:
		return someone
	}
}

// writerOf returns the field manager that gave a field of a name that is only there once its present value.
func writerOf(object metav1.Object, field string) string {
	for _, entry := range object.GetManagedFields() {
		if entry.FieldsV1 == nil || !bytes.Contains(entry.FieldsV1.GetRawBytes(), []byte(`"`+field+`"`)) {
			continue
		}
		if entry.Manager == fieldManager {
			return ""
		}
		return entry.Manager
	}
	return someone
}
