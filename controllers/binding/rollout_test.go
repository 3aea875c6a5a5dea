package binding

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// noon is the time of all pure cases; snap-1 was written an hour before.
const noon = "2026-05-01T12:00:00Z"

func appliedBinding(t testing.TB, strategy v1alpha1.RolloutStrategy) *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{}
	b.Name = "b"
	b.Spec.Rollout.Strategy = strategy
	b.Status.AppliedSnapshotID = "snap-1"
	b.Status.AppliedTime = &metav1.Time{Time: moment(t, noon).Add(-time.Hour)}
	return b
}

// karpenters is what the bindings of these cases hold.
var karpenters = Subject{Kind: "EC2NodeClass", Name: "gpu", Part: "/dev/xvdb", Node: "NodeClaim", Pool: "NodePool",
	Evidence: "Karpenter keeps the cause in its log."}

const (
	withNextDrift = v1alpha1.RolloutWithNextDrift
	newNodesOnly  = v1alpha1.RolloutNewNodesOnly
	roll          = v1alpha1.RolloutRoll
)

var (
	busy     = []Pool{{Name: "b", Outdated: 1, Staying: 1}, {Name: "a", Outdated: 3, Staying: 2}}
	drifting = []Pool{{Name: "a", Outdated: 3}}
	holding  = []Pool{{Name: "a", Outdated: 3, Staying: 3, HoldsDrift: true}}
	// openTill13 opened half an hour ago, and opens14 two hours from now.
	openTill13 = windowOf("30 11 * * *", "UTC", 90*time.Minute)
	opens14    = windowOf("0 14 * * *", "UTC", time.Hour)
)

