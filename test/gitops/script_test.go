package gitops_test

import (
	"os"
	"path/filepath"
	"testing"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/larder-dev/larder/test/controlplane"
)

// health is what a script returns.
type health struct{ Status, Message string }

// script returns the path and the text of a kind's health check.
func script(t testing.TB, kind string) (string, string) {
	t.Helper()
	path := filepath.Join(root(t), "config", "argocd", "larder.dev", kind, "health.lua")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(text)
}

func root(t testing.TB) string {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// read takes an object through JSON, as an API server would send it, and runs its kind's health check on it.
func read(t testing.TB, kind string, object any) health {
	t.Helper()
	sent, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	_, text := script(t, kind)
	result, err := run(text, decode(t, sent))
	if err != nil {
		t.Fatalf("the health check of %s fails on %s: %v", kind, sent, err)
	}
	return result
}

func decode(t testing.TB, sent []byte) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(sent, &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

// run does what Argo CD 3 does with a check that is configured in argocd-cm (its util/lua/lua.go): the object is the
// global obj, and of the libraries there are base, package and table. Its harmless part of os is left out.
func run(text string, object *unstructured.Unstructured) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, library := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(library), Protect: true}, lua.LString(name)); err != nil {
			return health{}, err
		}
	}
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(text); err != nil {
		return health{}, err
	}
	var result health
	if table, ok := state.Get(-1).(*lua.LTable); ok {
		result.Status, result.Message = lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message"))
	}
	return result, nil
}

func value(state *lua.LState, from any) lua.LValue {
	switch from := from.(type) {
	case bool:
		return lua.LBool(from)
	case string:
		return lua.LString(from)
	case int64:
		return lua.LNumber(from)
	case float64:
		return lua.LNumber(from)
	case []any:
		table := state.NewTable()
		for _, item := range from {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range from {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
