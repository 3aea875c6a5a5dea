package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindTestsReadsNamesFromSource(t *testing.T) {
	root := t.TempDir()
	for path, content := range map[string]string{
		"a/a_test.go":        "package a\nfunc TestA(t *testing.T) {}\nfunc helper() {}\nfunc TestMain(m *testing.M) {}\n",
		"a/b_test.go":        "//go:build node\n\npackage a\nfunc FuzzB(f *testing.F) {}\nfunc Testing() {}\n",
		"a/a.go":             "package a\nfunc TestNotOne() {}\n",
		"nested/go.mod":      "module nested\n",
		"nested/n_test.go":   "package n\nfunc TestN(t *testing.T) {}\n",
		".hidden/h_test.go":  "package h\nfunc TestH(t *testing.T) {}\n",
		"b/methods_test.go":  "package b\nfunc (s suite) TestMethod() {}\n",
		"b/external_test.go": "package b_test\nfunc TestC(t *testing.T) {}\n",
	} {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := findTests(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range found {
		names = append(names, one.String())
	}
	if diff := cmp.Diff([]string{"a.FuzzB", "a.TestA", "b.TestC"}, names); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
}

func TestEveryPromiseHasATest(t *testing.T) {
	document, err := render("../..")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(string(document), "\n## "), len(promises)+1; got != want {
		t.Errorf("the document has %d sections, want one for each of %d promises and one for defects", got, len(promises))
	}
}

func TestAPromiseWithoutATestIsAnError(t *testing.T) {
	kept := promises
	defer func() { promises = kept }()
	promises = append(promises[:len(promises):len(promises)], promise{title: "more", patterns: []string{`nowhere\.TestNothing`}})
	if _, err := render("../.."); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v, want an error that names the pattern", err)
	}
}
