package binding_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/targets"
)

// boundWorld has a binding that was just applied.
func boundWorld(t *testing.T, devices ...any) *world {
	t.Helper()
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(devices...), newBinding("b", v1alpha1.RolloutRoll))
	if got := targets.Describe(w.passes("b"), v1alpha1.ConditionApplied); got != "True Applied" {
		t.Fatalf("Applied: got %s", got)
	}
	return w
}

func stopAgainst(w *world, manager string) *v1alpha1.NodeClassBinding {
	w.Helper()
	for round := range 3 {
		w.writeDevices(manager, []any{root})
		b := w.passes("b")
		if got := targets.Describe(b, v1alpha1.ConditionReady); got != "True Ready" {
			w.Fatalf("round %d: got %s, want the device written again", round+1, got)
		}
		if b.Status.Rival == nil || b.Status.Rival.Reverts != int32(round+1) || b.Status.Rival.Manager != manager {
			w.Fatalf("round %d: rival is %+v", round+1, b.Status.Rival)
		}
	}
	w.writeDevices(manager, []any{root})
	return w.passes("b")
}

func TestRivalIsNamedAndLeftAlone(t *testing.T) {
	cases := map[string]string{
		"argocd-controller":    "RespectIgnoreDifferences=true",
		"kustomize-controller": "kustomize.toolkit.fluxcd.io/ssa: IfNotPresent",
		"helm-controller":      "driftDetection.ignore",
		"terraform":            "make it leave spec.blockDeviceMappings of EC2NodeClass gpu alone",
	}
	for manager, remedy := range cases {
		t.Run(manager, func(t *testing.T) {
			w := boundWorld(t, root)
			b := stopAgainst(w, manager)
			if got := targets.Describe(b, v1alpha1.ConditionStalled); got != "True RivalWriter" {
				t.Fatalf("after three rounds: Stalled is %s", got)
			}
			message := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady).Message
			if !strings.HasPrefix(message, manager+" took back /dev/xvdb of EC2NodeClass gpu 4 times") || !strings.Contains(message, remedy) {
				t.Errorf("the message does not name %s and %q:\n%s", manager, remedy, message)
			}
			b = w.passes("b")
			if b.Status.Rival.Reverts != 4 {
				t.Errorf("looking again counted another revert: %d", b.Status.Rival.Reverts)
			}
			if diff := cmp.Diff([]any{root}, w.devices()); diff != "" {
				t.Errorf("stalled, and written all the same (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRivalIsForgotten(t *testing.T) {
	cases := map[string]struct {
		reason string
		then   func(w *world)
	}{
		"new snapshot": {
			reason: "it may have been the old snapshot that was not wanted",
			then:   func(w *world) { w.setSnapshot("snap-2", "40Gi") },
		},
		"new spec": {
			reason: "the person who edits the binding has read the message",
			then: func(w *world) {
				w.change(func(s *v1alpha1.NodeClassBindingSpec) { s.Target.EC2NodeClass.Device.VolumeSize = quantity("50Gi") })
			},
		},
		"the rival gave in": {
			reason: "the class is as planned again, whoever wrote it",
			then:   func(w *world) { w.writeDevices("terraform", []any{root, bound}) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := boundWorld(t, root)
			stopAgainst(w, "terraform")
			tc.then(w)
			b := w.passes("b")
			if got := targets.Describe(b, v1alpha1.ConditionReady); got != "True Ready" || b.Status.Rival != nil {
				t.Errorf("%s: Ready is %s, rival %+v", tc.reason, got, b.Status.Rival)
			}
		})
	}
}

func TestNoRival(t *testing.T) {
	cases := map[string]struct {
		reason string
		write  []any
	}{
		"another device edited": {
			reason: "other devices are none of Larder's business",
			write:  []any{volume("/dev/xvda", "16Gi"), bound},
		},
		"another device added, the list reordered": {
			reason: "order means nothing to Karpenter",
			write:  []any{bound, volume("/dev/xvdc", "1Gi"), root},
		},
		"the live list applied again": {
			reason: "kubectl apply of what is there changes the owner and nothing else",
			write:  []any{root, bound},
		},
		"a field of the device that is not the binding's": {
			reason: "encryption is the class's to say",
			write:  []any{root, volume(device, "40Gi", "snapshotID", "snap-1", "volumeType", "gp3", "throughput", int64(500), "encrypted", true, "kmsKeyID", "alias/data")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := boundWorld(t, root)
			w.writeDevices("kubectl-edit", tc.write)
			b := w.passes("b")
			if b.Status.Rival != nil || targets.Describe(b, v1alpha1.ConditionReady) != "True Ready" {
				t.Errorf("%s: Ready is %s, rival %+v", tc.reason, targets.Describe(b, v1alpha1.ConditionReady), b.Status.Rival)
			}
			if diff := cmp.Diff(tc.write, w.devices()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRevertCountsOnceWhileItCannotBeAnswered(t *testing.T) {
	w := boundWorld(t, root)
	w.change(newNodesOnly)
	w.passes("b")
	w.create(newClaim("n1", "gpu"))
	w.writeDevices("terraform", []any{root})
	for range 3 {
		b := w.passes("b")
		if b.Status.Rival == nil || b.Status.Rival.Reverts != 1 {
			t.Fatalf("rival is %+v, want one revert", b.Status.Rival)
		}
		if got := targets.Describe(b, v1alpha1.ConditionReady); got != "False NodesWouldBeReplaced" {
			t.Errorf("no node boots from the snapshot any more, and Ready is %s", got)
		}
	}
}

func TestRevertedDeviceIsTheNewOriginal(t *testing.T) {
	w := boundWorld(t, root, volume(device, "50Gi"))
	fromGit := volume(device, "80Gi", "kmsKeyID", "alias/git")
	w.writeDevices("kustomize-controller", []any{root, fromGit})
	w.passes("b")
	want := volume(device, "80Gi", "kmsKeyID", "alias/git", "snapshotID", "snap-1", "volumeType", "gp3", "throughput", int64(500))
	if diff := cmp.Diff([]any{root, want}, w.devices()); diff != "" {
		t.Errorf("what Git says now is what the class says (-want +got):\n%s", diff)
	}
	w.delete(newBinding("b", ""))
	w.passes("b")
	if diff := cmp.Diff([]any{root, fromGit}, w.devices()); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}
