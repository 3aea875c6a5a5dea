package karpenter_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/karpenter"
)

// TestBudgets: how many of eleven drifted nodes one round begins to replace.
func TestBudgets(t *testing.T) {
	budget := func(nodes string, more ...any) map[string]any {
		one := map[string]any{"nodes": nodes}
		for i := 0; i < len(more); i += 2 {
			one[more[i].(string)] = more[i+1]
		}
		return one
	}
	const noon = "0 12 * * *"
	cases := map[string]struct {
		budgets []any
		want    int
	}{
		"without any it is 10 %, and 1.1 is rounded up":  {nil, 2},
		"an empty list does not limit":                   {[]any{}, 11},
		"a number":                                       {[]any{budget("3")}, 3},
		"none":                                           {[]any{budget("0")}, 0},
		"none, as a percentage":                          {[]any{budget("0%")}, 0},
		"the least counts":                               {[]any{budget("5"), budget("20%")}, 3},
		"one for drift":                                  {[]any{budget("0", "reasons", []any{"Drifted"})}, 0},
		"one for other reasons does not count":           {[]any{budget("0", "reasons", []any{"Empty", "Underutilized"})}, 11},
		"one that is active now":                         {[]any{budget("0", "schedule", noon, "duration", "1h")}, 0},
		"one that began its duration ago is over":        {[]any{budget("0", "schedule", "0 11 * * *", "duration", "1h")}, 11},
		"one that is not active does not limit":          {[]any{budget("0", "schedule", "1 12 * * *", "duration", "1h")}, 11},
		"one that is not active leaves the others as is": {[]any{budget("0", "schedule", "1 12 * * *", "duration", "1h"), budget("1")}, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, newFake())
			w.edit(w.pool(), func(spec map[string]any) {
				disruption := spec["disruption"].(map[string]any)
				delete(disruption, "budgets")
				if c.budgets != nil {
					disruption["budgets"] = c.budgets
				}
			})
			w.nodes(11)
			w.launch() // a node that is not up does not count
			w.bootFrom(goodSnapshot)
			w.settle()
			if got := len(w.disrupt().Started); got != c.want {
				t.Errorf("%d nodes begin to be replaced, want %d", got, c.want)
			}
			if got := len(w.disrupt().Started); c.want < 11 && got != 0 {
				t.Errorf("%d more begin to be replaced while those are under way", got)
			}
		})
	}
}

// TestReplacementComesUpFirst: a drifted node goes when, and only when, there is another.
func TestReplacementComesUpFirst(t *testing.T) {
	w := newWorld(t, newFake())
	old := w.nodes(1)[0]
	w.bootFrom(goodSnapshot)
	w.settle()

	lost := w.disrupt().Started[0].New
	w.says(w.claim(old), "DisruptionReason", "True", "Drifted")
	w.clock.SetTime(w.clock.Now().Add(15 * time.Minute))
	w.settle()
	w.settle()
	if !w.isGone(lost) {
		t.Fatal("the replacement that did not come up is still there")
	}

	next := w.disrupt()
	replacement := next.Started[0].New
	if diff := cmp.Diff(karpenter.Round{Started: []karpenter.Replacement{{Pool: "pool", Old: old, New: replacement}}}, next); diff != "" {
		t.Errorf("after a replacement was lost (-want +got):\n%s", diff)
	}
	if round := w.disrupt(); len(round.Finished) != 0 || w.isGone(old) {
		t.Errorf("%+v, though the replacement is not up", round)
	}
	if err := w.Ready(t.Context(), replacement); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(karpenter.Round{Finished: next.Started}, w.disrupt()); diff != "" {
		t.Errorf("after the replacement came up (-want +got):\n%s", diff)
	}
	w.settle()
	if !w.isGone(old) {
		t.Error("the old node is still there")
	}
	w.says(w.claim(replacement), "Drifted", "", "")
}

// TestNothingIsReplacedWhileNothingLaunches: the pods would have no place to go.
func TestNothingIsReplacedWhileNothingLaunches(t *testing.T) {
	w := newWorld(t, newFake())
	w.nodes(2)
	w.unusable[badSnapshot] = true
	w.bootFrom(badSnapshot)
	w.settle()
	if round := w.disrupt(); len(round.Started) != 0 {
		t.Errorf("%+v, while the class is not Ready", round)
	}
}
