package ec2nodeclass

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

var (
	stored = binding.Snapshot{ID: "snap-1", Format: v1alpha1.FormatBottlerocket, SizeGiB: 40, Platforms: []string{"linux/amd64", "linux/arm64"}}
	staged = binding.Snapshot{ID: "snap-2", Format: v1alpha1.FormatBottlerocket, SizeGiB: 60, Platforms: []string{"linux/amd64", "linux/arm64"}}
)

func derivingBinding(device v1alpha1.Device) *v1alpha1.NodeClassBinding {
	b := bindingWith(device)
	b.UID = "uid-b"
	b.Spec.Target.EC2NodeClass.Derive = &v1alpha1.DerivedNodeClass{Name: "gpu-larder"}
	return b
}

// derivedBy returns the class as the API server keeps it once the write is made.
func derivedBy(t *testing.T, planned binding.Write) *unstructured.Unstructured {
	t.Helper()
	w, ok := planned.(*write)
	if !ok || w.verb != render {
		t.Fatalf("planned %+v, want a derived class", planned)
	}
	labels, annotations, err := w.mark.metadata()
	if err != nil {
		t.Fatal(err)
	}
	class := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"labels": labels, "annotations": annotations}, "spec": runtime.DeepCopyJSON(w.spec),
	}}
	class.SetName(w.class.GetName())
	class.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: fieldManager, FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:role":{}}}`)}})
	return class
}

func specAfter(planned binding.Write) map[string]any {
	if planned == nil {
		return nil
	}
	return planned.(*write).spec
}

func withDevice(class *unstructured.Unstructured, ebs mapping) map[string]any {
	spec := runtime.DeepCopyJSON(specOf(class))
	spec["blockDeviceMappings"] = replace(completeDevices(class), dataDevice, entry(dataDevice, ebs))
	return spec
}

