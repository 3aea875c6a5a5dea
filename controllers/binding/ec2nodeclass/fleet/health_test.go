package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
)

// after is how long the nodes of the cases may take.
const after = 10 * time.Minute

// healthCase is a fleet some time after applied, and what its Health is to say. A failure is given by its reason, and by
// words of its message.
type healthCase struct {
	reason  string
	elapsed time.Duration
	class   []edit
	pool    []edit
	claims  []unstructured.Unstructured
	want    binding.Health
	failure string
	words   []string
}

func (c healthCase) run(t *testing.T) {
	f := fleet.Of("gpu", newClass(c.class...), c.claims, items(newPool("a", c.pool...), newPool("b")))
	got := f.Health(applied, after, applied.Add(c.elapsed))
	if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(binding.Health{}, "Failure")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", c.reason, diff)
	}
	if got.Failure == nil {
		got.Failure = &binding.Problem{}
	}
	if got.Failure.Reason != c.failure {
		t.Fatalf("%s: got failure %q, %s", c.reason, got.Failure.Reason, got.Failure.Message)
	}
	for _, words := range c.words {
		if !strings.Contains(got.Failure.Message, words) {
			t.Errorf("%s: the message lacks %q: %s", c.reason, words, got.Failure.Message)
		}
	}
	if got.Failure.Stalled {
		t.Errorf("%s: whether a person has to act is for the rollback to say", c.reason)
	}
}

// unvalidated is what a snapshot that EC2 refuses makes of a class: measured with Karpenter 1.15.
func unvalidated(since time.Duration) []edit {
	return []edit{
		generation(8), says("AMIsReady=True", -time.Hour), says("SubnetsReady=True", -time.Hour),
		saysOf(7, "ValidationSucceeded=True", -time.Hour), says("Ready=Unknown ReconcilingDependents: ValidationSucceeded=True", since),
	}
}

func with(edits []edit, more ...edit) []edit { return append(edits, more...) }

func TestHealthOfTheClass(t *testing.T) {
	cases := map[string]healthCase{
		"ready": {reason: "nothing is wrong, and no node has tried it", elapsed: time.Hour},
		"refused at validation": {
			reason: "the condition says nothing, so the message says who does", elapsed: 90 * time.Second, class: unvalidated(10 * time.Second),
			failure: v1alpha1.ReasonTargetNotReady, words: []string{"EC2NodeClass gpu", "Ready=Unknown ReconcilingDependents", "Karpenter's log", "launch"},
		},
		"not for long": {
			reason: "Karpenter tries again", elapsed: 30 * time.Second, class: unvalidated(10 * time.Second),
			want: binding.Health{RetryAfter: 40 * time.Second},
		},
		"not looked at": {
			reason: "Ready is of the generation before", elapsed: time.Hour, class: []edit{generation(8)},
		},
		"not looked at, and not Ready": {
			reason: "what it says is not of what was written", elapsed: time.Hour,
			class: []edit{says("ValidationSucceeded=False RunInstancesAuthCheckFailed", time.Second), says("Ready=False UnhealthyDependents", time.Second), generation(8)},
		},
		"not looked at, and nothing else said": {
			reason: "Ready itself is of the generation before", elapsed: time.Hour,
			class: []edit{without("status", "conditions"), says("ValidationSucceeded=False RunInstancesAuthCheckFailed", time.Second),
				says("Ready=False UnhealthyDependents", time.Second), generation(8)},
		},
		"not Ready since before": {
			reason: "it was broken when the snapshot was written", elapsed: time.Hour, class: unvalidated(-time.Minute),
		},
		"not allowed to run instances": {
			reason: "a role may use the snapshots of its own account only", elapsed: 2 * time.Minute,
			class: []edit{says("ValidationSucceeded=False RunInstancesAuthCheckFailed: Controller isn't authorized to call ec2:RunInstances", time.Second),
				says("Ready=False UnhealthyDependents: ValidationSucceeded=False", time.Second)},
			failure: v1alpha1.ReasonTargetNotReady, words: []string{"RunInstancesAuthCheckFailed", "isn't authorized"},
		},
		"another mistake in the class": {
			reason: "Karpenter names it", elapsed: time.Hour,
			class: []edit{says("ValidationSucceeded=False TagValidationFailed: tag", time.Second), says("Ready=False UnhealthyDependents", time.Second)},
		},
		"no subnets": {
			reason: "the snapshot takes no subnet away", elapsed: time.Hour,
			class: with(unvalidated(time.Second), says("SubnetsReady=False SubnetsNotFound", time.Second)),
		},
		"subnets not asked for": {
			reason: "EC2 did not answer for the generation", elapsed: time.Hour,
			class: with(unvalidated(time.Second), saysOf(7, "SubnetsReady=True", -time.Hour)),
		},
		"AMIs not known": {
			reason: "whatever else is not true explains it", elapsed: time.Hour,
			class: with(unvalidated(time.Second), says("AMIsReady=Unknown AwaitingReconciliation", time.Second)),
		},
		"without validation": {
			reason: "Karpenter 1.0 has none, so its class cannot tell of a snapshot", elapsed: time.Hour,
			class: []edit{without("status", "conditions"), saysOf(0, "AMIsReady=True", 0), saysOf(0, "Ready=False NodeClassNotReady: Failed to detect the cluster CIDR", time.Second)},
		},
		"never Ready": {
			reason: "a class that is older than the snapshot was broken already", elapsed: time.Hour,
			class: with(unvalidated(-24*time.Hour), says("ValidationSucceeded=Unknown AwaitingReconciliation", -24*time.Hour)),
		},
		"derived, and never Ready": {
			reason: "it was made with the snapshot, a moment before that was noted", elapsed: time.Hour,
			class: with([]edit{created(-2 * time.Second), annotated(v1alpha1.AnnotationDerivedFrom, "base")},
				with(unvalidated(-2*time.Second), says("ValidationSucceeded=Unknown AwaitingReconciliation: object is awaiting reconciliation", -2*time.Second))...),
			failure: v1alpha1.ReasonTargetNotReady, words: []string{"Karpenter's log"},
		},
	}
	for name, c := range cases {
		t.Run(name, c.run)
	}
}

