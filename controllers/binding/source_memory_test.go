package binding_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

func TestAWSIsAskedOnceAnInterval(t *testing.T) {
	cases := map[string]struct {
		reason  string
		passes  int
		apart   time.Duration
		change  func(pass int, b *v1alpha1.NodeClassBinding, w *sourceWorld)
		asked   int
		problem string
	}{
		"passes in quick succession":   {reason: "nodes come and go", passes: 100, apart: time.Second, asked: 1},
		"a pass at each interval":      {reason: "the snapshot may be deleted by hand", passes: 4, apart: interval, asked: 4},
		"passes within an interval":    {reason: "three minutes are less than ten", passes: 5, apart: 3 * time.Minute, asked: 2},
		"a snapshot that is not there": {reason: "somebody may be waiting for it", passes: 7, apart: 10 * time.Second, asked: 3, problem: v1alpha1.ReasonSnapshotNotFound, change: func(_ int, _ *v1alpha1.NodeClassBinding, w *sourceWorld) { delete(w.snapshots, firstID) }},
		"a changed spec":               {reason: "a person has acted", passes: 3, asked: 3, change: func(pass int, b *v1alpha1.NodeClassBinding, _ *sourceWorld) { b.Generation = int64(pass) }},
		"apply-now": {reason: "a person asks", passes: 3, asked: 3, change: func(pass int, b *v1alpha1.NodeClassBinding, _ *sourceWorld) {
			b.Annotations = map[string]string{v1alpha1.AnnotationApplyNow: fmt.Sprint(pass)}
		}},
		"a snapshot that was rejected": {reason: "what it is now may be why", passes: 3, asked: 2, change: func(pass int, b *v1alpha1.NodeClassBinding, _ *sourceWorld) {
			if pass > 0 {
				b.Status.RejectedSnapshotID = firstID
			}
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w, b := newSourceWorld(t), byID(firstID)
			for pass := range tc.passes {
				if tc.change != nil {
					tc.change(pass, b, w)
				}
				_, problem, err := w.source.Wanted(t.Context(), b)
				if err != nil || (problem == nil) != (tc.problem == "") || problem != nil && problem.Reason != tc.problem {
					t.Fatalf("pass %d: %v, %v", pass, problem, err)
				}
				w.after(tc.apart)
			}
			if w.calls["Describe"] != tc.asked {
				t.Errorf("%s: AWS was asked %d times, want %d", tc.reason, w.calls["Describe"], tc.asked)
			}
		})
	}
}

func TestADeletedSnapshotIsSeenWithinTheInterval(t *testing.T) {
	w, b := newSourceWorld(t, imageCache(nil)), byReference()
	if _, problem, err := w.source.Wanted(t.Context(), b); problem != nil || err != nil {
		t.Fatal(problem, err)
	}
	delete(w.snapshots, secondID)
	w.after(interval - 1)
	if _, problem, err := w.source.Wanted(t.Context(), b); problem != nil || err != nil {
		t.Errorf("before the interval is over: %v, %v", problem, err)
	}
	w.after(1)
	if _, problem, err := w.source.Wanted(t.Context(), b); problem == nil || problem.Reason != v1alpha1.ReasonSnapshotNotFound || err != nil {
		t.Errorf("after the interval: %v, %v", problem, err)
	}
}

func TestARenewedSnapshotIsAskedForAtOnce(t *testing.T) {
	w, b := newSourceWorld(t), byParameter()
	w.values["/larder/inference"] = firstID
	wanted := func() string {
		t.Helper()
		got, problem, err := w.source.Wanted(t.Context(), b)
		if problem != nil || err != nil {
			t.Fatal(problem, err)
		}
		return got.ID
	}
	wanted()
	w.values["/larder/inference"] = secondID
	if got := wanted(); got != firstID || w.calls["Value"] != 1 {
		t.Errorf("within the interval: got %s after %d looks at the parameter", got, w.calls["Value"])
	}
	w.after(interval)
	if got := wanted(); got != secondID {
		t.Errorf("after the interval: got %s", got)
	}
}

// TestWhenToLookAgain: what was asked a while ago is asked again when its time is up, and not later.
func TestWhenToLookAgain(t *testing.T) {
	w, b := newSourceWorld(t), byID(firstID)
	pending := completedSnapshot(firstID)
	pending.State, pending.Progress = ebs.StatePending, "12%"
	w.snapshots[firstID] = pending
	for _, want := range []time.Duration{30 * time.Second, 18 * time.Second, 6 * time.Second, 30 * time.Second} {
		_, problem, err := w.source.Wanted(t.Context(), b)
		if err != nil || problem == nil || problem.RetryAfter != want {
			t.Fatalf("got %+v, %v, want another look after %s", problem, err, want)
		}
		problem.Message, problem.RetryAfter = "", 0 // what a caller does to it is not remembered
		w.after(12 * time.Second)
	}
}

func TestBindingsAreAskedForApart(t *testing.T) {
	w := newSourceWorld(t)
	for number := range 3 {
		b := byID(firstID)
		b.UID = types.UID(fmt.Sprint(number))
		if _, problem, err := w.source.Wanted(t.Context(), b); problem != nil || err != nil {
			t.Fatal(problem, err)
		}
	}
	if w.calls["Describe"] != 3 || w.calls["Account"] != 1 {
		t.Errorf("%d looks at the snapshot, %d at the account, want 3 and 1", w.calls["Describe"], w.calls["Account"])
	}
}