func TestMayWrite(t *testing.T) {
	cases := map[string]struct {
		reason      string
		strategy    v1alpha1.RolloutStrategy
		purpose     purpose
		pools       []Pool
		health      Health
		window      *v1alpha1.RolloutWindow
		minInterval time.Duration
		edit        func(*v1alpha1.NodeClassBinding)
		asked       bool
		// want is the reason; empty for yes. after is when to look again, and says is in the message.
		want  string
		after time.Duration
		says  []string
	}{
		"Roll": {
			reason: "the user agreed to replace nodes", strategy: roll, purpose: another, pools: busy,
		},
		"Roll in its window": {
			reason: "now is when", strategy: roll, purpose: another, pools: busy, window: openTill13,
		},
		"Roll before its window": {
			reason: "and now is not", strategy: roll, purpose: another, pools: busy, window: opens14,
			want: v1alpha1.ReasonWaitingForWindow, after: 2 * time.Hour,
			says: []string{"until the window opens at 2026-05-01T14:00:00Z", "it would replace 3 NodeClaims of NodePools a: 2, b: 1",
				"new nodes boot with snap-1 until then", `kubectl annotate --overwrite nodeclassbinding b larder.dev/apply-now=`},
		},
		"Roll before its window, without nodes": {
			reason: "nothing is written outside of it", strategy: roll, purpose: another, window: opens14,
			want: v1alpha1.ReasonWaitingForWindow, after: 2 * time.Hour, says: []string{"it would replace no NodeClaim"},
		},
		"NewNodesOnly without nodes": {
			reason: "nobody is replaced", strategy: newNodesOnly, purpose: another,
		},
		"NewNodesOnly with nodes": {
			reason: "somebody would be", strategy: newNodesOnly, purpose: another, pools: busy,
			want: v1alpha1.ReasonNodesWouldReplace, says: []string{"3 NodeClaims of NodePools a: 2, b: 1", "To have it now: kubectl annotate"},
		},
		"NewNodesOnly with nodes in an open window": {
			reason: "a window is when, not whether", strategy: newNodesOnly, purpose: another, pools: busy, window: openTill13,
			want: v1alpha1.ReasonNodesWouldReplace,
		},
		"NewNodesOnly with nodes that drift anyway": {
			reason: "they go without Larder", strategy: newNodesOnly, purpose: another, pools: drifting,
		},
		"NewNodesOnly with pools that hold drift": {
			reason: "their nodes stay whatever the class says", strategy: newNodesOnly, purpose: another, pools: holding,
		},
		"NewNodesOnly with one pool that does not hold drift": {
			reason: "one is enough to replace somebody", strategy: newNodesOnly, purpose: another,
			pools: append([]Pool{{Name: "z", Current: 1, Staying: 1}}, holding...),
			want:  v1alpha1.ReasonNodesWouldReplace, says: []string{"it would replace 1 NodeClaim of NodePool z;"},
		},
		"NewNodesOnly without nodes, before its window": {
			reason: "nothing is written outside of it", strategy: newNodesOnly, purpose: another, window: opens14,
			want: v1alpha1.ReasonWaitingForWindow, after: 2 * time.Hour,
		},
		"WithNextDrift without nodes": {
			reason: "nobody is replaced", strategy: withNextDrift, purpose: another,
		},
		"WithNextDrift with nodes that drift anyway": {
			reason: "this is the next drift", strategy: withNextDrift, purpose: another, pools: drifting,
		},
		"WithNextDrift with nodes": {
			reason: "Larder alone would replace them", strategy: withNextDrift, purpose: another, pools: busy,
			want: v1alpha1.ReasonWaitingForDrift,
			says: []string{"until all NodeClaims are being replaced for another cause:", "3 NodeClaims of NodePools a: 2, b: 1 stay"},
		},
		"WithNextDrift with pools that hold drift": {
			reason: "they would be replaced as soon as their budget lets them, and then because of Larder", strategy: withNextDrift,
			purpose: another, pools: holding, want: v1alpha1.ReasonWaitingForDrift,
			says: []string{"3 NodeClaims of NodePool a stay, and it would replace no NodeClaim"},
		},
		"WithNextDrift in its window": {
			reason: "the user agreed to that time", strategy: withNextDrift, purpose: another, pools: busy, window: openTill13,
		},
		"WithNextDrift before its window": {
			reason: "whichever comes first", strategy: withNextDrift, purpose: another, pools: busy, window: opens14,
			want: v1alpha1.ReasonWaitingForDrift, after: 2 * time.Hour, says: []string{"or the window opens at 2026-05-01T14:00:00Z"},
		},
		"WithNextDrift with drift, before its window": {
			reason: "whichever comes first", strategy: withNextDrift, purpose: another, pools: drifting, window: opens14,
		},
		"a first snapshot is bound by the strategy": {
			reason: "it replaces nodes as any other", strategy: withNextDrift, purpose: first, pools: busy,
			edit: func(b *v1alpha1.NodeClassBinding) { b.Status = v1alpha1.NodeClassBindingStatus{} },
			want: v1alpha1.ReasonWaitingForDrift, says: []string{"no snapshot of this binding is in use yet"},
		},
		"minInterval": {
			reason: "an hour of three is over", strategy: roll, purpose: another, pools: busy, minInterval: 3 * time.Hour,
			want: v1alpha1.ReasonMinInterval, after: 2 * time.Hour,
			says: []string{"until 2026-05-01T14:00:00Z, when rollout.minInterval of 3h0m0s is over since snap-1 was written"},
		},
		"minInterval, in a window that closes before": {
			reason: "what it waits for changes then", strategy: roll, purpose: another, minInterval: 3 * time.Hour,
			window: openTill13, want: v1alpha1.ReasonMinInterval, after: time.Hour,
		},
		"minInterval is over": {
			reason: "to the second", strategy: roll, purpose: another, minInterval: time.Hour,
		},
		"minInterval and a mended device": {
			reason: "it is the same snapshot", strategy: roll, purpose: mend, minInterval: 3 * time.Hour,
		},
		"minInterval and a first snapshot": {
			reason: "none was written before", strategy: roll, purpose: first, minInterval: 3 * time.Hour,
		},
		"paused": {
			reason: "nothing at all is written", strategy: roll, purpose: another, pools: busy,
			edit: func(b *v1alpha1.NodeClassBinding) { b.Spec.Rollout.Paused = true },
			want: v1alpha1.ReasonPaused, says: []string{"which larder.dev/apply-now waits for too", "3 NodeClaims of NodePools a: 2, b: 1"},
		},
		"paused, and a bad snapshot": {
			reason: "not even that", strategy: roll, purpose: retreat,
			edit: func(b *v1alpha1.NodeClassBinding) { b.Spec.Rollout.Paused = true },
			want: v1alpha1.ReasonPaused,
		},
		"a window that never opens": {
			reason: "a person has to mend it", strategy: roll, purpose: another, window: windowOf("0 2 30 2 *", "UTC", time.Hour),
			want: v1alpha1.ReasonWindowInvalid, says: []string{"Change spec.rollout.window"},
		},
		"asked under NewNodesOnly": {
			reason: "the person who asks agrees", strategy: newNodesOnly, purpose: another, pools: busy, asked: true,
		},
		"asked before the window and minInterval": {
			reason: "and means now", strategy: roll, purpose: another, minInterval: 3 * time.Hour, window: opens14, asked: true,
		},
		"asked with a window that never opens": {
			reason: "which does not matter then", strategy: roll, purpose: another, window: windowOf("0 2 30 2 *", "UTC", time.Hour), asked: true,
		},
		"a bad snapshot under Roll": {
			reason: "the user agreed to replace nodes", strategy: roll, purpose: retreat, pools: busy, health: Health{Working: 1},
			minInterval: 3 * time.Hour,
		},
		"a bad snapshot with which no node works": {
			reason: "who is replaced has nothing to lose", strategy: withNextDrift, purpose: retreat, pools: busy, health: Health{Broken: 2},
		},
		"a bad snapshot with which nodes work": {
			reason: "Larder would replace them", strategy: withNextDrift, purpose: retreat, pools: busy, health: Health{Broken: 1, Working: 2},
			want: v1alpha1.ReasonNoWayBack, says: []string{"although snap-1 failed", "of strategy WithNextDrift, does not agree", "kubectl annotate", "or set rollout.strategy to Roll"},
		},
		"a bad snapshot with which nodes work, in pools that hold drift": {
			reason: "they stay", strategy: newNodesOnly, purpose: retreat, pools: holding, health: Health{Broken: 1, Working: 2},
		},
		"a bad snapshot with which nodes work, before the window": {
			reason: "Roll agrees to replace them, and not now", strategy: roll, purpose: retreat, pools: busy, window: opens14,
			health: Health{Broken: 1, Working: 2}, want: v1alpha1.ReasonNoWayBack, after: 2 * time.Hour,
		},
		"a bad snapshot with which no node works, before the window": {
			reason: "a pool that cannot grow cannot wait", strategy: roll, purpose: retreat, pools: busy, window: opens14,
		},
		"to restore under Roll": {
			reason: "the user agreed to replace nodes", strategy: roll, purpose: restore, pools: busy,
		},
		"to restore before the window": {
			reason: "and not now", strategy: roll, purpose: restore, pools: busy, window: opens14,
			want: v1alpha1.ReasonWaitingForWindow, after: 2 * time.Hour, says: []string{"the deletion waits", "new nodes boot with snap-1 until then"},
		},
		"to restore what no node has, before the window": {
			reason: "nobody is replaced, so nobody waits", strategy: roll, purpose: restore, pools: drifting, window: opens14,
		},
		"to restore under NewNodesOnly": {
			reason: "a deletion is no consent to replace nodes", strategy: newNodesOnly, purpose: restore, pools: busy,
			want: v1alpha1.ReasonNodesWouldReplace,
		},
		"to restore under WithNextDrift": {
			reason: "nor is it here", strategy: withNextDrift, purpose: restore, pools: busy, want: v1alpha1.ReasonWaitingForDrift,
		},
		"to leave under NewNodesOnly": {
			reason: "no device changes", strategy: newNodesOnly, purpose: restore, pools: busy, window: opens14,
			edit: func(b *v1alpha1.NodeClassBinding) { b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := appliedBinding(t, tc.strategy)
			b.Spec.Rollout.Window = tc.window
			if tc.minInterval > 0 {
				b.Spec.Rollout.MinInterval = &metav1.Duration{Duration: tc.minInterval}
			}
			if tc.edit != nil {
				tc.edit(b)
			}
			g := goal{subject: karpenters, purpose: tc.purpose, inPlace: true, plan: Plan{InPlace: "snap-1", Pools: tc.pools, Health: tc.health, Write: "w"}}
			if tc.purpose != restore {
				g.snapshot.ID = "snap-2"
			}
			problem := mayWrite(b, g, tc.asked, moment(t, noon))
			checkProblem(t, tc.reason, problem, tc.want, tc.says...)
			if problem != nil && problem.RetryAfter != tc.after {
				t.Errorf("%s: looks again after %s, want %s", tc.reason, problem.RetryAfter, tc.after)
			}
		})
	}
}