func launchFailed(name, message string, edits ...edit) *unstructured.Unstructured {
	return newClaim(name, append([]edit{created(time.Minute), says("Launched=Unknown LaunchFailed: "+message, time.Minute),
		says("Ready=Unknown ReconcilingDependents", time.Minute)}, edits...)...)
}

func TestHealthOfLaunches(t *testing.T) {
	const nothing = "Instance launch failed"
	cases := map[string]healthCase{
		"all failed": {
			reason: "Karpenter's words say nothing, so the message says where EC2's are", elapsed: 3 * time.Minute,
			claims: items(launchFailed("1", nothing), launchFailed("2", nothing)), want: binding.Health{Broken: 2},
			failure: v1alpha1.ReasonLaunchFailed, words: []string{"NodePool a", "2 says", "LaunchFailed: " + nothing, "Karpenter's log"},
		},
		"just failed": {
			reason: "Karpenter tries again within seconds", elapsed: 90 * time.Second,
			claims: items(launchFailed("1", nothing)), want: binding.Health{RetryAfter: 30 * time.Second},
		},
		"asked for before": {
			reason: "what failed before is not of the snapshot's making", elapsed: 3 * time.Minute,
			claims: items(launchFailed("1", nothing, created(-time.Second))),
		},
		"given up": {
			reason: "why one that goes did not come is not known for sure", elapsed: 3 * time.Minute,
			claims: items(launchFailed("1", nothing, deleted)),
		},
		"another of the pool was launched": {
			reason: "the snapshot can be launched with", elapsed: 3 * time.Minute,
			claims: items(launchFailed("1", nothing), newClaim("2", created(time.Minute), says("Ready=Unknown x", 0))),
			want:   binding.Health{Broken: 1, RetryAfter: 8 * time.Minute},
		},
		"another pool's was launched": {
			reason: "each pool has its own instance types and zones, and its own say", elapsed: 3 * time.Minute,
			claims:  items(launchFailed("1", nothing), newClaim("2", created(time.Minute), labelled("karpenter.sh/nodepool", "b"))),
			want:    binding.Health{Broken: 1, Working: 1},
			failure: v1alpha1.ReasonLaunchFailed,
		},
		"no capacity": {
			reason: "an early Karpenter repeats EC2's code", elapsed: 3 * time.Minute,
			claims: items(launchFailed("1", "creating instance, with fleet error(s), InsufficientInstanceCapacity: We currently do not have")),
		},
		"no capacity, and a bad snapshot": {
			reason: "EC2 answers for several instance types at once", elapsed: 3 * time.Minute,
			claims:  items(launchFailed("1", "InsufficientInstanceCapacity: none; InvalidSnapshot.NotFound: The snapshot 'snap-1' does not exist")),
			want:    binding.Health{Broken: 1},
			failure: v1alpha1.ReasonLaunchFailed, words: []string{"InvalidSnapshot.NotFound"},
		},
		"quota": {
			reason: "Karpenter has a word of its own for it", elapsed: 3 * time.Minute,
			claims: items(launchFailed("1", "", says("Launched=Unknown VCPULimitExceeded: An instance was requested", time.Minute))),
		},
		"not allowed": {
			reason: "a snapshot, or its key, may be out of the role's reach", elapsed: 3 * time.Minute,
			claims:  items(launchFailed("1", "", says("Launched=Unknown Unauthorized: User is not authorized", time.Minute))),
			want:    binding.Health{Broken: 1},
			failure: v1alpha1.ReasonLaunchFailed,
		},
		"not tried": {
			reason: "Karpenter has not come to it", elapsed: time.Hour,
			claims: items(launchFailed("1", "", says("Launched=Unknown AwaitingReconciliation: object is awaiting reconciliation", time.Minute))),
		},
		"a long answer": {
			reason: "an event takes no more", elapsed: 3 * time.Minute, claims: items(launchFailed("1", strings.Repeat("wörd ", 100)+"END")),
			want: binding.Health{Broken: 1}, failure: v1alpha1.ReasonLaunchFailed, words: []string{"…. EC2's"},
		},
	}
	for name, c := range cases {
		t.Run(name, c.run)
	}
}

