package binding_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/test/targets"
)

func TestAnUpdateTakesItsTime(t *testing.T) {
	p := newPlant(t)
	b := p.after(time.Minute)
	expect(t, "asked for", b, map[string]string{"Ready": "True Ready", "Applied": "True Applied"})
	if p.next != 30*time.Second {
		t.Errorf("looks at what becomes of it after %s", p.next)
	}
	b = p.after(p.next)
	expect(t, "under way", b, map[string]string{"Ready": "True Ready", "Applied": "True Applied", "RolledOut": "False UpdateInProgress"})
	if says := targets.Message(b, "RolledOut"); says != "updating to snap-1" || p.next != 30*time.Second {
		t.Errorf("RolledOut says %q, and the next look is after %s", says, p.next)
	}
	p.after(updateTime)
	b = p.after(10 * time.Minute)
	expect(t, "over", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	if !b.Status.LastKnownGoodProven {
		t.Errorf("an update that succeeded proves it: %+v", b.Status)
	}
	p.expectAsked("once", "snap-1")
	var events []string
	for len(p.events.Events) > 0 {
		events = append(events, <-p.events.Events)
	}
	want := "Normal Applied wrote snap-1 to /dev/xvdb of EC2NodeClass gpu\nNormal UpdateInProgress updating to snap-1\n" +
		"Normal NodesCurrent the target has no NodeClaims; the next ones are launched with snap-1"
	if got := strings.Join(events, "\n"); got != want {
		t.Errorf("the events are:\n%s\nwant:\n%s", got, want)
	}
}

// TestADeniedWriteIsNotRepeatedAtOnce has AWS refuse a write: a person has to allow it, which takes more than seconds.
func TestADeniedWriteIsNotRepeatedAtOnce(t *testing.T) {
	p := newPlant(t)
	p.denied = &binding.Problem{Reason: v1alpha1.ReasonWriteDenied, Message: "AWS refuses it", Stalled: true, RetryAfter: 5 * time.Minute}
	for range 2 {
		b := p.after(time.Minute)
		expect(t, "denied", b, map[string]string{"Applied": "False WriteDenied", "Stalled": "True WriteDenied"})
		if p.next != p.denied.RetryAfter {
			t.Errorf("it is tried again after %s, want %s", p.next, p.denied.RetryAfter)
		}
	}
	p.denied = nil
	p.after(p.next)
	p.expectAsked("once it is allowed", "snap-1")
}

// TestNothingIsWrittenMeanwhile has a newer snapshot come, and a person ask for it, while an update is under way.
func TestNothingIsWrittenMeanwhile(t *testing.T) {
	for name, other := range map[string]string{"ours": "", "somebody else's": "arn:aws:iam::111122223333:user/ann"} {
		t.Run(name, func(t *testing.T) {
			p := provenPlant(t)
			p.wanted = "snap-2"
			if other == "" {
				p.after(time.Minute)
				p.wanted = "snap-3"
			} else {
				p.begin("snap-1", other)
			}
			asked := len(p.asked)
			b := p.after(time.Minute)
			expect(t, "waits", b, map[string]string{"Ready": "True UpdateInProgress", "Applied": "False UpdateInProgress", "Reconciling": "absent", "Stalled": "absent"})
			expectSays(t, b, p.wanted+" is not written to /dev/xvdb of EC2NodeClass gpu while the platform is changing it: ", "new nodes boot with "+b.Status.AppliedSnapshotID+" until then")
			if w := b.Status.Pending; w == nil || w.SnapshotID != p.wanted || p.next != 30*time.Second {
				t.Errorf("pending is %+v, and the next look is after %s", w, p.next)
			}
			p.ask("now")
			if b = p.after(time.Minute); b.Status.LastHandledApplyNow != "" || len(p.asked) != asked {
				t.Errorf("apply-now counts as handled (%q), or was: %v", b.Status.LastHandledApplyNow, p.asked)
			}
			b = p.after(updateTime)
			if p.last.to != p.wanted || b.Status.LastHandledApplyNow != "now" {
				t.Errorf("it is not written after all: %+v, %+v", p.last, b.Status)
			}
		})
	}
}

// TestBusyForTooLong has somebody else's update not come to an end.
func TestBusyForTooLong(t *testing.T) {
	s := proven(t, v1alpha1.RolloutRoll)
	s.wanted = "snap-2"
	s.plan.Busy = &binding.Problem{Reason: v1alpha1.ReasonUpdateInProgress, Stalled: true, RetryAfter: 10 * time.Minute, Message: "ann has been updating since 10:04"}
	b := s.passes("b")
	expect(t, "a person has to see to it", b, map[string]string{"Ready": "False UpdateInProgress", "Stalled": "True UpdateInProgress"})
	if s.next != 10*time.Minute {
		t.Errorf("looks again after %s", s.next)
	}
	s.expectWrites("nothing meanwhile", "snap-1")
}

// TestThePlatformGoesBackByItself has an update fail.
func TestThePlatformGoesBackByItself(t *testing.T) {
	p := provenPlant(t)
	p.wanted, p.fails = "snap-2", true
	p.after(time.Minute)
	b := p.after(updateTime)
	rolledBack := map[string]string{"Ready": "False RolledBack", "Stalled": "True RolledBack", "Applied": "False RolledBack", "RolledOut": "True NodesCurrent"}
	expect(t, "taken back", b, rolledBack)
	expectSays(t, b, "snap-2 failed (UpdateFailed: the update to snap-2 failed: PodEvictionFailure), and new nodes boot with snap-1 instead")
	if b.Status.AppliedSnapshotID != "snap-1" || b.Status.RejectedSnapshotID != "snap-2" {
		t.Errorf("status: %+v", b.Status)
	}
	for range 3 {
		expect(t, "and stays so", p.after(10*time.Minute), rolledBack)
	}
	p.expectAsked("no write takes it back, and none tries it again", "snap-1", "snap-2")

	p.change(func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Rollout.Window = &v1alpha1.RolloutWindow{Schedule: "0 0 1 1 *", Duration: metav1.Duration{Duration: time.Hour}, TimeZone: "UTC"}
	})
	p.wanted = "snap-3"
	b = p.after(time.Minute)
	expect(t, "the next one waits for the window", b, map[string]string{"Ready": "True WaitingForWindow", "Stalled": "absent"})
	expectSays(t, b, "new nodes boot with snap-1 until then")

	p.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Window = nil })
	p.wanted, p.fails = "snap-2", false
	expect(t, "the bad one is wanted again", p.after(time.Minute), rolledBack)
	p.ask("again")
	expect(t, "a person asks", p.after(time.Minute), map[string]string{"Ready": "True Ready", "Stalled": "absent"})
	p.after(updateTime)
	p.expectAsked("it is tried again", "snap-1", "snap-2", "snap-2")
	if p.runs != "snap-2" {
		t.Errorf("the plant runs %s", p.runs)
	}
}

