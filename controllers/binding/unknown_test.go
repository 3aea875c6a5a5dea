package binding_test

import (
	"testing"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// newStranger is a binding of a target that this Larder was built without.
func newStranger(name string) *v1alpha1.NodeClassBinding {
	b := newBinding(name, v1alpha1.RolloutRoll)
	b.Spec.Target = v1alpha1.Target{ECSService: &v1alpha1.ECSServiceTarget{Cluster: "prod", Service: "web", VolumeName: "models"}}
	return b
}

func TestATargetOfAnUnknownKind(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newStranger("a"), newStranger("b"))
	for _, name := range []string{"a", "b"} { // neither holds what the other wants, as far as anybody can tell
		b := w.passes(name)
		expect(t, name, b, map[string]string{"Ready": "False UnsupportedTarget", "Stalled": "True UnsupportedTarget",
			"PreflightPassed": "False UnsupportedTarget", "Applied": "Unknown UnsupportedTarget"})
		expectSays(t, b, "this Larder does not know the kind of spec.target: run the version that the CustomResourceDefinitions came with")
		if w.next != 10*time.Minute {
			t.Errorf("%s: looks again after %s", name, w.next)
		}
	}
	w.delete(newStranger("b"))
	b := w.passes("b")
	if b == nil {
		t.Fatal("the binding went, and nobody gave its target back")
	}
	expect(t, "a deletion waits for a Larder that can restore it", b, map[string]string{"Stalled": "True UnsupportedTarget"})
	w.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
	if b := w.passes("b"); b != nil {
		t.Errorf("it waits though it leaves its target as it is: %+v", b.Status)
	}
}

func TestTargetsAreAskedInTurn(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.reconciler.Targets = binding.Targets{elsewhere{}, s}
	expect(t, "the second knows it", s.passes("b"), map[string]string{"Ready": "True Ready"})
}

func TestWhatASnapshotServes(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.reconciler.Targets = binding.Targets{tasks{s}}
	expectSays(t, s.passes("b"), "new tasks have volumes of snap-1")
	s.wanted = "snap-2"
	s.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Paused = true })
	expectSays(t, s.passes("b"), "new tasks have volumes of snap-1 until then")
}

// tasks is a stage whose subject has words of its own.
type tasks struct{ *stage }

func (t tasks) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	subject, its := t.stage.Subject(b)
	subject.Serves = "new tasks have volumes of"
	return subject, its
}

// elsewhere is a target of another kind, which nobody may ask for anything else.
type elsewhere struct{ binding.Target }

func (elsewhere) Subject(*v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	return binding.Subject{}, false
}
