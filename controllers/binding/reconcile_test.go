package binding_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/targets"
)

var (
	root = volume("/dev/xvda", "8Gi", "kmsKeyID", "alias/root")
	// bound is what a class without the device gets.
	bound = volume(device, "40Gi", "snapshotID", "snap-1", "volumeType", "gp3", "throughput", int64(500), "encrypted", true)
)

// TestSituations goes through the states that design and API know, one pass each unless prepare makes some itself.
func TestSituations(t *testing.T) {
	cases := map[string]struct {
		reason  string
		prepare func(w *world)
		// ready and the others are "Status Reason"; says is part of Ready's message.
		ready, reconciling, stalled string
		available, passed, applied  string
		says                        string
	}{
		"applied": {
			reason:  "everything is there, so it is written in one pass",
			prepare: func(w *world) { w.create(newSnapshot("snap-1", "40Gi")); w.create(newClass(root)) },
			ready:   "True Ready", reconciling: "absent", stalled: "absent",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "True Applied",
			says: "new nodes boot with snap-1",
		},
		"snapshot missing": {
			reason:  "Git may apply the snapshot after the binding",
			prepare: func(w *world) { w.create(newClass(root)) },
			ready:   "False SnapshotMissing", reconciling: "True SnapshotMissing", stalled: "absent",
			available: "False SnapshotMissing", passed: "Unknown SnapshotMissing", applied: "Unknown SnapshotMissing",
			says: "ImageCacheSnapshot inference does not exist: create it",
		},
		"snapshot not ready": {
			reason:  "the first build takes minutes",
			prepare: func(w *world) { w.create(newSnapshot("", "")); w.create(newClass(root)) },
			ready:   "False SnapshotNotReady", reconciling: "True SnapshotNotReady", stalled: "absent",
			available: "False SnapshotNotReady", passed: "Unknown SnapshotNotReady", applied: "Unknown SnapshotNotReady",
			says: "no completed snapshot yet",
		},
		"snapshot being deleted": {
			reason: "EBS will soon not know it, so no class may be made to name it",
			prepare: func(w *world) {
				s := newSnapshot("snap-1", "40Gi")
				s.Finalizers = []string{"larder.dev/snapshot"}
				w.create(s)
				w.delete(s)
				w.create(newClass(root))
			},
			ready: "False SnapshotNotReady", reconciling: "True SnapshotNotReady", stalled: "absent",
			available: "False SnapshotNotReady", passed: "Unknown SnapshotNotReady", applied: "Unknown SnapshotNotReady",
			says: "is being deleted, and waits for this binding",
		},
		"class missing": {
			reason:  "the class may come later too",
			prepare: func(w *world) { w.create(newSnapshot("snap-1", "40Gi")) },
			ready:   "False TargetMissing", reconciling: "True TargetMissing", stalled: "absent",
			available: "True SnapshotCompleted", passed: "False TargetMissing", applied: "Unknown TargetMissing",
			says: "EC2NodeClass gpu does not exist",
		},
		"no Karpenter": {
			reason: "the operator runs without Karpenter and says what is missing",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.fail = onClass("get", &meta.NoKindMatchError{GroupKind: classKind.GroupKind()})
			},
			ready: "False TargetKindMissing", reconciling: "True TargetKindMissing", stalled: "absent",
			available: "True SnapshotCompleted", passed: "False TargetKindMissing", applied: "Unknown TargetKindMissing",
			says: "install Karpenter",
		},
		"class unreadable": {
			reason: "a role that lacks a verb is for a person to mend",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.fail = onClass("get", apierrors.NewForbidden(classResource, "gpu", errors.New("no")))
			},
			ready: "False TargetUnreadable", reconciling: "absent", stalled: "True TargetUnreadable",
			available: "True SnapshotCompleted", passed: "False TargetUnreadable", applied: "Unknown TargetUnreadable",
			says: "extend its role",
		},
		"device twice": {
			reason:  "EC2 would refuse the launch, and which of the two to write is not for Larder to guess",
			prepare: func(w *world) { w.create(newClass(root, volume(device, "1Gi"), volume(device, "2Gi"))) },
			ready:   "False DeviceDuplicated", reconciling: "absent", stalled: "True DeviceDuplicated",
			available: "False SnapshotMissing", passed: "False DeviceDuplicated", applied: "Unknown DeviceDuplicated",
			says: "lists /dev/xvdb 2 times",
		},
		"size below the snapshot's": {
			reason: "EC2 makes no volume smaller than its snapshot",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.change(func(s *v1alpha1.NodeClassBindingSpec) { s.Target.EC2NodeClass.Device.VolumeSize = quantity("39Gi") })
			},
			ready: "False VolumeSizeTooSmall", reconciling: "absent", stalled: "True VolumeSizeTooSmall",
			available: "True SnapshotCompleted", passed: "False VolumeSizeTooSmall", applied: "Unknown VolumeSizeTooSmall",
			says: "raise it to 40Gi or more",
		},
		"device of another binding": {
			reason: "the older one wins, and the other names it",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.create(newBinding("a", v1alpha1.RolloutRoll)) // of the same second, so the name decides
			},
			ready: "False DeviceClaimedByOtherBinding", reconciling: "absent", stalled: "True DeviceClaimedByOtherBinding",
			available: "True SnapshotCompleted", passed: "False DeviceClaimedByOtherBinding", applied: "Unknown DeviceClaimedByOtherBinding",
			says: "NodeClassBinding a is older and holds /dev/xvdb",
		},
		"staged, never applied": {
			reason: "no node boots from anything yet, and a rollout that waits for Ready must wait",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.create(newClaim("n1", "gpu"))
				w.create(newClaim("n2", "other"))
				w.change(newNodesOnly)
			},
			ready: "False NodesWouldBeReplaced", reconciling: "True NodesWouldBeReplaced", stalled: "absent",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False NodesWouldBeReplaced",
			says: "it would replace 1 NodeClaim of NodePool default; no snapshot of this binding is in use yet",
		},
		"staged over an earlier snapshot": {
			reason: "nodes boot with the last snapshot, which is what the strategy asks for",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.change(newNodesOnly)
				w.passes("b")
				w.create(newClaim("n1", "gpu"))
				w.setSnapshot("snap-2", "40Gi")
			},
			ready: "True NodesWouldBeReplaced", reconciling: "absent", stalled: "absent",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False NodesWouldBeReplaced",
			says: "new nodes boot with snap-1 until then",
		},
		"conflict": {
			reason: "somebody was faster, so what was planned no longer holds",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.fail = onClass("apply", apierrors.NewConflict(classResource, "gpu", errors.New("changed")))
			},
			ready: "False WriteConflict", reconciling: "True WriteConflict", stalled: "absent",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False WriteConflict",
			says: "looked at again at once",
		},
		"denied": {
			reason: "a role or a policy is for a person to mend",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.fail = onClass("apply", apierrors.NewForbidden(classResource, "gpu", errors.New("policy says no")))
			},
			ready: "False WriteDenied", reconciling: "absent", stalled: "True WriteDenied",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False WriteDenied",
			says: "policy says no",
		},
		"refused by Karpenter's rules": {
			reason: "a rule of a newer Karpenter that Larder does not know still names the device",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.fail = onClass("apply", apierrors.NewInvalid(classKind.GroupKind(), "gpu", nil))
			},
			ready: "False DeviceInvalid", reconciling: "absent", stalled: "True DeviceInvalid",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False DeviceInvalid",
			says: "Karpenter's rules for EC2NodeClass gpu refuse the devices",
		},
		"API server in trouble": {
			reason: "an unknown outcome is looked at again, and nothing is called applied",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.fail = onClass("apply", errTrouble)
			},
			ready: "False WriteFailed", reconciling: "True WriteFailed", stalled: "absent",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False WriteFailed",
			says: "writing EC2NodeClass gpu: the server is in trouble",
		},
		"denied while an earlier snapshot is in place": {
			reason: "Stalled is never Ready: a person has to act, and a rollout must see it",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.passes("b")
				w.setSnapshot("snap-2", "40Gi")
				w.fail = onClass("apply", apierrors.NewForbidden(classResource, "gpu", errors.New("policy says no")))
			},
			ready: "False WriteDenied", reconciling: "absent", stalled: "True WriteDenied",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False WriteDenied",
			says: "policy says no",
		},
		"conflict while an earlier snapshot is in place": {
			reason: "nodes boot with it, so Ready does not blink at every renewal",
			prepare: func(w *world) {
				w.create(newSnapshot("snap-1", "40Gi"))
				w.create(newClass(root))
				w.passes("b")
				w.setSnapshot("snap-2", "40Gi")
				w.fail = onClass("apply", apierrors.NewConflict(classResource, "gpu", errors.New("changed")))
			},
			ready: "True WriteConflict", reconciling: "True WriteConflict", stalled: "absent",
			available: "True SnapshotCompleted", passed: "True Passed", applied: "False WriteConflict",
			says: "looked at again at once",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newBinding("b", v1alpha1.RolloutRoll))
			tc.prepare(w)
			b, err := w.pass("b")
			stalls, retries := errors.Is(err, reconcile.TerminalError(nil)), errors.Is(err, errTrouble)
			if err != nil && !stalls && !retries {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			got := []string{targets.Describe(b, "Ready"), targets.Describe(b, "Reconciling"), targets.Describe(b, "Stalled"),
				targets.Describe(b, "SnapshotAvailable"), targets.Describe(b, "PreflightPassed"), targets.Describe(b, "Applied")}
			want := []string{tc.ready, tc.reconciling, tc.stalled, tc.available, tc.passed, tc.applied}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if message := meta.FindStatusCondition(b.Status.Conditions, "Ready").Message; !strings.Contains(message, tc.says) {
				t.Errorf("%s: Ready does not say %q:\n%s", tc.reason, tc.says, message)
			}
		})
	}
}