func TestHealthOfNodes(t *testing.T) {
	booting := func(name string, edits ...edit) *unstructured.Unstructured {
		return newClaim(name, append([]edit{created(time.Minute), says("Launched=True", time.Minute), says("Ready=Unknown ReconcilingDependents", time.Minute),
			says("Registered=Unknown NodeNotFound: Node not registered with cluster", time.Minute)}, edits...)...)
	}
	ready := says("Ready=True", 2*time.Minute)
	cases := map[string]healthCase{
		"in time": {
			reason: "it has eight of its ten minutes left", elapsed: 3 * time.Minute, claims: items(booting("1")),
			want: binding.Health{RetryAfter: 8 * time.Minute},
		},
		"late": {
			reason: "its time is up", elapsed: 11 * time.Minute, claims: items(booting("1")), want: binding.Health{Broken: 1},
			failure: v1alpha1.ReasonNodesNotReady, words: []string{"NodePool a", "NodeClaim 1", "10m0s", "Registered=Unknown NodeNotFound", "console output"},
		},
		"registered, and late": {
			reason: "what it still lacks is said", elapsed: 11 * time.Minute, want: binding.Health{Broken: 1},
			claims:  items(booting("1", says("Registered=True", 0), says("Initialized=Unknown NodeNotReady: Node status is NotReady", 0))),
			failure: v1alpha1.ReasonNodesNotReady, words: []string{"Initialized=Unknown NodeNotReady"},
		},
		"launched late": {
			reason: "its time runs from its launch, not from the moment when it was asked for", elapsed: 11 * time.Minute,
			claims: items(booting("1", says("Launched=True", 6*time.Minute))), want: binding.Health{RetryAfter: 5 * time.Minute},
		},
		"late, and another is Ready": {
			reason: "the snapshot boots, so something else keeps this one", elapsed: 11 * time.Minute,
			claims: items(booting("1"), booting("2", ready)), want: binding.Health{Broken: 1, Working: 1, Proven: true},
		},
		"late, and one was Ready": {
			reason: "one that goes has proved it all the same, and works no more", elapsed: 11 * time.Minute,
			claims: items(booting("1"), booting("2", ready, deleted)), want: binding.Health{Broken: 1, Proven: true},
		},
		"late, and one of another pool is Ready": {
			reason: "the other pool may be of another architecture", elapsed: 11 * time.Minute,
			claims:  items(booting("1"), booting("2", ready, labelled("karpenter.sh/nodepool", "b"))),
			want:    binding.Health{Broken: 1, Working: 1},
			failure: v1alpha1.ReasonNodesNotReady, words: []string{"NodePool a"},
		},
		"being deleted": {
			reason: "it was not needed any more, perhaps", elapsed: time.Hour, claims: items(booting("1", deleted)),
		},
		"from before": {
			reason: "its volume is of another snapshot", elapsed: time.Hour,
			claims: items(booting("1", created(-time.Minute), says("Launched=True", -time.Minute))),
		},
		"Ready from before": {
			reason: "it works with the class as it is, and proves nothing: the class's hash may be late",
			claims: items(newClaim("1")), want: binding.Health{Working: 1},
		},
		"Ready": {
			reason: "a node was launched with it and became Ready", claims: items(booting("1", ready)),
			want: binding.Health{Working: 1, Proven: true},
		},
	}
	for name, c := range cases {
		t.Run(name, c.run)
	}
}