func TestTheNextSnapshotAfterAFailedUpdate(t *testing.T) {
	p := provenPlant(t)
	p.wanted, p.fails = "snap-2", true
	p.after(time.Minute)
	p.after(updateTime)
	p.wanted, p.fails = "snap-3", false
	p.after(time.Minute)
	p.after(updateTime)
	b := p.after(10 * time.Minute)
	expect(t, "it is tried by itself", b, map[string]string{"Ready": "True Ready", "Stalled": "absent"})
	p.expectAsked("one after the other", "snap-1", "snap-2", "snap-3")
}

// TestTheWayBackFails has the platform do what it was asked for, nodes fail with it, and the platform not go back.
func TestTheWayBackFails(t *testing.T) {
	cases := map[string]struct {
		reason string
		start  func(*testing.T) *plant
		back   string
	}{
		"to a good one":            {"there is one", provenPlant, "snap-1"},
		"to what was there before": {"there never was one", newPlant, theirs},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := tc.start(t)
			p.wanted, p.sick["snap-2"] = "snap-2", true
			p.after(time.Minute)
			p.fails = true
			p.after(updateTime)
			if got := p.asked[len(p.asked)-1]; got != tc.back {
				t.Fatalf("%s: %s is asked for, want %s", tc.reason, got, tc.back)
			}
			asked := len(p.asked)
			b := p.after(updateTime)
			for range 5 {
				b = p.after(10 * time.Minute)
			}
			expect(t, "a person has to act", b, map[string]string{"Ready": "False UpdateFailed", "Stalled": "True UpdateFailed", "Applied": "False UpdateFailed"})
			expectSays(t, b, "since the last attempt at it failed, and none is made by itself: the update to "+tc.back+" failed: PodEvictionFailure. To try it again: kubectl annotate")
			if len(p.asked) != asked {
				t.Errorf("it is tried again and again: %v", p.asked)
			}
			p.wanted, p.fails = "snap-3", false
			p.after(time.Minute)
			p.after(updateTime)
			expect(t, "a newer one is tried", p.after(10*time.Minute), map[string]string{"Ready": "True Ready"})
		})
	}
}