var (
	classResource = schema.GroupResource{Group: classKind.Group, Resource: "ec2nodeclasses"}
	errTrouble    = errors.New("the server is in trouble")
)

// onClass fails one verb on EC2NodeClasses.
func onClass(verb string, err error) func(string, any) error {
	return func(v string, object any) error {
		kind, ok := object.(interface {
			GroupVersionKind() schema.GroupVersionKind
		})
		if !ok || v != verb || kind.GroupVersionKind() != classKind {
			return nil
		}
		return err
	}
}

func newNodesOnly(s *v1alpha1.NodeClassBindingSpec) {
	s.Rollout.Strategy = v1alpha1.RolloutNewNodesOnly
}

func quantity(text string) *resource.Quantity {
	q := resource.MustParse(text)
	return &q
}

func TestStatusWriteIsRetriedAfterAStall(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root, volume(device, "1Gi"), volume(device, "2Gi")),
		newBinding("b", v1alpha1.RolloutRoll))
	w.fail = func(verb string, _ any) error {
		if verb == "patch status" {
			return errTrouble
		}
		return nil
	}
	_, err := w.pass("b")
	if !errors.Is(err, errTrouble) || errors.Is(err, reconcile.TerminalError(nil)) {
		t.Errorf("got %v, want the failed write, and not as a terminal error, which is never retried", err)
	}
}

