package targets

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ssm"
	"github.com/larder-dev/larder/test/controlplane"
	"github.com/larder-dev/larder/test/fakeaws"
)

// shelf is a target for these tests: an SSM parameter that names the snapshot in use.
const shelf = "/shelf"

// former is what the shelf names before Larder does.
const former = "snap-before"

type shelves struct{ parameters *ssm.Client }

func shelfOptions() Options {
	return Options{Targets: func(p Process) binding.Targets { return binding.Targets{&shelves{ssm.New(p.AWS)}} }}
}

func (s *shelves) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	return binding.Subject{Kind: "shelf", Name: shelf, Node: "book", Pool: "row"}, b.Spec.Target.ECSService != nil
}

func (s *shelves) Observe(ctx context.Context, _ *v1alpha1.NodeClassBinding, _ binding.Freshness) (binding.Observation, error) {
	value, err := s.parameters.Value(ctx, shelf)
	if aws.IsNotFound(err) {
		return seen(""), nil
	}
	return seen(value), err
}

func (s *shelves) Act(ctx context.Context, write binding.Write) error {
	return s.parameters.Update(ctx, shelf, write.(string))
}

type seen string

func (s seen) Plan(_ *v1alpha1.NodeClassBinding, snapshot binding.Snapshot, _ time.Time) binding.Plan {
	plan := binding.Plan{InPlace: string(s), Health: binding.Health{Proven: true}}
	switch {
	case s == "":
		plan.Problem = &binding.Problem{Reason: v1alpha1.ReasonTargetMissing, Message: "no shelf", Stalled: true}
	case snapshot.ID != "" && snapshot.ID != string(s):
		plan.Write = snapshot.ID
	}
	return plan
}

func (s seen) PlanWithout(*v1alpha1.NodeClassBinding, time.Time) binding.Plan {
	if s == former {
		return binding.Plan{}
	}
	return binding.Plan{InPlace: string(s), Write: former}
}

func (s seen) PlanEnd(b *v1alpha1.NodeClassBinding, now time.Time) binding.Plan {
	return s.PlanWithout(b, now)
}

func (w *World) onShelf() string {
	parameter, _ := w.AWS.Parameter(shelf)
	return parameter.Value
}

var onTheShelf = v1alpha1.Target{ECSService: &v1alpha1.ECSServiceTarget{Cluster: "prod", Service: "web", VolumeName: "models"}}

// bound is a world with a shelf that a binding wants a first snapshot on.
func bound(t *testing.T, options Options) (*World, string) {
	w := New(t, options)
	w.AWS.AddParameter(fakeaws.Parameter{Name: shelf, Value: former})
	first := w.Renew(v1alpha1.FormatFiles)
	w.Bind("b", onTheShelf)
	return w, first
}

func TestAWholeLife(t *testing.T) {
	t.Run("in memory", func(t *testing.T) { testAWholeLife(t, shelfOptions()) })
	t.Run("on a real API server", func(t *testing.T) {
		options := shelfOptions()
		options.Plane = controlplane.StartWithoutKarpenter(t)
		testAWholeLife(t, options)
	})
}

func testAWholeLife(t *testing.T, options Options) {
	w, first := bound(t, options)
	b := w.Settle("b")
	w.Expect("after a while", b, map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
	if !b.Status.LastKnownGoodProven || w.onShelf() != first {
		t.Errorf("the shelf names %s, want %s: %+v", w.onShelf(), first, b.Status)
	}
	second := w.Renew(v1alpha1.FormatFiles)
	w.SettleUntil("b", "the second is applied", func(b *v1alpha1.NodeClassBinding) bool { return b.Status.AppliedSnapshotID == second })
	w.Unbind("b")
	if b := w.Settle("b"); b != nil || w.onShelf() != former {
		t.Errorf("the shelf names %s, and the binding is %v", w.onShelf(), b)
	}
	if diff := cmp.Diff([]string{"PutParameter", "PutParameter", "PutParameter"}, w.Mutations()); diff != "" {
		t.Errorf("what changed something (-want +got):\n%s", diff)
	}
	if all := strings.Join(w.Events(), "\n"); !strings.Contains(all, "Normal Applied wrote "+second+" to shelf /shelf") {
		t.Errorf("the events say nothing of %s:\n%s", second, all)
	}
}

func TestACrash(t *testing.T) {
	cases := map[string]struct {
		reason     string
		answerLost bool
		want       string
	}{
		"before": {"the request is not made", false, former},
		"after":  {"it is made, and the operator never learns", true, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w, first := bound(t, shelfOptions())
			if tc.want == "" {
				tc.want = first
			}
			w.crash = crash{at: 2, answerLost: tc.answerLost} // the finalizer is first
			dies := w.process
			if _, err := w.reconcile("b"); err == nil || !dies.hasEnded() {
				t.Fatalf("the operator goes on: %v", err)
			}
			if got := w.onShelf(); got != tc.want {
				t.Errorf("%s: the shelf names %s, want %s", tc.reason, got, tc.want)
			}
			if b := w.Binding("b"); len(b.Status.Conditions) > 0 || len(b.Finalizers) == 0 {
				t.Errorf("the dead write, or the living do not: %v %+v", b.Finalizers, b.Status)
			}
			before := w.AWS.Calls("GetParameter")
			if _, err := w.reconcile("b"); err == nil || w.AWS.Calls("GetParameter") != before {
				t.Errorf("the dead read: %v", err)
			}
			w.Pass("b")
			if w.process == dies || w.onShelf() != first {
				t.Errorf("nobody goes on: the shelf names %s", w.onShelf())
			}
		})
	}
}

func TestEveryCrashOfALife(t *testing.T) {
	told := 0
	EveryCrash(t, shelfOptions(), func(w *World) {
		told++
		w.AWS.AddParameter(fakeaws.Parameter{Name: shelf, Value: former})
		w.Renew(v1alpha1.FormatFiles)
		w.Bind("b", onTheShelf)
		w.Expect("bound", w.Settle("b"), map[string]string{"Ready": "True Ready"})
		w.Unbind("b")
		w.Settle("b")
	}, func(w *World) {
		if w.onShelf() != former || w.Binding("b") != nil {
			w.Errorf("the shelf names %s, and the binding is %v", w.onShelf(), w.Binding("b"))
		}
	})
	if told < 1+2*5/eachMoment { // the finalizer, the write and the status, the restoration, the finalizer again
		t.Errorf("the story is told %d times", told)
	}
}

// TestADeniedWrite has AWS deny a write: nothing tells when it allows it.
func TestADeniedWrite(t *testing.T) {
	w, first := bound(t, shelfOptions())
	w.AWS.Inject(fakeaws.Fault{Action: "PutParameter", Kind: fakeaws.Denied})
	w.SettleUntil("b", "the write fails", Is("Applied", "False WriteFailed"))
	w.AWS.Heal()
	w.Settle("b")
	if w.onShelf() != first {
		t.Errorf("the shelf names %s, want %s", w.onShelf(), first)
	}
}
