package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

var variableSchema = &hcl.BodySchema{
	Attributes: []hcl.AttributeSchema{{Name: "description", Required: true}, {Name: "type", Required: true}, {Name: "default"}},
	Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
}

// addVariables gives each variable what was given, or else its default.
func addVariables(scope *hcl.EvalContext, blocks hcl.Blocks, given map[string]any) error {
	values, validations := map[string]cty.Value{}, hcl.Blocks{}
	for _, block := range blocks {
		name := block.Labels[0]
		content, problems := block.Body.Content(variableSchema)
		if problems.HasErrors() {
			return problems
		}
		value, err := valueOf(content, given[name])
		if err != nil {
			return fmt.Errorf("variable %s: %w", name, err)
		}
		values[name] = value
		validations = append(validations, content.Blocks...)
	}
	for name := range given {
		if _, known := values[name]; !known {
			return fmt.Errorf("there is no variable %s", name)
		}
	}
	scope.Variables["var"] = cty.ObjectVal(values)
	for _, validation := range validations {
		if err := validate(scope, validation); err != nil {
			return err
		}
	}
	return nil
}

func valueOf(variable *hcl.BodyContent, given any) (cty.Value, error) {
	kind, problems := typeexpr.TypeConstraint(variable.Attributes["type"].Expr)
	if problems.HasErrors() {
		return cty.NilVal, problems
	}
	if given != nil {
		encoded, err := json.Marshal(given)
		if err != nil {
			return cty.NilVal, err
		}
		return ctyjson.Unmarshal(encoded, kind)
	}
	preset := variable.Attributes["default"]
	if preset == nil {
		return cty.NilVal, errors.New("it has no default, and nothing was given")
	}
	value, problems := preset.Expr.Value(nil)
	if problems.HasErrors() {
		return cty.NilVal, problems
	}
	return convert.Convert(value, kind)
}

func validate(scope *hcl.EvalContext, validation *hcl.Block) error {
	attributes, problems := validation.Body.JustAttributes()
	if problems.HasErrors() {
		return problems
	}
	holds, problems := attributes["condition"].Expr.Value(scope)
	if problems.HasErrors() {
		return problems
	}
	message, problems := attributes["error_message"].Expr.Value(scope)
	if problems.HasErrors() {
		return problems
	}
	if holds.False() {
		return errors.New(message.AsString())
	}
	return nil
}

// functions are those of Terraform that the module uses; all but file, fileexists and alltrue are its own code.
// https://developer.hashicorp.com/terraform/language/functions
func functions() map[string]function.Function {
	return map[string]function.Function{
		"replace":    stdlib.ReplaceFunc,
		"jsonencode": stdlib.JSONEncodeFunc,
		"setunion":   stdlib.SetUnionFunc,
		"file": ofText(cty.String, func(path string) (cty.Value, error) {
			content, err := os.ReadFile(path)
			return cty.StringVal(string(content)), err
		}),
		"fileexists": ofText(cty.Bool, func(path string) (cty.Value, error) {
			_, err := os.Stat(path)
			return cty.BoolVal(err == nil), nil
		}),
		"alltrue": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
			Type:   function.StaticReturnType(cty.Bool),
			Impl: func(arguments []cty.Value, _ cty.Type) (cty.Value, error) {
				all := cty.True
				for it := arguments[0].ElementIterator(); it.Next(); {
					_, one := it.Element()
					all = all.And(one)
				}
				return all, nil
			},
		}),
	}
}

func ofText(returns cty.Type, answer func(string) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(returns),
		Impl: func(arguments []cty.Value, _ cty.Type) (cty.Value, error) {
			return answer(arguments[0].AsString())
		},
	})
}
