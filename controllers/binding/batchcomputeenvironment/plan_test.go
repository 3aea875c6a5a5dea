package batchcomputeenvironment_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/batch"
	"github.com/larder-dev/larder/internal/aws/launch"
)

var asBefore = launch.Device{Name: "/dev/xvdb", EBS: &launch.Volume{SizeGiB: 30, Type: "gp3"}}

func TestEachTemplateGetsAVersionOfItsOwn(t *testing.T) {
	a, b := newAccount(t), newBinding()
	a.apply(b, first)
	if diff := cmp.Diff([]string{"CreateVersion lt-workers", "CreateVersion lt-gpus", "Update"}, a.called); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	want := []batch.Template{{ID: "lt-workers", Version: "2"}, {ID: "lt-gpus", Version: "2", InstanceTypes: []string{"g5"}}}
	if diff := cmp.Diff(want, a.environment.Templates); diff != "" {
		t.Errorf("templates (-want +got):\n%s", diff)
	}
	plan := a.plan(b, first)
	if plan.Write != nil || plan.InPlace != "snap-1" || !plan.Health.Proven {
		t.Errorf("what is in place is written again, or not known to be in place: %+v", plan)
	}
}

func TestOverridesOfOneTemplateShareAVersion(t *testing.T) {
	a, b := newAccount(t), newBinding()
	a.environment.Templates = append(a.environment.Templates, batch.Template{ID: "lt-gpus", Version: "1", InstanceTypes: []string{"g6"}})
	plan := a.plan(b, first)
	a.carryOut(plan)
	a.called = nil
	a.written(b, first)
	if plan := a.plan(b, first); plan.Write != nil || plan.InPlace != "snap-1" {
		t.Errorf("written again: %+v", plan)
	}
}

// What an environment called its versions comes back with what they had.
func TestRestoration(t *testing.T) {
	cases := map[string]struct {
		reason string
		was    string
		// meanwhile is what the owner does to lt-workers.
		meanwhile func(a *account)
		// named is what the environment names in the end, and calls is what it takes to get there.
		named string
		calls []string
	}{
		"a number":    {"the former content, as a new version", "1", nil, "3", []string{"CreateVersion lt-workers", "Update"}},
		"the latest":  {"it has to be the former content again", "$Latest", nil, "$Latest", []string{"CreateVersion lt-workers", "Update"}},
		"the default": {"which is as it was", "$Default", nil, "$Default", []string{"Update"}},
		"nothing":     {"which is the default one", "", nil, "", []string{"Update"}},
		"a newer latest": {"the owner's own is the latest by now", "$Latest", func(a *account) { a.publish("lt-workers", owner, "newer", asBefore) },
			"$Latest", []string{"Update"}},
		"a default of ours": {"somebody made a version of Larder's the default one", "$Default", func(a *account) { a.defaults["lt-workers"] = 2 },
			"3", []string{"CreateVersion lt-workers", "Update"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := newAccount(t), newBinding()
			a.environment.Templates = []batch.Template{{ID: "lt-workers", Version: tc.was}}
			a.apply(b, first)
			if diff := cmp.Diff([]string{"2"}, a.named()); diff != "" {
				t.Fatalf("Batch has to be told a number (-want +got):\n%s", diff)
			}
			if tc.meanwhile != nil {
				tc.meanwhile(a)
			}
			a.called = nil
			a.carryOut(a.observe(b).PlanEnd(b, a.clock.Now()))
			if diff := cmp.Diff([]string{tc.named}, a.named()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.calls, a.called); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			for _, end := range []binding.Plan{a.observe(b).PlanEnd(b, a.clock.Now()), a.observe(b).PlanWithout(b, a.clock.Now())} {
				if end.Write != nil || end.Problem != nil || end.InPlace != "" {
					t.Errorf("it is not over: %+v", end)
				}
			}
		})
	}
}

