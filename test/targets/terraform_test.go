package targets_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/controlplane"
)

// terraformed is what the module of config/iam would make.
type terraformed struct {
	Policies map[string]any
	Attached map[string]string
}

// terraform evaluates the module with variables. What it refuses is the second result.
func terraform(t *testing.T, variables map[string]any) (made terraformed, refusal string) {
	t.Helper()
	given, err := json.Marshal(variables)
	if err != nil {
		t.Fatal(err)
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), "go", "run", ".", policyFolder(t), string(given))
	program.Dir, program.Env = filepath.Join(root, "test", "targets", "terraform"), append(os.Environ(), "GOWORK=off")
	var problems strings.Builder
	program.Stderr = &problems
	output, err := program.Output()
	if err != nil {
		return terraformed{}, problems.String()
	}
	if err := json.Unmarshal(output, &made); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return made, ""
}

// TestTerraformAttachesTheseDocuments has one source of what is allowed: the JSON documents.
func TestTerraformAttachesTheseDocuments(t *testing.T) {
	const role, anyRole = "operator", `["arn:aws:iam::*:role/*"]`
	documents := slices.Sorted(maps.Keys(readPolicies(t)))
	targets := slices.DeleteFunc(slices.Clone(documents), func(name string) bool { return name == basePolicy })
	cases := map[string]struct {
		reason    string
		variables map[string]any
		attached  []string
		passed    string
	}{
		"the base": {
			"without targets there is what every operator needs", map[string]any{"role": role}, []string{basePolicy}, anyRole,
		},
		"all targets": {
			"each has its document", map[string]any{"role": role, "targets": targets}, documents, anyRole,
		},
		"roles of yours": {
			"those that may be passed take the place of any",
			map[string]any{"role": role, "targets": []string{"ecs-service"}, "passed_roles": []string{"arn:aws:iam::111122223333:role/volumes"}},
			[]string{basePolicy, "ecs-service"}, `["arn:aws:iam::111122223333:role/volumes"]`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			made, refusal := terraform(t, c.variables)
			if refusal != "" {
				t.Fatal(refusal)
			}
			want := terraformed{Policies: map[string]any{}, Attached: map[string]string{}}
			for _, document := range c.attached {
				content, err := os.ReadFile(filepath.Join(policyFolder(t), document+".json"))
				if err != nil {
					t.Fatal(err)
				}
				text := strings.ReplaceAll(string(content), anyRole, c.passed)
				var decoded any
				if err := json.Unmarshal([]byte(text), &decoded); err != nil {
					t.Fatal(err)
				}
				policyName := "larder"
				if document != basePolicy {
					policyName += "-" + document
				}
				want.Policies[policyName], want.Attached[policyName] = decoded, role
			}
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestTerraformRefusesUnknownTargets(t *testing.T) {
	_, refusal := terraform(t, map[string]any{"role": "operator", "targets": []string{"ecs"}})
	if want := "Each target is the name of a policy of config/iam"; !strings.HasPrefix(refusal, want) {
		t.Errorf("it says %q, want %q", refusal, want)
	}
}
