package targets

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// renewals are the snapshots that a binding may find when another left its device: the same, or a newer one.
var renewals = map[string]bool{"the same snapshot": false, "a newer one": true}

// leave deletes the binding b, which leaves its device as it is.
func (w *World) leave() {
	w.Helper()
	w.Edit("b", func(b *v1alpha1.NodeClassBinding) { b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
	w.Unbind("b")
	w.mustGo("b")
}

func (w *World) mustGo(name string) {
	w.Helper()
	if b := w.Settle(name); b != nil {
		w.Fatalf("%s stays: %s", name, Message(b, "Ready"))
	}
}

// TestLaunchTemplateThatWasLeft has a binding take over what another left, and give back what was there before the first.
func TestLaunchTemplateThatWasLeft(t *testing.T) {
	for name, renews := range renewals {
		t.Run(name, func(t *testing.T) {
			h, id := provenHosts(t, "1", refreshed)
			h.leave()
			h.expectBoots("left", "web", id, id, id)
			if renews {
				left := id
				id = h.Renew(v1alpha1.FormatBottlerocket)
				h.Bind("unused", h.target(refreshed("web")), func(b *v1alpha1.NodeClassBinding) { b.Spec.Rollout.Paused = true })
				h.Pass("unused")
				h.Unbind("unused")
				h.mustGo("unused")
				h.expectBoots("after one that wrote nothing", "web", left, left, left)
			}
			h.Bind("next", h.target(refreshed("web")))
			h.Expect("the next", h.Settle("next"), map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
			h.expectBoots("taken over", "web", id, id, id)
			h.Unbind("next")
			h.mustGo("next")
			h.expectBoots("given back", "web", "", "", "")
		})
	}
}

// TestBatchThatWasLeft has the environment name what it named before the first binding.
func TestBatchThatWasLeft(t *testing.T) {
	for name, renews := range renewals {
		t.Run(name, func(t *testing.T) {
			q := newBatchQueue(New(t, batchOptions()))
			id := q.Renew(v1alpha1.FormatFiles)
			q.bind()
			q.Expect("the first", q.Settle("b"), map[string]string{"Ready": "True Ready"})
			q.leave()
			if renews {
				id = q.Renew(v1alpha1.FormatFiles)
			}
			q.bind()
			b := q.Settle("b")
			q.Expect("the next", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
			if !b.Status.LastKnownGoodProven {
				t.Errorf("instances run with %s, and it is not proven", id)
			}
			q.expectVolumes("taken over", bootsWith(id))
			q.Unbind("b")
			q.mustGo("b")
			q.expectVolumes("given back", []string{untouched, untouched})
			if got := q.named()[0]; got != "$Latest" {
				t.Errorf("the environment names %s, want $Latest", got)
			}
		})
	}
}

// TestLaunchTemplateOfAnotherByName tells the younger of two bindings, which name one template in two ways, of the older.
func TestLaunchTemplateOfAnotherByName(t *testing.T) {
	h, _ := provenHosts(t, "$Latest", follows)
	target := h.target()
	target.LaunchTemplate.ID, target.LaunchTemplate.Name = "", "hosts"
	h.Bind("younger", target)
	want := "/dev/xvdb of version 2 of launch template " + h.id + " was written for NodeClassBinding b: delete one of the two bindings, or " +
		"give this one another device"
	if diff := cmp.Diff(want, Message(h.Settle("younger"), "Ready")); diff != "" {
		t.Errorf("the younger says (-want +got):\n%s", diff)
	}
	h.leave()
	h.Expect("once the older is gone", h.Settle("younger"), map[string]string{"Ready": "True Ready"})
}

// TestLaunchTemplateTakenOverAfterAFailedRefresh does not blame a snapshot for what somebody's refresh came to before the
// binding took it over.
func TestLaunchTemplateTakenOverAfterAFailedRefresh(t *testing.T) {
	h, first := provenHosts(t, "1", refreshed)
	h.leave()
	_, err := h.scaling.StartInstanceRefresh(h.Context(), &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("web")})
	h.Must(err)
	h.Wait(refreshStep)
	h.AWS.FailRefresh("web", "An alarm went off.")
	h.Wait(time.Hour)
	h.Bind("next", h.target(refreshed("web")))
	h.Expect("the next", h.Settle("next"), map[string]string{"Ready": "True Ready"})
	h.expectBoots("taken over", "web", first, first, first)
}
