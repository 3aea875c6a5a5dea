// Command terraform says what the Terraform module of config/iam would make, as JSON: every policy by its name, and the
// names of those that the role gets. It reads the module with HashiCorp's own parser and functions, and has a module of its
// own for them.
//
//	terraform FOLDER '{"role": "larder", "targets": ["ecs-service"]}'
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
)

// plan is what Terraform would make.
type plan struct {
	// Policies are documents by the names of the policies.
	Policies map[string]json.RawMessage `json:"policies"`
	// Attached are roles by the names of the policies that they get.
	Attached map[string]string `json:"attached"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: terraform FOLDER VARIABLES")
	}
	var given map[string]any
	if err := json.Unmarshal([]byte(arguments[1]), &given); err != nil {
		return fmt.Errorf("reading the variables: %w", err)
	}
	made, err := planOf(arguments[0], given)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(made)
}

// schema is what a module may consist of here.
var schema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "terraform"}, {Type: "variable", LabelNames: []string{"name"}}, {Type: "resource", LabelNames: []string{"type", "name"}},
}}

func planOf(folder string, given map[string]any) (*plan, error) {
	file, problems := hclparse.NewParser().ParseHCLFile(filepath.Join(folder, "main.tf"))
	if problems.HasErrors() {
		return nil, problems
	}
	content, problems := file.Body.Content(schema)
	if problems.HasErrors() {
		return nil, problems
	}
	scope := &hcl.EvalContext{Functions: functions(), Variables: map[string]cty.Value{
		"path": cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(folder)}),
	}}
	if err := addVariables(scope, content.Blocks.OfType("variable"), given); err != nil {
		return nil, err
	}
	made := &plan{Policies: map[string]json.RawMessage{}, Attached: map[string]string{}}
	for _, block := range content.Blocks.OfType("resource") {
		if err := made.add(scope, block); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// arnOf stands for what AWS says when a policy was made.
const arnOf = "arn:aws:iam::111122223333:policy/"

// add evaluates a resource once for each of its keys. A resource may name those above it.
func (p *plan) add(scope *hcl.EvalContext, block *hcl.Block) error {
	attributes, problems := block.Body.JustAttributes()
	if problems.HasErrors() {
		return problems
	}
	each, problems := attributes["for_each"].Expr.Value(scope)
	if problems.HasErrors() {
		return problems
	}
	delete(attributes, "for_each")
	instances := map[string]cty.Value{}
	for it := each.ElementIterator(); it.Next(); {
		key, value := it.Element()
		if each.Type().IsSetType() {
			key = value
		}
		inner := scope.NewChild()
		inner.Variables = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})}
		arguments := map[string]string{}
		for name, attribute := range attributes {
			argument, problems := attribute.Expr.Value(inner)
			if problems.HasErrors() {
				return problems
			}
			arguments[name] = argument.AsString()
		}
		if err := p.make(block.Labels[0], arguments); err != nil {
			return err
		}
		instances[key.AsString()] = cty.ObjectVal(map[string]cty.Value{"arn": cty.StringVal(arnOf + arguments["name"])})
	}
	scope.Variables[block.Labels[0]] = cty.ObjectVal(map[string]cty.Value{block.Labels[1]: cty.ObjectVal(instances)})
	return nil
}

// The arguments of the provider's two resources:
// https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/iam_policy
// https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/iam_role_policy_attachment
func (p *plan) make(kind string, arguments map[string]string) error {
	switch {
	case kind == "aws_iam_policy" && has(arguments, "name", "description", "policy"):
		if !json.Valid([]byte(arguments["policy"])) {
			return fmt.Errorf("policy %s is no JSON", arguments["name"])
		}
		p.Policies[arguments["name"]] = json.RawMessage(arguments["policy"])
	case kind == "aws_iam_role_policy_attachment" && has(arguments, "role", "policy_arn"):
		p.Attached[arguments["policy_arn"][len(arnOf):]] = arguments["role"]
	default:
		return fmt.Errorf("a resource %s with the arguments %v is not known", kind, arguments)
	}
	return nil
}

func has(arguments map[string]string, names ...string) bool {
	for _, name := range names {
		if arguments[name] == "" {
			return false
		}
	}
	return len(arguments) == len(names)
}
