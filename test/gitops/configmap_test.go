package gitops_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// kinds are those that have a health check.
var kinds = []string{"ImageCacheSnapshot", "NodeClassBinding"}

// TestArgoCDConfigMapHoldsTheHealthChecks wants the fragment to hold exactly the files, under the keys that Argo CD
// looks up (docs/operator-manual/health.md of Argo CD).
func TestArgoCDConfigMapHoldsTheHealthChecks(t *testing.T) {
	path := filepath.Join(root(t), "config", "argocd", "argocd-cm.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var fragment corev1.ConfigMap
	if err := yaml.UnmarshalStrict(content, &fragment); err != nil {
		t.Fatal(err)
	}
	if fragment.Kind != "ConfigMap" || fragment.Name != "argocd-cm" {
		t.Errorf("%s is %s %s, and Argo CD reads ConfigMap argocd-cm alone", path, fragment.Kind, fragment.Name)
	}
	want := map[string]string{}
	for _, kind := range kinds {
		_, want["resource.customizations.health.larder.dev_"+kind] = script(t, kind)
	}
	if diff := cmp.Diff(want, fragment.Data); diff != "" {
		t.Errorf("write each health.lua below its key of %s, indented by four spaces (-files +fragment):\n%s", path, diff)
	}
	folders, err := filepath.Glob(filepath.Join(root(t), "config", "argocd", "larder.dev", "*", "health.lua"))
	if err != nil || len(folders) != len(want) {
		t.Errorf("health checks are in %v (%v), and %v are known", folders, err, slices.Sorted(maps.Keys(want)))
	}
}
