package gitops_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestBindingsDocumentHasEveryReason wants docs/bindings.md to explain each reason that api/v1alpha1/conditions.go
// groups as one of a NodeClassBinding's, and those that it shares with an ImageCacheSnapshot.
func TestBindingsDocumentHasEveryReason(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(root(t), "docs", "bindings.md"))
	if err != nil {
		t.Fatal(err)
	}
	own, all := reasons(t)
	if len(own) < 40 {
		t.Fatalf("%d reasons of NodeClassBindings were found in conditions.go, and there are more: %v", len(own), own)
	}
	for _, reason := range append(own, "SnapshotPending", "SnapshotFailed", "KMSKeyUnusable") {
		if !strings.Contains(string(document), "`"+reason+"`") {
			t.Errorf("docs/bindings.md does not explain %s", reason)
		}
	}
	rows := maps.Clone(otherRows)
	for _, of := range targets() {
		rows[of.member] = true
	}
	for _, line := range strings.Split(string(document), "\n") {
		named, found := strings.CutPrefix(line, "| `")
		named, _, closed := strings.Cut(named, "` | ")
		if found && closed && !all[named] && !rows[named] {
			t.Errorf("docs/bindings.md has a row for %s, which is no reason of the API", named)
		}
	}
}

// otherRows are the rows of docs/bindings.md that are of strategies, conditions, snapshots and policies; the targets have
// theirs too.
var otherRows = map[string]bool{
	"WithNextDrift": true, "NewNodesOnly": true, "Roll": true,
	"Ready": true, "SnapshotAvailable": true, "PreflightPassed": true, "Applied": true, "RolledOut": true,
	"Reconciling`, `Stalled": true,
	"spec.target":            true, "spec.snapshot": true, "ref": true, "ssmParameter": true, "id": true,
	"deletionPolicy": true, "Restore": true, "Leave": true,
}

// reasons returns the values of the constants in groups that speak of a NodeClassBinding, and those of all groups.
func reasons(t *testing.T) (own []string, all map[string]bool) {
	path := filepath.Join(root(t), "api", "v1alpha1", "conditions.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	all = map[string]bool{}
	for _, declaration := range file.Decls {
		group, ok := declaration.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		ofBindings := strings.HasPrefix(group.Doc.Text(), "Reasons of a NodeClassBinding")
		for _, spec := range group.Specs {
			for _, expression := range spec.(*ast.ValueSpec).Values {
				value, err := strconv.Unquote(expression.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				all[value] = true
				if ofBindings {
					own = append(own, value)
				}
			}
		}
	}
	return own, all
}
