package controlplane_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/test/controlplane"
)

var fencedYAML = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestExamplesInTheDocuments applies, without keeping it, every object that a document or a sample shows.
func TestExamplesInTheDocuments(t *testing.T) {
	plane := controlplane.Start(t)
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]string{}
	for _, pattern := range []string{"README.md", "docs/*.md", "config/samples/*.yaml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no file is like %s: %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(file) == ".yaml" {
				examples[file] = string(content)
			}
			for _, match := range fencedYAML.FindAllStringSubmatch(string(content), -1) {
				examples[file] += "\n---\n" + match[1]
			}
		}
	}
	applied := 0
	for file, documents := range examples {
		for document := range strings.SplitSeq(documents, "\n---\n") {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if object.GetKind() == "" || object.GetKind() == "Kustomization" || filepath.Base(file) == "kustomization.yaml" {
				continue
			}
			strict := client.FieldValidation("Strict")
			if err := plane.Admin.Create(t.Context(), object, client.DryRunAll, strict); err != nil {
				t.Errorf("%s: the %s it shows is refused: %v", file, object.GetKind(), err)
			}
			applied++
		}
	}
	if applied < 4 {
		t.Errorf("%d examples were found, and the README and the samples alone have 4", applied)
	}
}