// checkProblem wants no problem when the reason is empty.
func checkProblem(t testing.TB, reason string, problem *Problem, want string, says ...string) {
	t.Helper()
	if problem == nil {
		if want != "" {
			t.Errorf("%s: got no problem, want %s", reason, want)
		}
		return
	}
	if problem.Reason != want {
		t.Errorf("%s: got %q, want %q: %s", reason, problem.Reason, want, problem.Message)
	}
	for _, part := range says {
		if !strings.Contains(problem.Message, part) {
			t.Errorf("%s: the message does not say %q:\n%s", reason, part, problem.Message)
		}
	}
}

func TestCountOfNodes(t *testing.T) {
	many := []Pool{{Name: "f", Staying: 1}, {Name: "e", Staying: 1}, {Name: "d", Staying: 1}, {Name: "c", Staying: 1},
		{Name: "b", Staying: 1}, {Name: "a", Staying: 1}, {Name: "none stays"}}
	cases := map[string]struct {
		pools []Pool
		want  string
	}{
		"none":           {drifting, "no NodeClaim"},
		"one":            {[]Pool{{Name: "a", Staying: 1}}, "1 NodeClaim of NodePool a"},
		"several of one": {[]Pool{{Name: "a", Staying: 2}}, "2 NodeClaims of NodePool a"},
		"several":        {busy, "3 NodeClaims of NodePools a: 2, b: 1"},
		"without a pool": {[]Pool{{Staying: 2}}, "2 NodeClaims of NodePool (none)"},
		"many pools":     {many, "6 NodeClaims of NodePools a: 1, b: 1, c: 1, d: 1, e: 1, and 1 more"},
	}
	for name, tc := range cases {
		if got := karpenters.count(tc.pools, staying); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	groups := Subject{Node: "instance", Pool: "Auto Scaling group"}
	for want, pools := range map[string][]Pool{
		"no instance":                                   nil,
		"1 instance of Auto Scaling group a":            {{Name: "a", Staying: 1}, {Name: "b"}},
		"2 instances of Auto Scaling group b":           {{Name: "a"}, {Name: "b", Staying: 2}},
		"3 instances of Auto Scaling groups a: 1, b: 2": {{Name: "b", Staying: 2}, {Name: "a", Staying: 1}},
	} {
		if got := groups.count(pools, staying); got != want {
			t.Errorf("of Auto Scaling groups: got %q, want %q", got, want)
		}
	}
}