func TestFinalizerComesBeforeTheFirstWrite(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("b", v1alpha1.RolloutRoll))
	w.fail = func(verb string, object any) error {
		if _, isBinding := object.(*v1alpha1.NodeClassBinding); isBinding && verb == "patch" {
			return errTrouble
		}
		return nil
	}
	if _, err := w.pass("b"); !errors.Is(err, errTrouble) {
		t.Fatalf("got %v, want %v", err, errTrouble)
	}
	if diff := cmp.Diff([]any{root}, w.devices()); diff != "" {
		t.Errorf("the class was written although nothing would restore it (-want +got):\n%s", diff)
	}
}

func TestEventsComeOnTransitionsOnly(t *testing.T) {
	w := newWorld(t, newClass(root), newBinding("b", v1alpha1.RolloutRoll))
	for range 3 {
		w.passes("b")
	}
	w.create(newSnapshot("snap-1", "40Gi"))
	for range 3 {
		w.passes("b")
	}
	w.setSnapshot("snap-2", "40Gi")
	for range 3 {
		w.passes("b")
	}
	want := []string{
		"Normal SnapshotMissing ImageCacheSnapshot inference does not exist: create it, or name another in spec.snapshot.ref",
		"Normal Applied wrote snap-1 to /dev/xvdb of EC2NodeClass gpu",
		"Normal Applied wrote snap-2 to /dev/xvdb of EC2NodeClass gpu",
	}
	var got []string
	for len(w.events.Events) > 0 {
		got = append(got, <-w.events.Events)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNoWriteWhenTheClassIsAsPlanned(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root, bound), newBinding("b", v1alpha1.RolloutNewNodesOnly),
		newClaim("n1", "gpu"))
	before := w.class().GetResourceVersion()
	b := w.passes("b")
	if after := w.class().GetResourceVersion(); after != before {
		t.Errorf("the class already named the snapshot, and was written all the same")
	}
	if got := targets.Describe(b, v1alpha1.ConditionApplied); got != "True Applied" {
		t.Errorf("Applied: got %s", got)
	}
}

