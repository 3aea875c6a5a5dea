package binding_test

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/targets"
)

// binding returns nil when it is gone.
func (s *simulation) binding() *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{}
	if err := s.client.Get(context.Background(), client.ObjectKey{Name: "b"}, b); err != nil {
		s.must(client.IgnoreNotFound(err))
		return nil
	}
	return b
}

func (s *simulation) exists(class string) bool {
	found, err := targets.Stored(s.Context(), s.client, classKind, client.ObjectKey{Name: class})
	s.must(err)
	return found != nil && found.GetDeletionTimestamp() == nil
}

func (s *simulation) devicesIn(class string) []any {
	devices, _, err := unstructured.NestedSlice(s.get(classKind, class).Object, "spec", "blockDeviceMappings")
	s.must(err)
	return devices
}

// deviceOf returns the binding's device of a class; nil when there is none.
func (s *simulation) deviceOf(class string) map[string]any {
	if !s.exists(class) {
		return nil
	}
	for _, entry := range s.devicesIn(class) {
		if entry := entry.(map[string]any); entry["deviceName"] == device {
			return entry
		}
	}
	return nil
}

func snapshotIn(device map[string]any) string {
	id, _, _ := unstructured.NestedString(device, "ebs", "snapshotID")
	return id
}

func sizeIn(s *simulation, device map[string]any) int64 {
	text, _, err := unstructured.NestedString(device, "ebs", "volumeSize")
	s.must(err)
	var gib int64
	if _, err := fmt.Sscanf(text, "%dGi", &gib); err != nil {
		s.Fatalf("no volumeSize in GiB: %v", device)
	}
	return gib
}

func (s *simulation) claims() []unstructured.Unstructured {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(claimKind.GroupVersion().WithKind("NodeClaimList"))
	s.must(s.client.List(s.Context(), list))
	return list.Items
}

// leaving are the NodeClaims that drift or are being deleted.
func (s *simulation) leaving() map[string]bool {
	leaving := map[string]bool{}
	for _, claim := range s.claims() {
		leaving[claim.GetName()] = claim.GetDeletionTimestamp() != nil || isTrue(&claim, "Drifted")
	}
	return leaving
}

// holds tells whether a pool's budgets keep it from ever replacing a drifted node.
func (s *simulation) holds(pool string) bool {
	budgets, _, err := unstructured.NestedSlice(s.get(poolKind, pool).Object, "spec", "disruption", "budgets")
	s.must(err)
	for _, budget := range budgets {
		budget := budget.(map[string]any)
		reasons, _ := budget["reasons"].([]any)
		if (budget["nodes"] == "0" || budget["nodes"] == "0%") && budget["schedule"] == nil && (reasons == nil || slices.Contains(reasons, any("Drifted"))) {
			return true
		}
	}
	return false
}

func isTrue(claim *unstructured.Unstructured, condition string) bool {
	conditions, _, _ := unstructured.NestedSlice(claim.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(one any) bool {
		fields := one.(map[string]any)
		return fields["type"] == condition && fields["status"] == "True"
	})
}

func (s *simulation) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