// An owner that said $Latest or $Default gets its newer versions with the next snapshot, which is the next time that Batch
// would have looked them up; not before, since that replaces all instances.
func TestOwnersNewerVersionIsTakenUp(t *testing.T) {
	for was, change := range map[string]func(*account){
		"$Latest": func(a *account) {
			a.publish("lt-workers", owner, "newer", asBefore, launch.Device{Name: "/dev/xvdc", EBS: &launch.Volume{SizeGiB: 8}})
		},
		"$Default": func(a *account) {
			a.publish("lt-workers", owner, "newer", asBefore, launch.Device{Name: "/dev/xvdc", EBS: &launch.Volume{SizeGiB: 8}})
			a.defaults["lt-workers"] = 3
		},
	} {
		t.Run(was, func(t *testing.T) {
			a, b := newAccount(t), newBinding()
			a.environment.Templates = []batch.Template{{ID: "lt-workers", Version: was}}
			a.apply(b, first)
			change(a)
			if plan := a.plan(b, first); plan.Write != nil {
				t.Error("a newer version of the owner replaces instances by itself")
			}
			a.called = nil
			plan := a.plan(b, second)
			a.carryOut(plan)
			if diff := cmp.Diff([]string{"4"}, a.named()); diff != "" || len(a.versions["lt-workers"][3].Devices) != 2 {
				t.Errorf("named (-want +got):\n%s of %+v", diff, a.versions["lt-workers"])
			}
			a.environment.Templates[0].Version = "2" // the operator ended before the update
			if plan := a.plan(b, second); plan.Write == nil {
				t.Error("the version that nothing launches with yet counts as launched")
			} else if a.carryOut(plan); len(a.versions["lt-workers"]) != 4 {
				t.Errorf("a pass that is made again publishes another: %+v", a.versions["lt-workers"])
			}
		})
	}
}

// The newest of the owner is what $Latest is to mean in the end, also where Larder has made a version of it since that
// nobody launches with.
func TestTheOwnersNewestComesBack(t *testing.T) {
	a, b := newAccount(t), newBinding()
	a.environment.Templates = []batch.Template{{ID: "lt-workers", Version: "$Latest"}}
	a.apply(b, first)
	newer := launch.Device{Name: "/dev/xvdc", EBS: &launch.Volume{SizeGiB: 8}}
	a.publish("lt-workers", owner, "newer", asBefore, newer)
	a.ends, a.endsAfter = 1, true
	if err := a.target.Act(t.Context(), a.plan(b, second).Write); !errors.Is(err, errEnded) || a.snapshotOf("lt-workers", 4) != "snap-2" {
		t.Fatalf("got %v with %+v", err, a.versions["lt-workers"])
	}
	a.carryOut(a.observe(b).PlanEnd(b, a.clock.Now()))
	latest := a.versions["lt-workers"][4]
	if diff := cmp.Diff([]launch.Device{asBefore, newer}, latest.Devices); diff != "" || a.named()[0] != "$Latest" {
		t.Errorf("%s is named, and the latest has the devices (-want +got):\n%s", a.named()[0], diff)
	}
}

// A version that was published, and then the operator ended, is used and not made again, also where the environment calls
// for the latest one and names it by that already.
func TestAVersionThatNobodyLaunchesWithYet(t *testing.T) {
	for _, was := range []string{"1", "$Latest", "$Default", ""} {
		a, b := newAccount(t), newBinding()
		a.environment.Templates = []batch.Template{{ID: "lt-workers", Version: was}}
		a.apply(b, first)
		a.environment.Templates[0].Version = was
		b.Status = v1alpha1.NodeClassBindingStatus{}
		plan := a.plan(b, first)
		if plan.InPlace != "" || plan.Write == nil {
			t.Fatalf("%q: %s is in place, and %+v is to be written", was, plan.InPlace, plan.Write)
		}
		a.carryOut(plan)
		if got := a.named()[0]; got != "2" || len(a.versions["lt-workers"]) != 2 {
			t.Errorf("%q: version %s of %d is named", was, got, len(a.versions["lt-workers"]))
		}
	}
}

func TestNoOlderNumberIsTrusted(t *testing.T) {
	a, b := newAccount(t), newBinding()
	a.environment.Templates = a.environment.Templates[:1]
	a.apply(b, first)
	a.apply(b, second)
	a.apply(b, first)
	if diff := cmp.Diff([]string{"4"}, a.named()); diff != "" || a.snapshotOf("lt-workers", 4) != "snap-1" {
		t.Errorf("going back (-want +got):\n%s", diff)
	}
}

