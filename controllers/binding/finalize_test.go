package binding_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/targets"
)

func TestDeletionRestores(t *testing.T) {
	former := volume(device, "50Gi", "volumeType", "io1", "iops", int64(4000), "encrypted", false, "futureField", "kept")
	cases := map[string]struct {
		reason string
		class  []any
		// meanwhile is what others do between the binding's last pass and its deletion.
		meanwhile func(w *world)
		want      []any
	}{
		"a device that was there": {
			reason: "its own fields come back",
			class:  []any{root, former},
			want:   []any{root, former},
		},
		"a device that was not there": {
			reason: "the others stay",
			class:  []any{root},
			want:   []any{root},
		},
		"a class without a list": {
			reason: "Karpenter's defaults hold again, since Larder wrote the list",
		},
		"a class without a list, whose root was edited since": {
			reason:    "the list is somebody's now, so the data device becomes what Karpenter would have made it",
			meanwhile: func(w *world) { w.writeDevices("kubectl-edit", []any{root, w.device()}) },
			want:      []any{root, volume(device, "20Gi", "volumeType", "gp3", "encrypted", true)},
		},
		"other devices edited since": {
			reason:    "they are left as they are now",
			class:     []any{root, former},
			meanwhile: func(w *world) { w.writeDevices("kubectl-edit", []any{volume("/dev/xvda", "9Gi"), w.device()}) },
			want:      []any{volume("/dev/xvda", "9Gi"), former},
		},
		"the device changed since": {
			reason: "it is theirs now",
			class:  []any{root, former},
			meanwhile: func(w *world) {
				w.writeDevices("kubectl-edit", []any{root, volume(device, "1Gi", "snapshotID", "snap-theirs")})
			},
			want: []any{root, volume(device, "1Gi", "snapshotID", "snap-theirs")},
		},
		"the device removed since": {
			reason:    "who removed it wants it gone",
			class:     []any{root, former},
			meanwhile: func(w *world) { w.writeDevices("kubectl-edit", []any{root}) },
			want:      []any{root},
		},
		"the status was lost": {
			reason: "the operator died between the write and the status: the class itself says what was written",
			class:  []any{root, former},
			meanwhile: func(w *world) {
				w.setSnapshot("snap-2", "40Gi")
				w.fail = func(verb string, _ any) error {
					if verb == "patch status" {
						return errTrouble
					}
					return nil
				}
				if _, err := w.pass("b"); !errors.Is(err, errTrouble) {
					w.Fatalf("got %v", err)
				}
				w.fail = nil
			},
			want: []any{root, former},
		},
		"a rate that Karpenter takes only beside a snapshot": {
			reason: "the class must stay valid",
			class:  []any{root, former},
			meanwhile: func(w *world) {
				edited := w.device()
				edited["ebs"].(map[string]any)["volumeInitializationRate"] = int64(200)
				w.writeDevices("kubectl-edit", []any{root, edited})
			},
			want: []any{root, former},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := boundWorld(t, tc.class...)
			if tc.meanwhile != nil {
				tc.meanwhile(w)
			}
			w.delete(newBinding("b", ""))
			if b := w.passes("b"); b != nil {
				t.Fatalf("%s: the binding is still there: %+v", tc.reason, b.Status.Conditions)
			}
			if diff := cmp.Diff(tc.want, w.devices()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			checkNoTrace(w)
		})
	}
}

// checkNoTrace looks for anything of Larder's on the class.
func checkNoTrace(w *world) {
	w.Helper()
	class := w.class()
	for _, name := range []string{v1alpha1.AnnotationOriginalDevice, v1alpha1.AnnotationAppliedSnapshots} {
		if record, found := class.GetAnnotations()[name]; found {
			w.Errorf("annotation %s is still there: %s", name, record)
		}
	}
	for _, entry := range class.GetManagedFields() {
		if entry.Manager == "larder" {
			w.Errorf("Larder still owns fields: %s", entry.FieldsV1)
		}
	}
}

