package template

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// readBindings returns the names of all bindings by their UIDs. The operator's cache will do: a binding that has written
// was in it.
func readBindings(ctx context.Context, reader client.Reader) (map[types.UID]string, error) {
	var list v1alpha1.NodeClassBindingList
	if err := reader.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing NodeClassBindings, for which of them versions were made: %w", err)
	}
	names := make(map[types.UID]string, len(list.Items))
	for i := range list.Items {
		names[list.Items[i].UID] = list.Items[i].Name
	}
	return names, nil
}

// isLeft tells whether a record is of a device with a snapshot that a binding left behind when it went: by its
// deletionPolicy, or with its cluster. Whoever binds the device next takes it over, with what it was before. A device that
// was given back is the owner's.
func (h History) isLeft(known record, device string) bool {
	_, exists := h.Bindings[known.binding]
	return !exists && known.device == device && known.snapshotID != ""
}

// IsLeftTo tells whether a version was left behind by another binding, and this one has taken it as it is: with the snapshot
// that it applied.
func (h History) IsLeftTo(b *v1alpha1.NodeClassBinding, device string, number int64) bool {
	known, found := h.recordOf(number)
	return found && known.binding != b.UID && h.isLeft(known, device) && known.snapshotID == b.Status.AppliedSnapshotID
}