func TestProgress(t *testing.T) {
	const waits = "Batch has been replacing the instances of compute environment gpu since 2026-03-02T09:00:00Z"
	cases := map[string]struct {
		reason  string
		arrange func(a *account, b *v1alpha1.NodeClassBinding)
		// busy, progress and failure are messages.
		busy, progress, failure string
		stalled                 bool
		health                  binding.Health
		pools                   []binding.Pool
		warnings                int
	}{
		"before": {
			"nothing was written", func(a *account, b *v1alpha1.NodeClassBinding) {
				*b = *newBinding()
				a.environment.Templates[0].Version = "1"
			},
			"", "", "", false, binding.Health{}, []binding.Pool{{Name: "gpu", Outdated: 16}}, 0,
		},
		"our update": {
			"it runs", func(a *account, _ *v1alpha1.NodeClassBinding) { a.environment.Status = batch.Updating },
			waits, waits, "", false, binding.Health{RetryAfter: 30 * time.Second}, []binding.Pool{{Name: "gpu", Outdated: 16}}, 0,
		},
		"done": {
			"instances are launched with it", func(*account, *v1alpha1.NodeClassBinding) {},
			"", "", "", false, binding.Health{Proven: true, Working: 16}, []binding.Pool{{Name: "gpu", Current: 16}}, 0,
		},
		"done without instances": {
			"nobody has tried it", func(a *account, _ *v1alpha1.NodeClassBinding) { a.environment.DesiredVCPUs = 0 },
			"", "", "", false, binding.Health{}, nil, 0,
		},
		"failed": {
			"Batch says why", func(a *account, _ *v1alpha1.NodeClassBinding) {
				a.environment.Status, a.environment.StatusReason = batch.Invalid, "CLIENT_ERROR - no such snapshot"
			},
			"", "", "compute environment gpu is INVALID since it was updated: CLIENT_ERROR - no such snapshot", false,
			binding.Health{Broken: 16}, []binding.Pool{{Name: "gpu", Current: 16}}, 0,
		},
		"failed long after": {
			"which is not for the snapshot", func(a *account, b *v1alpha1.NodeClassBinding) {
				a.environment.Status = batch.Invalid
				b.Status.LastKnownGoodSnapshotID, b.Status.LastKnownGoodProven = "snap-1", true
			},
			"", "", "compute environment gpu is INVALID since it was updated: Batch gives no reason", false,
			binding.Health{Broken: 16}, []binding.Pool{{Name: "gpu", Current: 16}}, 1,
		},
		"somebody else's update": {
			"the templates are not ours", func(a *account, _ *v1alpha1.NodeClassBinding) {
				a.environment.Status, a.environment.Templates[0].Version = batch.Updating, "1"
			},
			"Batch is updating compute environment gpu for something else than this binding, since 2026-03-02T09:00:00Z or longer", "", "", false,
			binding.Health{}, []binding.Pool{{Name: "gpu", Outdated: 16}}, 0,
		},
		"being made": {
			"no update is taken yet", func(a *account, b *v1alpha1.NodeClassBinding) {
				*b, a.environment.Status = *newBinding(), batch.Creating
			},
			"Batch is still making compute environment gpu", "", "", false, binding.Health{}, []binding.Pool{{Name: "gpu", Outdated: 16}}, 0,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := newAccount(t), newBinding()
			a.apply(b, first)
			tc.arrange(a, b)
			plan := a.plan(b, first)
			said := func(p *binding.Problem) string {
				if p == nil {
					return ""
				}
				return p.Message
			}
			if got := said(plan.Busy); got != tc.busy {
				t.Errorf("%s: busy is %q, want %q", tc.reason, got, tc.busy)
			}
			if got := said(plan.Health.Failure); got != tc.failure {
				t.Errorf("%s: failure is %q, want %q", tc.reason, got, tc.failure)
			}
			plan.Health.Failure = nil
			if diff := cmp.Diff(tc.health, plan.Health); diff != "" {
				t.Errorf("%s: health (-want +got):\n%s", tc.reason, diff)
			}
			for i := range plan.Pools {
				plan.Pools[i].Staying = 0
			}
			if diff := cmp.Diff(tc.pools, plan.Pools); diff != "" {
				t.Errorf("%s: pools (-want +got):\n%s", tc.reason, diff)
			}
			if plan.Progress != tc.progress || len(plan.Warnings) != tc.warnings {
				t.Errorf("%s: progress %q, warnings %v", tc.reason, plan.Progress, plan.Warnings)
			}
		})
	}
}