func TestDeletionWithoutAClass(t *testing.T) {
	t.Run("class gone", func(t *testing.T) {
		w := boundWorld(t, root)
		w.delete(w.class())
		w.delete(newBinding("b", ""))
		if b := w.passes("b"); b != nil {
			t.Errorf("nothing is left to restore, and the binding stays: %+v", b.Status.Conditions)
		}
	})
	t.Run("Karpenter gone", func(t *testing.T) {
		w := boundWorld(t, root)
		w.fail = onClass("get", &meta.NoKindMatchError{GroupKind: classKind.GroupKind()})
		w.delete(newBinding("b", ""))
		if b := w.passes("b"); b != nil {
			t.Errorf("nothing is left to restore, and the binding stays: %+v", b.Status.Conditions)
		}
	})
}

func TestDeletionSparesNodes(t *testing.T) {
	w := boundWorld(t, root)
	w.change(newNodesOnly)
	w.create(newClaim("n1", "gpu"))
	w.delete(newBinding("b", ""))
	b := w.passes("b")
	if got := targets.Describe(b, v1alpha1.ConditionReady); got != "False NodesWouldBeReplaced" {
		t.Errorf("restoring would replace a node: Ready is %s", got)
	}
	if diff := cmp.Diff([]any{root, bound}, w.devices()); diff != "" {
		t.Errorf("the class was written (-want +got):\n%s", diff)
	}
	w.change(func(s *v1alpha1.NodeClassBindingSpec) { s.Rollout.Strategy = v1alpha1.RolloutRoll })
	if b := w.passes("b"); b != nil {
		t.Errorf("Roll consents, and the binding stays: %+v", b.Status.Conditions)
	}
	if diff := cmp.Diff([]any{root}, w.devices()); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}

func TestDeletionSaysWhyItWaits(t *testing.T) {
	denied := apierrors.NewForbidden(classResource, "gpu", errors.New("policy says no"))
	cases := map[string]struct {
		reason string
		fail   func(string, any) error
		want   string
	}{
		"denied":     {reason: "the restoration needs a person", fail: onClass("patch", denied), want: "True WriteDenied"},
		"unreadable": {reason: "what cannot be read cannot be restored", fail: onClass("get", denied), want: "True TargetUnreadable"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := boundWorld(t, root)
			w.fail = tc.fail
			w.delete(newBinding("b", ""))
			b := w.passes("b")
			if b == nil {
				t.Fatalf("%s, and the binding is gone", tc.reason)
			}
			if got := targets.Describe(b, v1alpha1.ConditionStalled); got != tc.want {
				t.Errorf("%s: Stalled is %s, want %s", tc.reason, got, tc.want)
			}
			w.fail = nil
			if b := w.passes("b"); b != nil {
				t.Errorf("%s: allowed again, and the binding stays", tc.reason)
			}
		})
	}
}

func TestDeletionTakesUpWhereItWasInterrupted(t *testing.T) {
	w := boundWorld(t, root)
	patches := 0
	w.fail = func(verb string, object any) error {
		if onClass("patch", errTrouble)(verb, object) == nil {
			return nil
		}
		patches++
		if patches == 2 { // the first restores, the second gives the ownership up
			return errTrouble
		}
		return nil
	}
	w.delete(newBinding("b", ""))
	if _, err := w.pass("b"); !errors.Is(err, errTrouble) {
		t.Fatalf("got %v, want %v", err, errTrouble)
	}
	if b := w.passes("b"); b != nil {
		t.Errorf("the binding is still there: %+v", b.Status.Conditions)
	}
	checkNoTrace(w)
}

func TestTwoBindingsOnOneClass(t *testing.T) {
	second := newBinding("second", v1alpha1.RolloutRoll)
	second.Spec.Target.EC2NodeClass.Device.Name = "/dev/xvdc"
	for name, order := range map[string][]string{"first goes first": {"b", "second"}, "second goes first": {"second", "b"}} {
		t.Run(name, func(t *testing.T) {
			w := boundWorld(t)
			w.create(second.DeepCopy())
			w.passes("second")
			for _, gone := range order {
				w.delete(newBinding(gone, ""))
				if b := w.passes(gone); b != nil {
					t.Fatalf("%s is still there: %+v", gone, b.Status.Conditions)
				}
			}
			if devices := w.devices(); len(devices) != 0 {
				t.Errorf("the class had no list, and has %v", devices)
			}
			checkNoTrace(w)
		})
	}
}