func TestDeriveChangesNothingButTheDevice(t *testing.T) {
	base := bottlerocket(rootVolume, entry(dataDevice, mapping{"volumeSize": "50Gi", "encrypted": false, "futureField": "kept"}))
	base.Object["spec"].(map[string]any)["fieldOfTheFuture"] = map[string]any{"kept": []any{int64(1), "two"}}
	plan := (&observation{class: base}).Plan(derivingBinding(v1alpha1.Device{IOPS: number(6000)}), stored, time.Now())
	if plan.Problem != nil || plan.Upkeep != nil {
		t.Fatalf("got problem %v and upkeep %v", plan.Problem, plan.Upkeep)
	}
	want := withDevice(base, mapping{"snapshotID": "snap-1", "volumeSize": "50Gi", "encrypted": false, "futureField": "kept",
		"volumeType": "gp3", "iops": int64(6000), "throughput": int64(500)})
	if diff := cmp.Diff(want, specAfter(plan.Write)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	derived := derivedBy(t, plan.Write)
	plan = (&observation{class: base, derived: derived}).Plan(derivingBinding(v1alpha1.Device{IOPS: number(6000)}), stored, time.Now())
	if plan.Write != nil || plan.Upkeep != nil || plan.Problem != nil || plan.InPlace != "snap-1" || plan.TakenBackBy != "" {
		t.Errorf("what was written is planned again: %+v", plan)
	}
}

// A derived class is written in two ways: Write has all that is new, Upkeep only what others changed.
func TestDeriveKeepsUp(t *testing.T) {
	own := mapping{"volumeSize": "50Gi", "encrypted": false}
	asWritten := mapping{"volumeSize": "50Gi", "encrypted": false, "snapshotID": "snap-1", "volumeType": "gp3", "throughput": int64(500)}
	renewed := mapping{"volumeSize": "60Gi", "encrypted": false, "snapshotID": "snap-2", "volumeType": "gp3", "throughput": int64(500)}
	with := func(of mapping, more mapping) mapping {
		next := runtime.DeepCopyJSON(of)
		for field, value := range more {
			next[field] = value
		}
		return next
	}
	setRole := func(class *unstructured.Unstructured) { specOf(class)["role"] = "other" }
	setOwn := func(ebs mapping) func(*unstructured.Unstructured) {
		return func(class *unstructured.Unstructured) {
			specOf(class)["blockDeviceMappings"] = []any{rootVolume, entry(dataDevice, ebs)}
		}
	}
	cases := map[string]struct {
		reason        string
		edit, tamper  func(class *unstructured.Unstructured)
		device        v1alpha1.Device
		snapshot      binding.Snapshot
		write, upkeep mapping // the device; nil for nothing to write
		takenBackBy   string
	}{
		"renewal":           {reason: "the class is as it was, so nothing is to be kept up", snapshot: staged, write: renewed},
		"class edited":      {reason: "nothing of it has to wait for the rollout", edit: setRole, snapshot: stored, upkeep: asWritten},
		"edited and staged": {reason: "the new snapshot does not ride along with the edit", edit: setRole, snapshot: staged, write: renewed, upkeep: asWritten},
		"edited, snapshot not usable": {reason: "an edit arrives whatever becomes of the snapshot", edit: setRole,
			upkeep: asWritten},
		"edited, snapshot unfit": {reason: "the same", edit: setRole, snapshot: binding.Snapshot{ID: "snap-2", Format: v1alpha1.FormatFiles},
			upkeep: asWritten},
		"binding edited": {reason: "the binding's own change waits for the rollout", device: v1alpha1.Device{IOPS: number(6000)}, snapshot: stored,
			write: with(asWritten, mapping{"iops": int64(6000)})},
		"both edited": {reason: "and does not ride along either", edit: setRole, device: v1alpha1.Device{IOPS: number(6000)}, snapshot: stored,
			write: with(asWritten, mapping{"iops": int64(6000)}), upkeep: asWritten},
		"encryption edited": {reason: "what a binding does not decide of the device is the class's", snapshot: staged,
			edit:  setOwn(with(own, mapping{"encrypted": true})),
			write: with(renewed, mapping{"encrypted": true}), upkeep: with(asWritten, mapping{"encrypted": true})},
		"size edited, staged": {reason: "the volume stays large enough for the snapshot in place, whose size is not known any more",
			edit: setOwn(with(own, mapping{"volumeSize": "30Gi"})), snapshot: staged, write: renewed, upkeep: nil},
		"size raised, staged": {reason: "the owner's change of the device replaces every node anyway", edit: setOwn(with(own, mapping{"volumeSize": "80Gi"})),
			snapshot: staged, write: with(renewed, mapping{"volumeSize": "80Gi"}), upkeep: with(asWritten, mapping{"volumeSize": "80Gi"})},
		"derived class edited": {reason: "an edit there is a revert", tamper: setRole, snapshot: stored, write: asWritten,
			takenBackBy: "kubectl-edit"},
		"derived device edited, staged": {reason: "taking it back can replace nodes, so it waits for the rollout", tamper: setOwn(mapping{"volumeSize": "20Gi"}),
			snapshot: staged, write: renewed, takenBackBy: "kubectl-edit"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			base := bottlerocket(rootVolume, entry(dataDevice, own))
			specOf(base)["role"] = "nodes"
			derived := derivedBy(t, (&observation{class: base}).Plan(derivingBinding(v1alpha1.Device{}), stored, time.Now()).Write)
			if tc.edit != nil {
				tc.edit(base)
			}
			if tc.tamper != nil {
				tc.tamper(derived)
				derived.SetManagedFields(append(derived.GetManagedFields(), metav1.ManagedFieldsEntry{Manager: "kubectl-edit",
					FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:role":{}}}`)}))
			}
			plan := (&observation{class: base, derived: derived}).Plan(derivingBinding(tc.device), tc.snapshot, time.Now())
			for what, change := range map[string]struct {
				device mapping
				got    binding.Write
			}{"Write": {tc.write, plan.Write}, "Upkeep": {tc.upkeep, plan.Upkeep}} {
				var want map[string]any
				if change.device != nil {
					want = withDevice(base, change.device)
				}
				if diff := cmp.Diff(want, specAfter(change.got)); diff != "" {
					t.Errorf("%s: %s (-want +got):\n%s", what, tc.reason, diff)
				}
			}
			if plan.TakenBackBy != tc.takenBackBy {
				t.Errorf("%s: taken back by %q, want %q", tc.reason, plan.TakenBackBy, tc.takenBackBy)
			}
		})
	}
}

func TestDeriveWithoutItsNote(t *testing.T) {
	base := bottlerocket(rootVolume)
	derived := derivedBy(t, (&observation{class: base}).Plan(derivingBinding(v1alpha1.Device{}), stored, time.Now()).Write)
	derived.SetAnnotations(map[string]string{v1alpha1.AnnotationRendered: "{"})
	specOf(base)["role"] = "other"
	plan := (&observation{class: base, derived: derived}).Plan(derivingBinding(v1alpha1.Device{}), staged, time.Now())
	if plan.TakenBackBy != "" {
		t.Errorf("taken back by %q, and nothing is known of who wrote what", plan.TakenBackBy)
	}
	if got := snapshotOf(find(specAfter(plan.Upkeep)["blockDeviceMappings"].([]any), dataDevice)); got != "snap-1" {
		t.Errorf("the upkeep has %q, want the snapshot that is in place", got)
	}
}

func TestDeriveProblems(t *testing.T) {
	now := metav1.Now()
	class := func(labels map[string]string) *unstructured.Unstructured {
		class := bottlerocket(rootVolume)
		class.SetName("gpu-larder")
		class.SetLabels(labels)
		return class
	}
	going := class(map[string]string{v1alpha1.LabelBinding: "uid-b"})
	going.SetDeletionTimestamp(&now)
	cases := map[string]struct {
		reason  string
		derived *unstructured.Unstructured
		want    string
		stalled bool
		says    string
	}{
		"somebody's own": {"nobody agreed to have it replaced", class(nil), v1alpha1.ReasonDerivedClassExists, true, "delete it if nothing needs it"},
		"another binding's": {"it would be written by two", class(map[string]string{v1alpha1.LabelBinding: "uid-other"}), v1alpha1.ReasonDerivedClassExists, true,
			"another name in spec.target.ec2NodeClass.derive"},
		"being deleted": {"Karpenter launches nothing of it any more", going, v1alpha1.ReasonTargetMissing, false, "is made from gpu again when it is gone"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := &observation{class: bottlerocket(rootVolume), derived: tc.derived}
			for what, plan := range map[string]binding.Plan{
				"Plan":        o.Plan(derivingBinding(v1alpha1.Device{}), stored, time.Now()),
				"PlanWithout": o.PlanWithout(derivingBinding(v1alpha1.Device{}), time.Now()),
			} {
				if plan.Problem == nil || plan.Problem.Reason != tc.want || plan.Problem.Stalled != tc.stalled || plan.Write != nil || plan.Upkeep != nil {
					t.Fatalf("%s: %s: got %+v, want %s and nothing written", what, tc.reason, plan, tc.want)
				}
				if !strings.Contains(plan.Problem.Message, tc.says) {
					t.Errorf("%s: %s: the message does not say %q:\n%s", what, tc.reason, tc.says, plan.Problem.Message)
				}
			}
			if plan := o.PlanEnd(derivingBinding(v1alpha1.Device{}), time.Now()); plan.Write != nil || plan.Problem != nil {
				t.Errorf("PlanEnd: %s: got %+v, want the class left alone and the binding free to go", tc.reason, plan)
			}
		})
	}
}

// A class whose devices cannot carry one more is not kept up either: its copy would lose its root device.
func TestDeriveFromAClassThatCannotCarryTheDevice(t *testing.T) {
	cases := map[string]struct {
		reason  string
		devices []any
	}{
		"no list":        {"the family's root device is not known", nil},
		"doubled":        {"which of the two is the device is not known", []any{rootVolume, entry(dataDevice, mapping{}), entry(dataDevice, mapping{})}},
		"instance store": {"no snapshot fills it", []any{rootVolume, mapping{"deviceName": dataDevice}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			base := classWith(map[string]any{"amiFamily": "Custom", "blockDeviceMappings": []any{rootVolume}})
			derived := derivedBy(t, (&observation{class: base}).Plan(derivingBinding(v1alpha1.Device{}), stored, time.Now()).Write)
			if delete(specOf(base), "blockDeviceMappings"); tc.devices != nil {
				specOf(base)["blockDeviceMappings"] = tc.devices
			}
			plan := (&observation{class: base, derived: derived}).Plan(derivingBinding(v1alpha1.Device{}), stored, time.Now())
			if plan.Problem == nil || plan.Write != nil || plan.Upkeep != nil {
				t.Errorf("%s: got %+v, want a problem and nothing written", tc.reason, plan)
			}
		})
	}
}

func TestDeriveWithoutASnapshot(t *testing.T) {
	base := bottlerocket(rootVolume)
	b := derivingBinding(v1alpha1.Device{})
	derived := derivedBy(t, (&observation{class: base}).Plan(b, stored, time.Now()).Write)
	plan := (&observation{class: base, derived: derived}).PlanWithout(b, time.Now())
	if diff := cmp.Diff(specOf(base), specAfter(plan.Write)); diff != "" {
		t.Fatalf("the class's own spec (-want +got):\n%s", diff)
	}
	derived = derivedBy(t, plan.Write)
	o := &observation{class: base, derived: derived}
	if plan := o.PlanWithout(b, time.Now()); plan.Write != nil || plan.InPlace != "" {
		t.Errorf("planned again: %+v", plan)
	}
	specOf(base)["role"] = "other"
	plan = o.Plan(b, staged, time.Now())
	if diff := cmp.Diff(specOf(base), specAfter(plan.Upkeep)); diff != "" {
		t.Errorf("the upkeep of a class without a snapshot (-want +got):\n%s", diff)
	}
	without := o.PlanWithout(b, time.Now())
	if diff := cmp.Diff(specOf(base), specAfter(without.Upkeep)); diff != "" || without.Write != nil {
		t.Errorf("an edit is kept up, and nothing of it waits: %+v (-want +got):\n%s", without.Write, diff)
	}
	if got := snapshotOf(find(specAfter(plan.Write)["blockDeviceMappings"].([]any), dataDevice)); got != "snap-2" {
		t.Errorf("the next snapshot that fits is written as any other, got %q", got)
	}
}

func TestDeriveEnds(t *testing.T) {
	base := bottlerocket(rootVolume)
	derived := derivedBy(t, (&observation{class: base}).Plan(derivingBinding(v1alpha1.Device{}), stored, time.Now()).Write)
	cases := map[string]struct {
		reason string
		o      observation
		policy v1alpha1.BindingDeletionPolicy
		verb   verb
		says   string // why it waits; empty when it does not
	}{
		"unused":          {"it was Larder's", observation{class: base, derived: derived}, v1alpha1.BindingDeletionRestore, remove, ""},
		"class gone":      {"the same without the class it was made from", observation{problem: classMissing("gpu"), derived: derived}, v1alpha1.BindingDeletionRestore, remove, ""},
		"a pool names it": {"the pool could launch nothing", observation{class: base, derived: derived, fleet: usedBy(derived, []string{"a", "b"}, 0)}, v1alpha1.BindingDeletionRestore, 0, "(a, b): point spec.template.spec.nodeClassRef.name of each elsewhere, for instance to gpu"},
		"many pools":      {"a message has an end", observation{class: base, derived: derived, fleet: usedBy(derived, strings.Split("abcdefg", ""), 0)}, v1alpha1.BindingDeletionRestore, 0, "(a, b, c, d, e and 2 more)"},
		"a NodeClaim is left": {"Karpenter still needs the class to end the node", observation{class: base, derived: derived, fleet: usedBy(derived, nil, 2)}, v1alpha1.BindingDeletionRestore, 0,
			"when its last NodeClaim is gone, and 2 are left"},
		"left": {"whoever uses it keeps it", observation{class: base, derived: derived, fleet: usedBy(derived, []string{"a"}, 2)}, v1alpha1.BindingDeletionLeave, release, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := derivingBinding(v1alpha1.Device{})
			b.Spec.DeletionPolicy = tc.policy
			plan := tc.o.PlanEnd(b, time.Now())
			if len(plan.Pools) > 0 {
				t.Errorf("%s: no node is replaced, and the plan counts %v", tc.reason, plan.Pools)
			}
			if tc.says == "" {
				if plan.Problem != nil || plan.Write == nil || plan.Write.(*write).verb != tc.verb {
					t.Errorf("%s: got %+v, want verb %d", tc.reason, plan, tc.verb)
				}
				return
			}
			if p := plan.Problem; p == nil || p.Reason != v1alpha1.ReasonDerivedClassInUse || p.Stalled || p.RetryAfter == 0 || plan.Write != nil {
				t.Fatalf("%s: got %+v, want it to wait", tc.reason, plan)
			}
			if !strings.Contains(plan.Problem.Message, tc.says) {
				t.Errorf("%s: the message does not say %q:\n%s", tc.reason, tc.says, plan.Problem.Message)
			}
		})
	}
}

// usedBy is what Karpenter runs of a class: NodePools of these names, and NodeClaims.
func usedBy(class *unstructured.Unstructured, pools []string, claims int) fleet.Fleet {
	ref := map[string]any{"group": classKind.Group, "kind": classKind.Kind, "name": class.GetName()}
	var running, launching []unstructured.Unstructured
	for range claims {
		running = append(running, unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"nodeClassRef": ref}}})
	}
	for _, name := range pools {
		launching = append(launching, unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": name},
			"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{"nodeClassRef": ref}}},
		}})
	}
	return fleet.Of(class.GetName(), class, running, launching)
}
