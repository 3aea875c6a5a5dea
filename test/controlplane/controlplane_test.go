package controlplane_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/controlplane"
)

func TestControlPlane(t *testing.T) {
	plane := controlplane.Start(t)

	t.Run("Karpenter's own rules are in force", func(t *testing.T) {
		class := &unstructured.Unstructured{}
		class.SetAPIVersion("karpenter.k8s.aws/v1")
		class.SetKind("EC2NodeClass")
		class.SetName("incomplete")
		class.Object["spec"] = map[string]any{}
		if err := plane.Admin.Create(t.Context(), class); !apierrors.IsInvalid(err) {
			t.Errorf("creating an EC2NodeClass with an empty spec: got %v, want Invalid", err)
		}
	})
	t.Run("the operator may do what its role says and nothing else", func(t *testing.T) { testOperator(t, plane) })
	t.Run("ImageCacheSnapshot", func(t *testing.T) { testImageCacheSnapshot(t, plane) })
}

func testOperator(t *testing.T, plane *controlplane.ControlPlane) {
	operator, err := client.New(plane.Operator(t), client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.New(plane.Operator(t), client.Options{Scheme: controlplane.Scheme()})
	if err != nil {
		t.Fatalf("a second test asks for the operator: %v", err)
	}
	snapshot := &larderv1alpha1.ImageCacheSnapshot{
		ObjectMeta: metav1.ObjectMeta{Name: "roles"},
		Spec: larderv1alpha1.ImageCacheSnapshotSpec{
			Images: []larderv1alpha1.CachedImage{{Image: "registry.example/app:1"}},
		},
	}
	if err := plane.Admin.Create(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	for which, one := range map[string]client.Client{"first": operator, "second": again} {
		if err := one.List(t.Context(), &larderv1alpha1.ImageCacheSnapshotList{}); err != nil {
			t.Errorf("%s operator: listing ImageCacheSnapshots: %v", which, err)
		}
	}
	if err := operator.Delete(t.Context(), snapshot); !apierrors.IsForbidden(err) {
		t.Errorf("deleting an ImageCacheSnapshot: got %v, want Forbidden", err)
	}
	if err := operator.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing Secrets of all namespaces: got %v, want Forbidden", err)
	}
}