// TestAFailureThatStays has an update fail for a binding that never goes back.
func TestAFailureThatStays(t *testing.T) {
	p := provenPlant(t)
	p.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.Rollout.Rollback.After = &metav1.Duration{} })
	p.wanted, p.fails = "snap-2", true
	p.after(time.Minute)
	for range 5 {
		p.after(updateTime)
	}
	b := p.after(time.Minute)
	expect(t, "it is said", b, map[string]string{"Ready": "False UpdateFailed", "Stalled": "True UpdateFailed"})
	p.expectAsked("and not tried again and again", "snap-1", "snap-2")
	p.fails = false
	p.change(func(spec *v1alpha1.NodeClassBindingSpec) {
		spec.Target.EC2NodeClass.Device.VolumeSize = quantity("80Gi")
	})
	p.after(time.Minute)
	p.expectAsked("but once the spec says something else", "snap-1", "snap-2", "snap-2")
}

// TestADeletionWaitsForTheRestoration has the restoration take an hour, and fail at first.
func TestADeletionWaitsForTheRestoration(t *testing.T) {
	p := provenPlant(t)
	p.fails = true
	p.delete(newBinding("b", ""))
	b := p.after(time.Minute)
	expect(t, "asked for", b, map[string]string{"Ready": "False UpdateInProgress", "Applied": "Unknown UpdateInProgress"})
	b = p.after(time.Minute)
	expectSays(t, b, "the deletion waits, and with it the restoration of /dev/xvdb of EC2NodeClass gpu, until the platform has carried it out: updating to "+theirs)
	for range 3 {
		b = p.after(updateTime)
	}
	expect(t, "failed", b, map[string]string{"Ready": "False UpdateFailed", "Stalled": "True UpdateFailed"})
	expectSays(t, b, "or set deletionPolicy to Leave")
	p.expectAsked("and not tried again", "snap-1", theirs)
	p.fails = false
	p.ask("again")
	if b = p.after(time.Minute); b.Status.LastHandledApplyNow != "again" {
		t.Errorf("apply-now is not counted as handled: %+v", b.Status)
	}
	if b = p.after(updateTime); b != nil || p.runs != theirs {
		t.Errorf("the plant runs %s, and the binding is %+v", p.runs, b)
	}
	p.expectAsked("once more", "snap-1", theirs, theirs)
}

func TestADeletionLeavesAtOnce(t *testing.T) {
	p := newPlant(t)
	p.change(func(spec *v1alpha1.NodeClassBindingSpec) { spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
	p.after(time.Minute)
	p.delete(newBinding("b", ""))
	if b := p.after(time.Minute); b != nil {
		t.Errorf("the binding waits for what it leaves: %+v", b.Status)
	}
}

// TestAFailureIsAnEventOnce wants one warning of a failed update.
func TestAFailureIsAnEventOnce(t *testing.T) {
	p := provenPlant(t)
	p.wanted, p.fails = "snap-2", true
	p.after(time.Minute)
	for range 4 {
		p.after(updateTime)
	}
	warnings := 0
	for len(p.events.Events) > 0 {
		if event := <-p.events.Events; strings.HasPrefix(event, corev1.EventTypeWarning) {
			warnings++
			if !strings.Contains(event, "RolledBack snap-2 failed (UpdateFailed: the update to snap-2 failed: PodEvictionFailure)") {
				t.Errorf("a warning of something else: %s", event)
			}
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings, want 1", warnings)
	}
}
