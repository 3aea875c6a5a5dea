package snapshot

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/internal/aws/ebs"
)

// withoutKarpenter is an API server that does not know EC2NodeClasses.
type withoutKarpenter struct{ client.Reader }

func (r withoutKarpenter) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if classes, ok := list.(*unstructured.UnstructuredList); ok {
		return &meta.NoKindMatchError{GroupKind: classes.GroupVersionKind().GroupKind(), SearchedVersions: []string{"v1"}}
	}
	return r.Reader.List(ctx, list, options...)
}

// refusing is an API server that does not let us list.
type refusing struct{ client.Reader }

func (refusing) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("forbidden")
}

func TestHolders(t *testing.T) { synctest.Test(t, testHolders) }

func testHolders(t *testing.T) {
	w := newWorld(t, "a")
	class := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"blockDeviceMappings": []any{
		map[string]any{"deviceName": "/dev/xvda"},
		"not a mapping",
		map[string]any{"deviceName": "/dev/xvdb", "ebs": map[string]any{"snapshotID": "snap-1"}},
	}}}}
	class.SetGroupVersionKind(schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"})
	class.SetName("gpu")
	if err := w.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	candidates := []ebs.Snapshot{
		owned("snap-1", ebs.StateCompleted, 1, 1, "x"),
		owned("snap-2", ebs.StateCompleted, 1, 2, "x"),
	}

	held, failed := w.process.heldOf(t.Context(), candidates)
	if failed != nil || !held["snap-1"] || held["snap-2"] {
		t.Errorf("a node class names snap-1 only: %v, %+v", held, failed)
	}
	w.process.Live = withoutKarpenter{w.client}
	held, failed = w.process.heldOf(t.Context(), candidates)
	if failed != nil || held["snap-1"] || held["snap-2"] {
		t.Errorf("a cluster without Karpenter holds nothing: %v, %+v", held, failed)
	}
	w.process.Live = refusing{}
	held, failed = w.process.heldOf(t.Context(), candidates)
	if failed == nil || !held["snap-1"] || !held["snap-2"] {
		t.Errorf("what cannot be found out is held: %v, %+v", held, failed)
	}
}
