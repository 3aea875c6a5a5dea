package binding_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/targets"
)

// applyDevices has somebody else write the list by server-side apply, with force.
func (w *world) applyDevices(manager string, devices []any) {
	w.Helper()
	class := client.ApplyConfigurationFromUnstructured(newClass(devices...))
	if err := w.client.Apply(context.Background(), class, client.FieldOwner(manager), client.ForceOwnership); err != nil {
		w.Fatal(err)
	}
}

// writers are the two ways to write, which leave different traces in a class's managedFields.
var writers = map[string]func(w *world, manager string, devices []any){"Update": (*world).writeDevices, "Apply": (*world).applyDevices}

// countWrites counts what Larder writes to the class.
func (w *world) countWrites() *int {
	writes := 0
	w.lose = func(verb string, object any) error {
		if onClass(verb, errTrouble)(verb, object) != nil && (verb == "apply" || verb == "patch") {
			writes++
		}
		return nil
	}
	return &writes
}

// TestFight has a writer revert the device every second, for five minutes, and Larder look as often.
func TestFight(t *testing.T) {
	for kind, write := range writers {
		for _, manager := range []string{"argocd-controller", "kustomize-controller", "terraform"} {
			t.Run(manager+" by "+kind, func(t *testing.T) {
				w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("b", v1alpha1.RolloutRoll))
				writes := w.countWrites()
				b := w.passes("b")
				for range int(5 * time.Minute / time.Second) {
					w.wait(time.Second)
					write(w, manager, []any{root})
					b, _ = w.passNow("b")
				}
				if *writes < 2 || *writes > 10 {
					t.Errorf("Larder wrote %d times, want a few rounds and then peace", *writes)
				}
				expect(t, "then it stops", b, map[string]string{"Ready": "False RivalWriter", "Stalled": "True RivalWriter"})
				if b.Status.Rival == nil || b.Status.Rival.Manager != manager || b.Status.Pending == nil || b.Status.Pending.Why != "RivalWriter" {
					t.Errorf("rival %+v, pending %+v", b.Status.Rival, b.Status.Pending)
				}
				expectSays(t, b, manager+" took back /dev/xvdb of EC2NodeClass gpu 4 times",
					"see https://github.com/larder-dev/larder/blob/main/docs/gitops.md", "larder.dev/apply-now=")
			})
		}
	}
}

// TestPeace has a writer apply the live list every second, with force: Argo CD with RespectIgnoreDifferences.
func TestPeace(t *testing.T) {
	for kind, write := range writers {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("b", v1alpha1.RolloutRoll))
			writes := w.countWrites()
			w.passes("b")
			for second := range int(5 * time.Minute / time.Second) {
				w.wait(time.Second)
				write(w, "argocd-controller", w.devices())
				if second == 100 {
					w.setSnapshot("snap-2", "40Gi")
				}
				b, err := w.passNow("b")
				if err != nil || b.Status.Rival != nil || targets.Describe(b, "Ready") != "True Ready" {
					t.Fatalf("second %d: Ready is %s, rival %+v, error %v", second, targets.Describe(b, "Ready"), b.Status.Rival, err)
				}
			}
			if *writes != 2 {
				t.Errorf("Larder wrote %d times, want one for each snapshot", *writes)
			}
			want := volume(device, "40Gi", "snapshotID", "snap-2", "volumeType", "gp3", "throughput", int64(500), "encrypted", true)
			if diff := cmp.Diff([]any{root, want}, w.devices()); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFightOverWhatWasBroughtBack holds that a device which names an earlier snapshot is not fought for either.
func TestFightOverWhatWasBroughtBack(t *testing.T) {
	s := provenThenBad(t, v1alpha1.RolloutRoll)
	s.passes("b")
	s.heal()
	s.plan.TakenBackBy, s.plan.Remedy = "terraform", "stop it"
	before := len(s.writes)
	var b *v1alpha1.NodeClassBinding
	for range 300 {
		s.wait(time.Second)
		s.inPlace = ""
		b = s.look()
	}
	if writes := len(s.writes) - before; writes != 3 {
		t.Errorf("Larder wrote %d times, want three rounds", writes)
	}
	expect(t, "then it stops", b, map[string]string{"Stalled": "True RivalWriter"})
}

func TestRecreatedTargetIsNoRevert(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	s.passes("b")
	s.plan.TakenBackBy, s.plan.Recreated, s.inPlace = "kubectl", true, ""
	b := s.passes("b")
	s.expectWrites("it is written like a new one", "snap-1", "snap-1")
	if b.Status.Rival != nil {
		t.Errorf("who makes a class anew took nothing back: %+v", b.Status.Rival)
	}
	if !b.Status.AppliedTime.Time.Equal(s.clock.Now().Truncate(time.Second)) {
		t.Errorf("appliedTime is %v, so it would count as made anew for ever, and %v is now", b.Status.AppliedTime, s.clock.Now())
	}
	expect(t, "its nodes are yet to come", b, map[string]string{"Ready": "True Ready"})
	s.plan.Recreated, s.inPlace = false, ""
	if b = s.passes("b"); b.Status.Rival == nil || b.Status.Rival.Reverts != 1 {
		t.Errorf("a revert of the new one counts: %+v", b.Status.Rival)
	}
}

// TestRivalIsAskedAgain holds that apply-now begins the rounds anew.
func TestRivalIsAskedAgain(t *testing.T) {
	w := boundWorld(t, root)
	b := stopAgainst(w, "terraform")
	message := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionReady).Message
	if !strings.Contains(message, "have Larder write it again: kubectl annotate --overwrite nodeclassbinding b") {
		t.Errorf("the message does not say how to go on:\n%s", message)
	}
	asking := &v1alpha1.NodeClassBinding{}
	if err := w.client.Get(t.Context(), client.ObjectKey{Name: "b"}, asking); err != nil {
		t.Fatal(err)
	}
	asking.Annotations = map[string]string{v1alpha1.AnnotationApplyNow: "now"}
	if err := w.client.Update(t.Context(), asking); err != nil {
		t.Fatal(err)
	}
	if b := w.passes("b"); targets.Describe(b, "Ready") != "True Ready" || b.Status.Rival != nil {
		t.Errorf("Ready is %s, rival %+v", targets.Describe(b, "Ready"), b.Status.Rival)
	}
	stopAgainst(w, "terraform")
}
