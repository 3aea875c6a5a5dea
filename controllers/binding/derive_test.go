package binding_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
	"github.com/larder-dev/larder/test/targets"
)

func derivingBinding(name, derived string) *v1alpha1.NodeClassBinding {
	b := newBinding(name, v1alpha1.RolloutRoll)
	b.Spec.Target.EC2NodeClass.Derive = &v1alpha1.DerivedNodeClass{Name: derived}
	return b
}

// One binding may write a class while others derive from it; two may not write one class, whichever way.
func TestDerivedClassesAndOtherBindings(t *testing.T) {
	inPlace := func(name, class, device string) *v1alpha1.NodeClassBinding {
		b := newBinding(name, v1alpha1.RolloutRoll)
		b.Spec.Target.EC2NodeClass.Name, b.Spec.Target.EC2NodeClass.Device.Name = class, device
		return b
	}
	cases := map[string]struct {
		reason string
		second *v1alpha1.NodeClassBinding
		want   string
	}{
		"another derives from the same":         {"each has a class of its own", derivingBinding("second", "gpu-second"), "True Ready"},
		"another writes what it is made of":     {"the derived class takes over what is written there", inPlace("second", "gpu", "/dev/xvdc"), "True Ready"},
		"the same device of what it is made of": {"it is another class's device", inPlace("second", "gpu", device), "True Ready"},
		"another derives the same":              {"two would render one class", derivingBinding("second", "gpu-b"), "False DerivedClassExists"},
		"another writes the derived class":      {"what it writes would be rendered away", inPlace("second", "gpu-b", "/dev/xvdc"), "False DeviceClaimedByOtherBinding"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			class := newClass(root)
			class.Object["spec"].(map[string]any)["amiFamily"] = "Custom" // whose nodes may keep images on any device
			class.Object["spec"].(map[string]any)["amiSelectorTerms"] = []any{map[string]any{"id": "ami-0123456789abcdef0"}}
			w := newWorld(t, newSnapshot("snap-1", "40Gi"), class, derivingBinding("b", "gpu-b"), tc.second)
			if got := targets.Describe(w.passes("b"), v1alpha1.ConditionReady); got != "True Ready" {
				t.Fatalf("the first is %s", got)
			}
			if got := targets.Describe(w.passes("second"), v1alpha1.ConditionReady); got != tc.want {
				t.Errorf("%s: the second is %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestADerivedClassIsMadeAndDeleted(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), derivingBinding("b", "gpu-b"))
	if got := targets.Describe(w.passes("b"), v1alpha1.ConditionReady); got != "True Ready" {
		t.Fatalf("Ready is %s", got)
	}
	if diff := cmp.Diff([]any{root}, w.devices()); diff != "" {
		t.Errorf("the class it is made of was written (-want +got):\n%s", diff)
	}
	derived := w.get(classKind, "gpu-b")
	want := newClass(root, bound)
	if diff := cmp.Diff(want.Object["spec"], derived.Object["spec"]); diff != "" {
		t.Errorf("the derived class (-want +got):\n%s", diff)
	}
	if version := derived.GetResourceVersion(); w.passes("b") != nil && w.get(classKind, "gpu-b").GetResourceVersion() != version {
		t.Error("what is as it should be was written again")
	}
	w.delete(newBinding("b", ""))
	if b := w.passes("b"); b != nil {
		t.Errorf("the binding is still there: %+v", b.Status.Conditions)
	}
	if err := w.client.Get(t.Context(), client.ObjectKey{Name: "gpu-b"}, derived); err == nil {
		t.Error("the derived class is still there")
	}
}

// A class is announced to the bindings that derive from it, and to those that derive it.
func TestBindingsAreFoundByBothClasses(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), derivingBinding("b", "gpu-b"))
	for _, class := range []string{"gpu", "gpu-b"} {
		if got := binding.Requests(t.Context(), w.client, ec2nodeclass.Kind, class); len(got) != 1 || got[0].Name != "b" {
			t.Errorf("a change of %s asks for %v, want b", class, got)
		}
	}
}
