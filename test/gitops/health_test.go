package gitops_test

import (
	"encoding/json"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// healthCase is one state of an object, and how Argo CD is to show it.
type healthCase struct {
	reason string
	object any
	want   health
	// kstatus is how Flux and kubectl read the same object; empty where it reads what equals want.
	kstatus status.Status
}

// alike is what Argo CD's words are in kstatus.
var alike = map[string]status.Status{
	"Healthy":     status.CurrentStatus,
	"Progressing": status.InProgressStatus,
	"Degraded":    status.FailedStatus,
}

func check(t *testing.T, kind string, cases map[string]healthCase) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, read(t, kind, c.object)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			wanted := c.kstatus
			if wanted == "" {
				wanted = alike[c.want.Status]
			}
			sent, err := json.Marshal(c.object)
			if err != nil {
				t.Fatal(err)
			}
			result, err := status.Compute(decode(t, sent))
			if err != nil {
				t.Fatalf("kstatus: %v", err)
			}
			if result.Status != wanted {
				t.Errorf("kstatus reads %s (%s), want %s", result.Status, result.Message, wanted)
			}
		})
	}
}

func TestArgoCDHealthOfAnImageCacheSnapshot(t *testing.T) {
	usable := ready(v1alpha1.ReasonReady, "snapshot snap-1 holds the images of this spec: 1")
	building := reconciling(v1alpha1.ReasonBuilding, "revision 2 is written: 40 %")
	suspend := func(s *v1alpha1.ImageCacheSnapshot) { s.Spec.Suspend = true }
	unobserved := func(s *v1alpha1.ImageCacheSnapshot) { s.Status.ObservedGeneration = generation - 1 }
	check(t, "ImageCacheSnapshot", map[string]healthCase{
		"new": {
			reason: "the operator has not seen it; kstatus takes an object without any status for one that has none",
			object: with(snapshot(), func(s *v1alpha1.ImageCacheSnapshot) { s.Status = v1alpha1.ImageCacheSnapshotStatus{} }),
			want:   health{"Progressing", "Larder has not looked at it yet: is its operator running?"},
			// An absent observedGeneration and no conditions read as done.
			kstatus: status.CurrentStatus,
		},
		"first build": {
			reason: "no snapshot exists, and one will",
			object: with(snapshot(notReady(v1alpha1.ReasonBuilding, "revision 1 is written: 40 %"), building)),
			want:   health{"Progressing", "revision 1 is written: 40 %"},
		},
		"nothing to do": {
			reason: "the snapshot serves",
			object: snapshot(usable),
			want:   health{"Healthy", usable.Message},
		},
		"pinned": {
			reason: "a pin is a wish, and it is fulfilled",
			object: snapshot(ready(v1alpha1.ReasonPinned, "snapshot snap-1 is pinned")),
			want:   health{"Healthy", "snapshot snap-1 is pinned"},
		},
		"renewal": {
			reason:  "an application must not leave Healthy each time that a tag moves",
			object:  snapshot(usable, building),
			want:    health{"Healthy", usable.Message + "; meanwhile: " + building.Message},
			kstatus: status.InProgressStatus,
		},
		"renewal that fails": {
			reason: "the old snapshot serves this spec; what fails is said, and tried again",
			object: snapshot(usable, is(v1alpha1.ConditionImagesResolved, metav1.ConditionFalse, v1alpha1.ReasonRegistryUnreachable, "no answer"),
				reconciling(v1alpha1.ReasonRegistryUnreachable, "no answer")),
			want:    health{"Healthy", usable.Message + "; meanwhile: no answer"},
			kstatus: status.InProgressStatus,
		},
		"spec changed and not seen": {
			reason: "Ready speaks of the spec before",
			object: with(snapshot(usable), unobserved),
			want:   health{"Progressing", "Larder has not come to an end with this spec: " + usable.Message},
		},
		"spec changed and built": {
			reason: "what there is does not serve this spec",
			object: snapshot(notReady(v1alpha1.ReasonBuilding, "revision 2 is written: 40 %"), building),
			want:   health{"Progressing", "revision 2 is written: 40 %"},
		},
		"needs a person": {
			reason: "nothing more happens by itself",
			object: snapshot(notReady(v1alpha1.ReasonImageNotFound, "check the tag"), stalled(v1alpha1.ReasonImageNotFound, "check the tag")),
			want:   health{"Degraded", "check the tag"},
		},
		"needs a person and serves": {
			reason: "a snapshot that no longer follows its tags is to be seen",
			object: snapshot(usable, stalled(v1alpha1.ReasonImageNotFound, "check the tag")),
			want:   health{"Degraded", "check the tag"},
		},
		"suspended": {
			reason:  "kstatus has no word for it, and reads what was",
			object:  with(snapshot(ready(v1alpha1.ReasonSuspended, "nothing is resolved")), suspend),
			want:    health{"Suspended", "nothing is resolved"},
			kstatus: status.CurrentStatus,
		},
		"suspended without a snapshot": {
			reason:  "it stays without one, so it is not progressing",
			object:  with(snapshot(notReady(v1alpha1.ReasonSuspended, "nothing is resolved")), suspend),
			want:    health{"Suspended", "nothing is resolved"},
			kstatus: status.InProgressStatus,
		},
		"suspended and not seen": {
			reason: "a build may still run",
			object: with(snapshot(usable), suspend, unobserved),
			want:   health{"Progressing", "Larder has not come to an end with this spec: " + usable.Message},
		},
		"resumed": {
			reason: "the reason is of the spec before",
			object: with(snapshot(ready(v1alpha1.ReasonSuspended, "nothing is resolved")), unobserved),
			want:   health{"Progressing", "Larder has not come to an end with this spec: nothing is resolved"},
		},
		"being deleted": {
			reason: "the message says who still boots from it",
			object: with(snapshot(notReady(v1alpha1.ReasonInUse, "delete NodeClassBinding gpu"), reconciling(v1alpha1.ReasonInUse, "delete NodeClassBinding gpu")),
				func(s *v1alpha1.ImageCacheSnapshot) { s.DeletionTimestamp = &now }),
			want:    health{"Progressing", "delete NodeClassBinding gpu"},
			kstatus: status.TerminatingStatus,
		},
		"deleted just now": {
			reason:  "it is on its way out, however it was",
			object:  with(snapshot(usable), func(s *v1alpha1.ImageCacheSnapshot) { s.DeletionTimestamp = &now }),
			want:    health{"Progressing", usable.Message},
			kstatus: status.TerminatingStatus,
		},
	})
}

