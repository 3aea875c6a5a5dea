package binding_test

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// TestStallIsAnErrorOnce keeps the log of a binding that waits for a person short: every word of Karpenter's asks for a pass.
func TestStallIsAnErrorOnce(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	passes := func(why string, isError bool) {
		t.Helper()
		_, err := s.pass("b")
		if errors.Is(err, reconcile.TerminalError(nil)) != isError || !isError && err != nil {
			t.Errorf("%s: got the error %v", why, err)
		}
		if s.next != 0 {
			t.Errorf("%s: another pass after %s, want none", why, s.next)
		}
	}
	refuse := func(message string) {
		s.plan.Problem = &binding.Problem{Reason: v1alpha1.ReasonDeviceInvalid, Message: message, Stalled: true}
	}
	refuse("the device is the root device")
	passes("it is new", true)
	passes("it was said", false)
	refuse("the device has no ebs")
	passes("it is another", true)
	passes("that was said too", false)
	s.plan.Problem = nil
	expect(t, "it ends", s.passes("b"), map[string]string{"Ready": "True Ready"})
	refuse("the device has no ebs")
	passes("it is back", true)
}

// TestConflictOverTheBindingIsNoError has a person change the binding while a pass is under way.
func TestConflictOverTheBindingIsNoError(t *testing.T) {
	resource := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "nodeclassbindings"}
	conflict := apierrors.NewConflict(resource, "b", errors.New("the object has been modified"))
	cases := map[string]struct {
		reason  string
		prepare func(s *stage)
		verb    string
	}{
		"finalizer":            {"nothing was done yet", func(*stage) {}, "patch"},
		"status":               {"what was written is found in place", func(*stage) {}, "patch status"},
		"rejection":            {"it is recorded before the next write", func(s *stage) { s.passes("b"); s.breakNodes(0) }, "patch status"},
		"finalizer at the end": {"what was given back stays so", func(s *stage) { s.passes("b"); s.delete(newBinding("b", "")) }, "patch"},
		"status at the end": {"the deletion goes on waiting", func(s *stage) {
			s.passes("b")
			s.plan.Problem = &binding.Problem{Reason: v1alpha1.ReasonTargetUnreadable, Message: "no", Stalled: true}
			s.delete(newBinding("b", ""))
			s.inPlace = "snap-1"
		}, "patch status"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, v1alpha1.RolloutRoll)
			tc.prepare(s)
			hit := false
			s.fail = func(verb string, object any) error {
				if _, isBinding := object.(*v1alpha1.NodeClassBinding); !isBinding || verb != tc.verb {
					return nil
				}
				hit = true
				return conflict
			}
			if _, err := s.pass("b"); err != nil || !hit || s.next != time.Second {
				t.Errorf("%s: got the error %v, and another pass after %s; patched: %t", tc.reason, err, s.next, hit)
			}
			s.fail = nil
			s.passes("b")
		})
	}
}

func TestNoNodesAreNotCounted(t *testing.T) {
	s := newStage(t, v1alpha1.RolloutRoll)
	b := s.passes("b")
	const want = "the target has no NodeClaims; the next ones are launched with snap-1"
	if got := meta.FindStatusCondition(b.Status.Conditions, v1alpha1.ConditionRolledOut); got.Message != want {
		t.Errorf("RolledOut says %q, want %q", got.Message, want)
	}
}
