package controlplane_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/larder-dev/larder/test/controlplane"
)

var fencedYAML = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// foreign are the kinds that the documents show and this API server does not have, by the versions that their
// projects serve them in. Their fields are not checked, but that their YAML is sound is.
var foreign = map[string][]string{
	"argoproj.io/v1alpha1":            {"Application"},
	"kustomize.toolkit.fluxcd.io/v1":  {"Kustomization"},
	"helm.toolkit.fluxcd.io/v2":       {"HelmRelease"},
	"kustomize.config.k8s.io/v1beta1": {"Kustomization"},
}

// TestExamplesInTheDocuments applies, without keeping it, every object that a document or a sample shows.
func TestExamplesInTheDocuments(t *testing.T) {
	plane := controlplane.Start(t)
	applied := 0
	for file, documents := range examples(t) {
		for document := range strings.SplitSeq(documents, "\n---\n") {
			object := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if object.GetKind() == "" || isForeign(object) {
				continue
			}
			ensureNamespace(t, plane, object.GetNamespace())
			strict := client.FieldValidation("Strict")
			if err := plane.Admin.Create(t.Context(), object, client.DryRunAll, strict); err != nil {
				t.Errorf("%s: the %s it shows is refused: %v", file, object.GetKind(), err)
			}
			applied++
		}
	}
	if applied < 55 {
		t.Errorf("%d examples were found, and README, documents and samples have more", applied)
	}
}

// ensureNamespace makes a namespace that an example is in, since an API server takes nothing into one that is not there.
func ensureNamespace(t *testing.T, plane *controlplane.ControlPlane, name string) {
	t.Helper()
	if name == "" {
		return
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := plane.Admin.Create(t.Context(), namespace); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
}

// examples returns the YAML that each file shows, as one stream of documents.
func examples(t *testing.T) map[string]string {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/*/*.md", "config/samples/*.yaml", "config/samples/*/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no file is like %s: %v", pattern, err)
		}
		for _, file := range files {
			if filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(file) == ".yaml" {
				shown[file] = string(content)
			}
			for _, match := range fencedYAML.FindAllStringSubmatch(string(content), -1) {
				shown[file] += "\n---\n" + match[1]
			}
		}
	}
	return shown
}

func isForeign(object *unstructured.Unstructured) bool {
	return slices.Contains(foreign[object.GetAPIVersion()], object.GetKind())
}