func TestHealthOfRegistrations(t *testing.T) {
	unhealthy := func(after time.Duration) []edit {
		return []edit{says("NodeRegistrationHealthy=False RegistrationFailed: Failed to register node", after)}
	}
	unlaunched := func(after time.Duration) []edit {
		return []edit{says("NodeRegistrationHealthy=False LaunchFailed: Instance launch failed", after)}
	}
	cases := map[string]healthCase{
		"gave up": {
			reason: "Karpenter waits 15 minutes, so it speaks of nodes with the snapshot", elapsed: 20 * time.Minute, pool: unhealthy(15 * time.Minute),
			failure: v1alpha1.ReasonNodesNotReady, words: []string{"NodePool a", "RegistrationFailed: Failed to register node"},
		},
		"gave up early":    {reason: "it speaks of a node that is older than the snapshot", elapsed: 20 * time.Minute, pool: unhealthy(14 * time.Minute)},
		"gave up before":   {reason: "it did so without the snapshot", elapsed: 20 * time.Minute, pool: unhealthy(-time.Minute)},
		"launches failed":  {reason: "Karpenter waits 5 minutes for these", elapsed: 20 * time.Minute, pool: unlaunched(5 * time.Minute), failure: v1alpha1.ReasonNodesNotReady},
		"launched earlier": {reason: "a launch of before", elapsed: 20 * time.Minute, pool: unlaunched(4 * time.Minute)},
		"over quota": {
			reason: "Karpenter names another cause", elapsed: 20 * time.Minute,
			pool: []edit{says("NodeRegistrationHealthy=False VCPULimitExceeded: An instance was requested", 15*time.Minute)},
		},
		"not known": {reason: "Karpenter resets it when the class changes", elapsed: 20 * time.Minute, pool: []edit{says("NodeRegistrationHealthy=Unknown AwaitingReconciliation", 15*time.Minute)}},
		"one is Ready": {
			reason: "the snapshot boots", elapsed: 20 * time.Minute, pool: unhealthy(15 * time.Minute),
			claims: items(newClaim("1", created(time.Minute))), want: binding.Health{Working: 1, Proven: true},
		},
		"pool of another class": {
			reason: "it launches nothing with the snapshot any more", elapsed: 20 * time.Minute,
			pool: append(unhealthy(15*time.Minute), of("cpu", "spec", "template", "spec", "nodeClassRef")), claims: items(newClaim("1", created(time.Minute), deleted, says("Ready=Unknown x", 0))),
		},
		"launches failed, and one did not": {
			reason: "the snapshot can be launched with, and that node has time left", elapsed: 8 * time.Minute, pool: unlaunched(5 * time.Minute),
			claims: items(newClaim("1", created(time.Minute), says("Ready=Unknown x", 0))), want: binding.Health{RetryAfter: 3 * time.Minute},
		},
	}
	for name, c := range cases {
		t.Run(name, c.run)
	}
}

func TestHealthIsUnknownBeforeTheFirstWrite(t *testing.T) {
	f := fleet.Of("gpu", newClass(unvalidated(0)...), items(newClaim("1", created(time.Minute))), nil)
	if diff := cmp.Diff(binding.Health{}, f.Health(time.Time{}, after, applied.Add(time.Hour))); diff != "" {
		t.Errorf("nothing was written (-want +got):\n%s", diff)
	}
}

func TestNodesMayTakeAsLongAsTheyWant(t *testing.T) {
	f := fleet.Of("gpu", newClass(), items(newClaim("1", created(0), says("Ready=Unknown x", 0))), nil)
	if diff := cmp.Diff(binding.Health{}, f.Health(applied, 0, applied.Add(24*time.Hour))); diff != "" {
		t.Errorf("rollback.after is 0s (-want +got):\n%s", diff)
	}
}