// Somebody else's update that takes too long is for a person; one that begins after it is another one.
func TestSomebodyElsesLongUpdate(t *testing.T) {
	a, b := newAccount(t), newBinding()
	a.environment.Status = batch.Updating
	for _, step := range []struct {
		waits   time.Duration
		stalled bool
	}{{0, false}, {time.Hour, false}, {time.Minute, true}} {
		a.pass(step.waits)
		if busy := a.plan(b, first).Busy; busy.Stalled != step.stalled || busy.Reason != v1alpha1.ReasonUpdateInProgress || busy.RetryAfter != 30*time.Second {
			t.Errorf("at %s: %+v", a.clock.Now(), busy)
		}
	}
	want := "Batch has been updating compute environment gpu since 2026-03-02T09:00:00Z, or longer, for something else than this binding: have the " +
		"jobs ended that the update waits for, or its update policy changed"
	if got := a.plan(b, first).Busy.Message; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	a.environment.Status = batch.Valid
	a.plan(b, first)
	a.environment.Status = batch.Updating
	if a.plan(b, first).Busy.Stalled {
		t.Error("an update that has just begun")
	}
}

func TestWhatAWriteReplaces(t *testing.T) {
	a, b := newAccount(t), newBinding()
	if plan := a.plan(b, first); plan.Write == nil || plan.Pools[0].Staying != 16 {
		t.Errorf("all instances would be replaced: %+v", plan.Pools)
	}
	a.apply(b, first)
	if plan := a.plan(b, first); plan.Write != nil || plan.Pools[0].Staying != 0 {
		t.Errorf("none would: %+v", plan.Pools)
	}
	if plan := a.observe(b).PlanEnd(b, a.clock.Now()); plan.Pools[0].Staying != 16 {
		t.Errorf("all would by the end: %+v", plan.Pools)
	}
	b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
	if plan := a.observe(b).PlanEnd(b, a.clock.Now()); plan.Write != nil || plan.Pools[0].Staying != 0 {
		t.Errorf("what is left changes nothing: %+v", plan)
	}
}

func TestWhoTookItBack(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(a *account)
		want   string
	}{
		"nobody": {"all is as it was written", func(*account) {}, ""},
		"whoever made the version": {"it was made since, and is named instead", func(a *account) {
			a.pass(time.Minute)
			a.publish("lt-workers", owner, "mine", asBefore)
			a.environment.Templates[0].Version = "3"
		}, owner},
		"unknown":        {"the version is older than the write", func(a *account) { a.environment.Templates[0].Version = "1" }, "another user of AWS"},
		"of an override": {"it counts the same", func(a *account) { a.environment.Templates[1].Version = "1" }, "another user of AWS"},
		"not yet":        {"Batch is still at it", func(a *account) { a.environment.Templates[0].Version, a.environment.Status = "1", batch.Updating }, ""},
		"by its name":    {"$Latest may be anything for Batch", func(a *account) { a.environment.Templates[0].Version = "$Latest" }, "another user of AWS"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, b := newAccount(t), newBinding()
			a.apply(b, first)
			tc.change(a)
			plan := a.plan(b, first)
			if plan.TakenBackBy != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, plan.TakenBackBy, tc.want)
			}
			want := "in Terraform, add to the aws_batch_compute_environment of gpu lifecycle { ignore_changes = " +
				"[compute_resources[0].launch_template] }; with anything else, leave its launch template out"
			if plan.Remedy != want {
				t.Errorf("remedy %q", plan.Remedy)
			}
		})
	}
}

// What nothing needs any more is deleted, once Batch is done and nothing else is to be written; others' versions never.
func TestPruning(t *testing.T) {
	a, b := newAccount(t), newBinding()
	a.apply(b, first)
	a.apply(b, second)
	a.environment.Status = batch.Updating
	if plan := a.plan(b, second); plan.Upkeep != nil {
		t.Error("Batch may need it yet")
	}
	a.environment.Status = batch.Valid
	plan := a.plan(b, second)
	if plan.Upkeep == nil {
		t.Fatal("nothing is to be deleted")
	}
	a.called = nil
	if err := a.target.Act(t.Context(), plan.Upkeep); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"DeleteVersions lt-gpus", "DeleteVersions lt-workers"}, a.called); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	var left []int64
	for _, one := range a.versions["lt-workers"] {
		left = append(left, one.Number)
	}
	if diff := cmp.Diff([]int64{1, 3}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if plan := a.plan(b, second); plan.Upkeep != nil {
		t.Error("it does not come to an end")
	}
}