func TestArgoCDHealthOfANodeClassBinding(t *testing.T) {
	serves := ready(v1alpha1.ReasonReady, "new nodes boot with snap-2")
	written := applied(metav1.ConditionTrue, v1alpha1.ReasonApplied, "/dev/xvdb of EC2NodeClass gpu names snap-2")
	pending := func(b *v1alpha1.NodeClassBinding) {
		b.Status.Pending = &v1alpha1.PendingChange{SnapshotID: "snap-3", Why: v1alpha1.ReasonPaused, NodesThatWouldBeReplaced: 3}
	}
	paused := func(b *v1alpha1.NodeClassBinding) { b.Spec.Rollout.Paused = true }
	waits := func(reason, message string) *v1alpha1.NodeClassBinding {
		return with(binding(ready(reason, "new nodes boot with snap-2"), applied(metav1.ConditionFalse, reason, message)), pending)
	}
	fails := func(reason, message string) *v1alpha1.NodeClassBinding {
		return binding(notReady(reason, message), stalled(reason, message), applied(metav1.ConditionFalse, reason, message))
	}
	check(t, "NodeClassBinding", map[string]healthCase{
		"new": {
			reason:  "the operator has not seen it",
			object:  with(binding(), func(b *v1alpha1.NodeClassBinding) { b.Status = v1alpha1.NodeClassBindingStatus{} }),
			want:    health{"Progressing", "Larder has not looked at it yet: is its operator running?"},
			kstatus: status.CurrentStatus,
		},
		"waits for the first snapshot": {
			reason: "it is being built",
			object: binding(notReady(v1alpha1.ReasonSnapshotNotReady, "ImageCacheSnapshot inference is being built"),
				reconciling(v1alpha1.ReasonSnapshotNotReady, "ImageCacheSnapshot inference is being built")),
			want: health{"Progressing", "ImageCacheSnapshot inference is being built"},
		},
		"applied": {
			reason: "new nodes boot with the snapshot",
			object: binding(serves, written, is(v1alpha1.ConditionRolledOut, metav1.ConditionTrue, v1alpha1.ReasonNodesCurrent, "all 3 nodes")),
			want:   health{"Healthy", serves.Message},
		},
		"applied, and old nodes run": {
			reason: "a pool may take weeks to replace its nodes, which is no failing of an application",
			object: binding(serves, written, is(v1alpha1.ConditionRolledOut, metav1.ConditionFalse, v1alpha1.ReasonNodesOutdated, "2 of 3 nodes")),
			want:   health{"Healthy", serves.Message},
		},
		"applied with a warning": {
			reason: "a warning blocks nothing",
			object: binding(serves, written, is(v1alpha1.ConditionPreflightPassed, metav1.ConditionTrue, v1alpha1.ReasonPassedWithWarnings, "the contents fill 70 %")),
			want:   health{"Healthy", serves.Message},
		},
		"staged for drift": {
			reason: "this is what the strategy is for",
			object: waits(v1alpha1.ReasonWaitingForDrift, "snap-3 waits for drift"),
			want:   health{"Healthy", "snap-3 waits for drift"},
		},
		"staged for the window": {
			reason: "this is what the window is for",
			object: waits(v1alpha1.ReasonWaitingForWindow, "snap-3 waits for Saturday"),
			want:   health{"Healthy", "snap-3 waits for Saturday"},
		},
		"staged because nodes would be replaced": {
			reason: "this is what NewNodesOnly is for",
			object: waits(v1alpha1.ReasonNodesWouldReplace, "snap-3 would replace 3 nodes"),
			want:   health{"Healthy", "snap-3 would replace 3 nodes"},
		},
		"between two snapshots": {
			reason: "minInterval is agreed upon",
			object: waits(v1alpha1.ReasonMinInterval, "snap-3 waits until tomorrow"),
			want:   health{"Healthy", "snap-3 waits until tomorrow"},
		},
		"paused with a change": {
			reason:  "someone has to resume it",
			object:  with(waits(v1alpha1.ReasonPaused, "snap-3 is not written while rollout.paused"), paused),
			want:    health{"Suspended", "snap-3 is not written while rollout.paused"},
			kstatus: status.CurrentStatus,
		},
		"paused before the first write": {
			reason: "it is not progressing either",
			object: with(binding(notReady(v1alpha1.ReasonPaused, "nothing is written while rollout.paused"),
				applied(metav1.ConditionFalse, v1alpha1.ReasonPaused, "nothing is written while rollout.paused")), paused, pending),
			want:    health{"Suspended", "nothing is written while rollout.paused"},
			kstatus: status.InProgressStatus,
		},
		"paused without a change": {
			reason: "nothing is held back",
			object: with(binding(serves, written), paused),
			want:   health{"Healthy", serves.Message},
		},
		"paused and stalled": {
			reason: "to resume it would not help",
			object: with(fails(v1alpha1.ReasonUnsupportedTarget, "choose another class"), paused, pending),
			want:   health{"Degraded", "choose another class"},
		},
		"write that is tried again": {
			reason:  "new nodes boot with the snapshot before",
			object:  binding(ready(v1alpha1.ReasonWriteConflict, "new nodes boot with snap-2"), reconciling(v1alpha1.ReasonWriteConflict, "it changed meanwhile")),
			want:    health{"Healthy", "new nodes boot with snap-2; meanwhile: it changed meanwhile"},
			kstatus: status.InProgressStatus,
		},
		"preflight": {
			reason: "the class has to be changed by a person",
			object: fails(v1alpha1.ReasonInstanceStoreHides, "remove instanceStorePolicy"),
			want:   health{"Degraded", "remove instanceStorePolicy"},
		},
		"rival": {
			reason: "the message has the rival's name",
			object: fails(v1alpha1.ReasonRivalWriter, "argocd-controller reverts it"),
			want:   health{"Degraded", "argocd-controller reverts it"},
		},
		"rolled back": {
			reason: "a bad snapshot is to be seen, though nodes boot with the one before",
			object: binding(ready(v1alpha1.ReasonRolledBack, "nodes boot with snap-2"), stalled(v1alpha1.ReasonRolledBack, "snap-3 failed")),
			want:   health{"Degraded", "snap-3 failed"},
		},
		"spec changed and not seen": {
			reason: "Ready speaks of the spec before",
			object: with(binding(serves, written), func(b *v1alpha1.NodeClassBinding) { b.Status.ObservedGeneration-- }),
			want:   health{"Progressing", "Larder has not come to an end with this spec: " + serves.Message},
		},
		"deletion that waits": {
			reason: "the message says for what",
			object: with(binding(notReady(v1alpha1.ReasonNodesWouldReplace, "see Applied"),
				applied(metav1.ConditionUnknown, v1alpha1.ReasonNodesWouldReplace, "restoring it would replace 3 nodes")),
				func(b *v1alpha1.NodeClassBinding) { b.DeletionTimestamp = &now }),
			want:    health{"Progressing", "restoring it would replace 3 nodes"},
			kstatus: status.TerminatingStatus,
		},
	})
}

