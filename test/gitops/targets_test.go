package gitops_test

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// target is a member of spec.target other than Karpenter's, which docs/bindings.md is about.
type target struct {
	// member is its name in the API, file that of its documents, and folder that of its code: ecsService, ecs-service and
	// ecsservice.
	member, file, folder string
}

var capital = regexp.MustCompile(`[A-Z]+`)

func targets() []target {
	var all []target
	for field := range reflect.TypeFor[v1alpha1.Target]().Fields() {
		member, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if member == "ec2NodeClass" {
			continue
		}
		file := capital.ReplaceAllStringFunc(member, func(found string) string { return "-" + strings.ToLower(found) })
		all = append(all, target{member: member, file: file, folder: strings.ToLower(member)})
	}
	return all
}

func (of target) page(t *testing.T) string {
	t.Helper()
	return document(t, "docs", "targets", of.file+".md")
}

func document(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{root(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestEveryTargetHasAPageAndASample wants of each kind of target a page that is in the index and shows a binding of it, and
// a sample that is whole: a binding with the snapshot that it names.
func TestEveryTargetHasAPageAndASample(t *testing.T) {
	index, all := document(t, "docs", "bindings.md"), targets()
	if len(all) < 5 {
		t.Fatalf("%d kinds of target were found: %v", len(all), all)
	}
	for _, of := range all {
		page := of.page(t)
		sample := "config/samples/targets/" + of.file + ".yaml"
		if !strings.Contains(index, "](targets/"+of.file+".md)") {
			t.Errorf("docs/bindings.md does not list targets/%s.md", of.file)
		}
		if !strings.Contains(page, "](../../"+sample+")") {
			t.Errorf("the page of %s does not name %s", of.member, sample)
		}
		shown := ""
		for _, example := range fenced(page, "yaml") {
			shown += "\n---\n" + example
		}
		if bindings, _ := bindingsTo(t, shown, of); len(bindings) != 1 {
			t.Errorf("the page of %s shows %d bindings of it", of.member, len(bindings))
		}
		bindings, snapshots := bindingsTo(t, document(t, sample), of)
		if len(bindings) != 1 || bindings[0].Spec.Snapshot.Ref == nil || !snapshots[bindings[0].Spec.Snapshot.Ref.Name] {
			t.Errorf("%s has the bindings %v and the snapshots %v, and has to have one binding with its snapshot", sample, bindings, snapshots)
		}
	}
}

// bindingsTo returns the bindings of one kind of target in a stream of YAML documents, and the names of its snapshots.
func bindingsTo(t *testing.T, stream string, of target) (bindings []v1alpha1.NodeClassBinding, snapshots map[string]bool) {
	t.Helper()
	snapshots = map[string]bool{}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(stream)), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return bindings, snapshots
		} else if err != nil {
			t.Fatal(err)
		}
		if object.GetKind() == "ImageCacheSnapshot" {
			snapshots[object.GetName()] = true
		}
		member, found, err := unstructured.NestedMap(object.Object, "spec", "target", of.member)
		if object.GetKind() != "NodeClassBinding" || !found || err != nil || len(member) == 0 {
			continue
		}
		sent, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var binding v1alpha1.NodeClassBinding
		if err := yaml.UnmarshalStrict(sent, &binding); err != nil {
			t.Fatalf("the binding of %s: %v", of.member, err)
		}
		bindings = append(bindings, binding)
	}
}

// fenced returns what a document shows in a language.
func fenced(page, language string) []string {
	var all []string
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		all = append(all, strings.TrimSuffix(match[1], "\n"))
	}
	return all
}

var ignoredByTerraform = regexp.MustCompile(`ignore_changes = \[(.*?)\]+( \}|;)`)

// TestTargetPagesHaveTheWordsOfTheCode wants what a page quotes to be a message of its target's package, and each line that
// such a message gives to Terraform to be on the page.
func TestTargetPagesHaveTheWordsOfTheCode(t *testing.T) {
	found := 0
	for _, of := range targets() {
		page, texts := of.page(t), sentencesOf(t, of.folder)
		quotes := fenced(page, "text")
		if len(quotes) == 0 {
			t.Errorf("the page of %s quotes no message", of.member)
		}
		for _, quote := range quotes {
			if !isSaid(quote, texts) {
				t.Errorf("the page of %s quotes what controllers/binding/%s does not say: %s", of.member, of.folder, quote)
			}
		}
		plain := strings.Join(strings.Fields(page), " ")
		for _, text := range texts {
			for _, match := range ignoredByTerraform.FindAllStringSubmatch(text, -1) {
				found++
				if !strings.Contains(plain, "ignore_changes = ["+match[1]+"]") {
					t.Errorf("the page of %s does not have what the code says of Terraform: %s", of.member, match[0])
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("%d lines for Terraform were found in the code, and each of AWS's targets has one, launchTemplate two", found)
	}
}

var verb = regexp.MustCompile(`%(\[\d+\])?[a-z]`)

// isSaid tells whether one of the formats can make a text.
func isSaid(text string, formats []string) bool {
	for _, format := range formats {
		var pattern strings.Builder
		rest := 0
		for _, at := range verb.FindAllStringIndex(format, -1) {
			pattern.WriteString(regexp.QuoteMeta(format[rest:at[0]]) + ".*")
			rest = at[1]
		}
		pattern.WriteString(regexp.QuoteMeta(format[rest:]))
		whole := strings.ReplaceAll(pattern.String(), "%%", "%")
		if len(verb.ReplaceAllString(format, "")) > 20 && regexp.MustCompile("^"+whole+"$").MatchString(text) {
			return true
		}
	}
	return false
}

// sentencesOf returns the strings of a package below controllers/binding, each that is written in parts as a whole.
func sentencesOf(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(t), "controllers", "binding", folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no code of %s: %v", folder, err)
	}
	var all []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			expression, isExpression := node.(ast.Expr)
			if !isExpression {
				return true
			}
			text, whole := joined(expression)
			if whole {
				all = append(all, text)
			}
			return !whole
		})
	}
	return all
}

// joined returns the text of a string, or of strings that are added; false for any other expression.
func joined(expression ast.Expr) (string, bool) {
	switch part := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(part.Value)
		return text, part.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, whole := joined(part.X)
		right, also := joined(part.Y)
		return left + right, part.Op == token.ADD && whole && also
	default:
		return "", false
	}
}

// TestTargetPagesHaveNoOtherReasons wants every reason that the tables of a page name to be one of the API.
func TestTargetPagesHaveNoOtherReasons(t *testing.T) {
	_, known := reasons(t)
	named := regexp.MustCompile("`([A-Z][a-z]+(?:[A-Z]+[a-z]*)+)`")
	for _, of := range targets() {
		for line := range strings.SplitSeq(of.page(t), "\n") {
			if !strings.HasPrefix(line, "| ") {
				continue
			}
			for _, match := range named.FindAllStringSubmatch(line, -1) {
				if !known[match[1]] {
					t.Errorf("the page of %s has the reason %s, which is none of the API: %s", of.member, match[1], line)
				}
			}
		}
	}
}