// TestTheSnapshotBeforeIsNamed keeps a way back: what a binding names is not collected.
func TestTheSnapshotBeforeIsNamed(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("b", v1alpha1.RolloutRoll))
	var named []string
	pass := func() {
		b := w.passes("b")
		named = append(named, b.Status.LastKnownGoodSnapshotID+" < "+b.Status.AppliedSnapshotID)
	}
	pass()
	w.setSnapshot("snap-2", "40Gi")
	pass()
	pass()
	w.setSnapshot("snap-3", "40Gi")
	pass()
	if diff := cmp.Diff([]string{" < snap-1", "snap-1 < snap-2", "snap-1 < snap-2", "snap-2 < snap-3"}, named); diff != "" {
		t.Errorf("the snapshot before and the applied one, pass by pass (-want +got):\n%s", diff)
	}
}

func TestYoungerBindingTakesOverWhenTheOlderIsGone(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("a", v1alpha1.RolloutRoll),
		newBinding("b", v1alpha1.RolloutRoll))
	w.passes("a")
	w.passes("b")
	w.delete(newBinding("a", ""))
	if got := targets.Describe(w.passes("b"), v1alpha1.ConditionReady); got != "False DeviceClaimedByOtherBinding" {
		t.Errorf("before a has restored the device: got %s", got)
	}
	w.passes("a")
	if diff := cmp.Diff([]any{root}, w.devices()); diff != "" {
		t.Errorf("after a is gone (-want +got):\n%s", diff)
	}
	if got := targets.Describe(w.passes("b"), v1alpha1.ConditionReady); got != "True Ready" {
		t.Errorf("after a is gone: got %s", got)
	}
	w.delete(newBinding("b", ""))
	w.passes("b")
	if diff := cmp.Diff([]any{root}, w.devices()); diff != "" {
		t.Errorf("after b is gone (-want +got):\n%s", diff)
	}
}

func TestLoserRestoresNothing(t *testing.T) {
	w := newWorld(t, newSnapshot("snap-1", "40Gi"), newClass(root), newBinding("a", v1alpha1.RolloutRoll),
		newBinding("b", v1alpha1.RolloutRoll))
	w.passes("a")
	w.passes("b")
	w.delete(newBinding("b", ""))
	if b := w.passes("b"); b != nil {
		t.Errorf("b is still there: %v", b.Status.Conditions)
	}
	if diff := cmp.Diff([]any{root, bound}, w.devices()); diff != "" {
		t.Errorf("the deletion of the loser took the winner's device (-want +got):\n%s", diff)
	}
}

func TestDeletedBindingIsNotResurrected(t *testing.T) {
	w := newWorld(t)
	if result, err := w.reconciler.Reconcile(context.Background(), reconcile.Request{NamespacedName: client.ObjectKey{Name: "gone"}}); err != nil || result != (reconcile.Result{}) {
		t.Errorf("a binding that is gone: got %v, %v", result, err)
	}
}
