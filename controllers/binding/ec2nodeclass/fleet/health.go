package fleet

import (
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/message"
)

const (
	// grace is how long a failure of AWS may last before the snapshot is blamed: Karpenter tries again after a throttled or
	// failed call, within seconds at first.
	grace = time.Minute

	// launchTimeout and registrationTimeout are when Karpenter gives a NodeClaim up that is not launched, or not registered,
	// counted from its creation: sigs.k8s.io/karpenter, pkg/controllers/nodeclaim/lifecycle/liveness.go.
	launchTimeout       = 5 * time.Minute
	registrationTimeout = 15 * time.Minute

	// longestQuote is how much of a message of Karpenter's is repeated, in bytes. Karpenter cuts its own at 300.
	longestQuote = 300
)

// Health says how nodes get on with the snapshot that was written at applied: zero for none, and then nothing is known.
// A node may take that long, after, from its launch until it is Ready; with zero, as long as it wants.
func (f *Fleet) Health(applied time.Time, after time.Duration, now time.Time) binding.Health {
	if applied.IsZero() {
		return binding.Health{}
	}
	t := trial{fleet: f, applied: applied, after: after, now: now, pools: map[string]*trialPool{}}
	proven := t.look()
	health := binding.Health{Broken: t.broken, Working: t.working}
	health.Failure = t.ofClass()
	for _, of := range []func(string, *trialPool) *binding.Problem{t.ofLaunches, t.ofNodes, t.ofRegistrations} {
		for _, name := range slices.Sorted(maps.Keys(t.pools)) {
			if health.Failure == nil {
				health.Failure = of(name, t.pools[name])
			}
		}
	}
	health.Proven = proven && health.Failure == nil
	health.RetryAfter = t.retryAfter
	return health
}

// trial is one look at the nodes that were asked for since a snapshot was written.
type trial struct {
	fleet           *Fleet
	applied, now    time.Time
	after           time.Duration
	pools           map[string]*trialPool
	broken, working int
	retryAfter      time.Duration
}

// trialPool is what one NodePool has to show since then. One node that was launched, or is Ready, tells that what keeps the
// others is not the snapshot: they all boot with it.
type trialPool struct {
	launched, ready bool
	// unlaunched and late are NodeClaims that failed; nil for none.
	unlaunched, late *unstructured.Unstructured
}

// isOverdue tells whether a time has come, and otherwise notes when it will.
func (t *trial) isOverdue(deadline time.Time) bool {
	left := deadline.Sub(t.now)
	if left > 0 && (t.retryAfter == 0 || left < t.retryAfter) {
		t.retryAfter = left
	}
	return left <= 0
}

// look goes through the NodeClaims, and tells whether one since then is Ready. One that is being deleted counts only for
// what it achieved: why it failed, if it did, is not known.
func (t *trial) look() (proven bool) {
	for name, pool := range t.fleet.pools {
		if ClassOfPool(pool) == t.fleet.name {
			t.pools[name] = &trialPool{}
		}
	}
	for _, claim := range t.fleet.claims {
		ready := conditionOf(claim, conditionReady).is(metav1.ConditionTrue)
		launched := conditionOf(claim, conditionLaunched)
		stays := claim.GetDeletionTimestamp() == nil
		if ready && stays && t.fleet.isCurrent(claim, t.applied) {
			t.working++
		}
		if !isSince(claim, t.applied) {
			continue
		}
		pool := t.pools[poolOf(claim)]
		if pool == nil {
			pool = &trialPool{}
			t.pools[poolOf(claim)] = pool
		}
		pool.ready = pool.ready || ready
		pool.launched = pool.launched || launched.is(metav1.ConditionTrue)
		proven = proven || ready
		switch {
		case ready || !stays:
		case launched.is(metav1.ConditionTrue):
			if t.after > 0 && t.isOverdue(launchTime(claim, launched).Add(t.after)) {
				t.broken++
				pool.late = claim
			}
		case mayBeSnapshot(launched):
			if t.isOverdue(claim.GetCreationTimestamp().Add(grace)) {
				t.broken++
				pool.unlaunched = claim
			}
		}
	}
	return proven
}

// launchTime leaves the time out that a NodeClaim waited for capacity.
func launchTime(claim *unstructured.Unstructured, launched condition) time.Time {
	created := claim.GetCreationTimestamp().Time
	if launched.since.After(created) {
		return launched.since
	}
	return created
}

func (t *trial) ofLaunches(name string, pool *trialPool) *binding.Problem {
	if pool.unlaunched == nil || pool.launched {
		return nil
	}
	launched := conditionOf(pool.unlaunched, conditionLaunched)
	return &binding.Problem{
		Reason: v1alpha1.ReasonLaunchFailed,
		Message: fmt.Sprintf("Karpenter could launch none of the NodeClaims of %s since the snapshot was written; %s says %s. "+
			"EC2's own answer is in Karpenter's log, under that NodeClaim", describePool(name), pool.unlaunched.GetName(), quote(launched)),
	}
}

func (t *trial) ofNodes(name string, pool *trialPool) *binding.Problem {
	if pool.late == nil || pool.ready {
		return nil
	}
	why := conditionOf(pool.late, conditionRegistered)
	if why.is(metav1.ConditionTrue) {
		why = conditionOf(pool.late, conditionInitialized)
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonNodesNotReady,
		Message: fmt.Sprintf("none of the nodes of %s became Ready since the snapshot was written; NodeClaim %s had %s from its "+
			"launch, and says %s. See the console output of its instance", describePool(name), pool.late.GetName(), t.after, quote(why)),
	}
}

// ofRegistrations hears from Karpenter of NodeClaims that are gone. What it gave up earlier than its timeout after the
// snapshot was written was created before.
func (t *trial) ofRegistrations(name string, pool *trialPool) *binding.Problem {
	owner := t.fleet.pools[name]
	if owner == nil || pool.ready || ClassOfPool(owner) != t.fleet.name {
		return nil
	}
	healthy := conditionOf(owner, conditionRegistrationHealthy)
	timeout := launchTimeout
	switch {
	case healthy.reason == "RegistrationFailed":
		timeout = registrationTimeout
	case !mayBeSnapshot(healthy), pool.launched:
		return nil
	}
	if !healthy.is(metav1.ConditionFalse) || healthy.since.Before(t.applied.Truncate(time.Second).Add(timeout)) {
		return nil
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonNodesNotReady,
		Message: fmt.Sprintf("none of the nodes of %s became Ready since the snapshot was written, and Karpenter gave up on some: "+
			"it says %s. Its log names their NodeClaims", describePool(name), quote(healthy)),
	}
}

func describePool(name string) string {
	if name == "" {
		return "no NodePool"
	}
	return "NodePool " + name
}

func quote(c condition) string {
	if c.status == "" {
		return "nothing of " + c.kind
	}
	return message.Clip(c.String(), longestQuote)
}