// TestArgoCDHealthOfWhatIsMalformed feeds the checks what no controller writes: an error would show as Unknown, which
// Argo CD counts as worse than Degraded.
func TestArgoCDHealthOfWhatIsMalformed(t *testing.T) {
	for _, kind := range kinds {
		_, text := script(t, kind)
		for _, sent := range []string{
			`{}`,
			`{"status": null}`,
			`{"status": "done"}`,
			`{"status": {}}`,
			`{"metadata": {"generation": 1}, "spec": "x", "status": {"observedGeneration": 1, "conditions": null}}`,
			`{"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": "none"}}`,
			`{"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": {"type": "Ready"}}}`,
			`{"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [null, 3, "x", {}, {"type": 4}]}}`,
			`{"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [{"type": "Ready"}]}}`,
			`{"metadata": {"generation": 1}, "status": {"observedGeneration": "1", "conditions": [{"type": "Ready", "status": "True", "message": 7}]}}`,
			`{"metadata": "none", "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}}`,
			`{"metadata": {"generation": 1}, "spec": {"rollout": "paused", "suspend": "yes"}, "status": {"observedGeneration": 1, "pending": [], "conditions": [{"type": "Ready", "status": "Unknown"}]}}`,
		} {
			result, err := run(text, decode(t, []byte(sent)))
			if err != nil || result.Status != "Progressing" {
				t.Errorf("%s: %s is %+v (%v), want Progressing", kind, sent, result, err)
			}
		}
	}
}
