package launchtemplate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws/launch"
)

const (
	uid    = "11111111-2222-3333-4444-555555555555"
	device = "/dev/xvdb"
	snap1  = "snap-00000000000000001"
	snap2  = "snap-00000000000000002"
)

var applied = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// hour is so many hours after the first snapshot was applied.
func hour(n int) time.Time { return applied.Add(time.Duration(n) * time.Hour) }

// stand is a template with a first version of its owner's, and what was made of it since.
type stand struct {
	*testing.T
	observation
	binding *v1alpha1.NodeClassBinding
}

func newStand(t *testing.T, asked ...v1alpha1.AutoScalingGroup) *stand {
	s := &stand{T: t, binding: &v1alpha1.NodeClassBinding{}}
	s.binding.UID = uid
	s.binding.Spec.Target.LaunchTemplate = &v1alpha1.LaunchTemplateTarget{
		ID: "lt-1", AutoScalingGroups: asked, Device: v1alpha1.Device{Name: device, VolumeType: "gp3"},
	}
	s.history.Template = launch.Template{ID: "lt-1", Name: "hosts", DefaultVersion: 1, LatestVersion: 1}
	s.history.Versions = []launch.Version{{
		TemplateID: "lt-1", Number: 1, Default: true, CreateTime: hour(-1),
		Devices: []launch.Device{{Name: "/dev/xvda", EBS: &launch.Volume{SizeGiB: 8}}, {Name: device, EBS: &launch.Volume{SizeGiB: 60, Type: "gp3"}}},
	}}
	for _, one := range asked {
		s.groups = append(s.groups, group{asked: one, exists: true, Group: launch.Group{Name: one.Name}})
	}
	return s
}

// made publishes what the binding wants of a version for a snapshot, and returns the number.
func (s *stand) made(from int64, id string, at time.Time) int64 {
	s.Helper()
	version, _ := s.history.Resolve(fmt.Sprint(from))
	step, problem := s.history.With(template.Want{
		Binding: uid, From: version, Device: s.binding.Spec.Target.LaunchTemplate.Device, Was: "1", NewerThan: 1 << 40, MayName: []string{snap1, snap2},
	}, snapshotOf(id))
	if problem != nil || step.Publish == nil {
		s.Fatalf("no version of %d for %s: %v", from, id, problem)
	}
	number := int64(len(s.history.Versions) + 1)
	s.history.Versions = append(s.history.Versions, launch.Version{
		TemplateID: "lt-1", Number: number, Description: step.Publish.Description, Devices: step.Publish.Devices, CreateTime: at,
	})
	s.history.Template.LatestVersion = number
	return number
}

// launches has the first group launch by a version, and its instances be launched by others.
func (s *stand) launches(version string, instances ...int64) {
	g := &s.groups[0]
	g.Launches = []launch.Specification{{TemplateID: "lt-1", TemplateName: "hosts", Version: version}}
	for i, number := range instances {
		g.Instances = append(g.Instances, launch.Instance{ID: fmt.Sprintf("i-%d", i), TemplateID: "lt-1", Version: number, State: "InService", Healthy: true})
	}
}

func (s *stand) apply(id string) {
	s.binding.Status.AppliedSnapshotID, s.binding.Status.AppliedTime = id, &metav1.Time{Time: applied}
}

func (s *stand) refreshes(status string, at time.Time, desired string) {
	s.groups[0].refresh = &launch.Refresh{ID: "r-1", Status: status, StartTime: at, Percentage: 40}
	if desired != "" {
		s.groups[0].refresh.Desired = []launch.Specification{{TemplateID: "lt-1", Version: desired}}
	}
}

func snapshotOf(id string) binding.Snapshot {
	return binding.Snapshot{ID: id, SizeGiB: 40, Format: v1alpha1.FormatBottlerocket}
}

// say puts what a plan writes into one line.
func say(plan binding.Plan) string {
	if plan.Problem != nil {
		return plan.Problem.Error()
	}
	w, writes := plan.Write.(*change)
	if !writes {
		return "nothing"
	}
	var steps []string
	if w.step.Publish != nil {
		steps = append(steps, fmt.Sprintf("publish of %d", w.step.Publish.Source))
	}
	switch {
	case w.defaultTo != 0:
		steps = append(steps, fmt.Sprintf("default %d", w.defaultTo))
	case w.setsDefault:
		steps = append(steps, "default")
	}
	for _, one := range w.updates {
		steps = append(steps, "update "+one.Name)
	}
	for _, one := range w.refreshes {
		step := "refresh " + one.group.Name
		if one.brings {
			step += " with a way back"
		}
		steps = append(steps, step)
	}
	if len(w.prune) > 0 {
		steps = append(steps, fmt.Sprintf("prune %v", w.prune))
	}
	return strings.Join(steps, ", ")
}

func asked(edit func(*v1alpha1.InstanceRefresh)) v1alpha1.AutoScalingGroup {
	yes := true
	one := v1alpha1.AutoScalingGroup{Name: "web", InstanceRefresh: &v1alpha1.InstanceRefresh{SkipMatching: &yes}}
	if edit != nil {
		edit(one.InstanceRefresh)
	}
	return one
}

func goesBack(r *v1alpha1.InstanceRefresh) { r.AutoRollback = true }

func TestPlanContinues(t *testing.T) {
	plain := v1alpha1.AutoScalingGroup{Name: "web"}
	cases := map[string]struct {
		reason  string
		group   v1alpha1.AutoScalingGroup
		world   func(s *stand)
		want    string
		staying int
	}{
		"nothing was done": {"all steps are to be made", asked(nil), func(s *stand) { s.launches("1", 1, 1) }, "publish of 1, update web, refresh web", 2},
		"the version was published": {"it is used, and not made once more", asked(nil), func(s *stand) { s.made(1, snap1, hour(0)); s.launches("1", 1, 1) },
			"update web, refresh web", 2},
		"the group was updated": {"the instances are left", asked(nil), func(s *stand) { s.made(1, snap1, hour(0)); s.launches("2", 1, 2) }, "refresh web", 1},
		"the refresh was started": {"it is on its way", asked(nil), func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("2", 1, 2)
			s.refreshes("InProgress", hour(1), "")
		}, "nothing", 0},
		"it waits to begin": {"it has no time yet", asked(nil), func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("2", 1)
			s.refreshes("Pending", time.Time{}, "")
		}, "nothing", 0},
		"an older refresh is over": {"it replaced nothing by this version", asked(nil), func(s *stand) {
			s.made(1, snap1, hour(2))
			s.launches("2", 1)
			s.refreshes("Successful", hour(1), "")
		}, "refresh web", 1},
		"a refresh is over that left an instance": {"somebody protects it", asked(nil), func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("2", 1, 2)
			s.refreshes("Successful", hour(1), "")
		}, "nothing", 0},
		"all instances have it":   {"there is nothing to refresh", asked(nil), func(s *stand) { s.made(1, snap1, hour(0)); s.launches("2", 2, 2) }, "nothing", 0},
		"no refresh is asked for": {"new instances only", plain, func(s *stand) { s.launches("1", 1, 1) }, "publish of 1, update web", 0},
		"the latest version":      {"the group follows by itself", plain, func(s *stand) { s.launches("$Latest", 1) }, "publish of 1", 0},
		"a way back": {"the group keeps its version until the refresh succeeds", asked(goesBack), func(s *stand) { s.launches("1", 1) },
			"publish of 1, refresh web with a way back", 1},
		"a way back, under way": {"it is on its way", asked(goesBack), func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("1", 1, 2)
			s.refreshes("InProgress", hour(1), "2")
		}, "nothing", 0},
		"a way back that was taken": {"another version tells the next attempt from the last", asked(goesBack), func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("1", 1, 1)
			s.refreshes("RollbackSuccessful", hour(1), "2")
		}, "publish of 1, refresh web with a way back", 2},
		"all are replaced, also what matches": {"skipMatching is false", asked(func(r *v1alpha1.InstanceRefresh) { r.SkipMatching = new(bool) }), func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("2", 1, 2)
		}, "refresh web", 2},
		"one that leaves anyway": {"it is replaced already", asked(nil), func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("2", 1)
			s.groups[0].Instances[0].State = "Terminating"
		}, "nothing", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, tc.group)
			tc.world(s)
			plan := s.Plan(s.binding, snapshotOf(snap1), hour(3))
			if got := say(plan); got != tc.want {
				t.Errorf("%s: it is to do %s, want %s", tc.reason, got, tc.want)
			}
			if got := plan.Pools[0].Staying; got != tc.staying {
				t.Errorf("%s: %d instances would be replaced, want %d", tc.reason, got, tc.staying)
			}
		})
	}
}

func TestPlanDefault(t *testing.T) {
	standard := func(s *stand, number int64) {
		for i := range s.history.Versions {
			s.history.Versions[i].Default = s.history.Versions[i].Number == number
		}
	}
	cases := map[string]struct {
		reason             string
		world              func(s *stand)
		want, without, end string
	}{
		"nothing was done":           {"it is published, and the default one", func(*stand) {}, "publish of 1, default", "nothing", "nothing"},
		"the version was published":  {"it is made the default one", func(s *stand) { s.made(1, snap1, hour(0)) }, "default", "nothing", "publish of 2"},
		"it is the default one":      {"all is done", func(s *stand) { standard(s, s.made(1, snap1, hour(0))) }, "nothing", "publish of 2, default 1", "publish of 2, default 1"},
		"the former one was deleted": {"the new one with the old content serves", func(s *stand) { standard(s, s.made(1, snap1, hour(0))); s.history.Versions = s.history.Versions[1:] }, "nothing", "publish of 2, default", "publish of 2, default"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.binding.Spec.Target.LaunchTemplate.SetDefault = true
			tc.world(s)
			got := []string{say(s.Plan(s.binding, snapshotOf(snap1), hour(3))), say(s.PlanWithout(s.binding, hour(3))), say(s.PlanEnd(s.binding, hour(3)))}
			if diff := cmp.Diff([]string{tc.want, tc.without, tc.end}, got); diff != "" {
				t.Errorf("%s: plan, without and end (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestPlanEnd(t *testing.T) {
	cases := map[string]struct {
		reason string
		world  func(s *stand)
		want   string
	}{
		"never written": {"nothing is Larder's", func(s *stand) { s.launches("1", 1) }, "nothing"},
		"in place":      {"the group and its instances are given back", func(s *stand) { s.made(1, snap1, hour(0)); s.launches("2", 2) }, "publish of 2, update web, refresh web"},
		"left to the user": {"the deletion policy is Leave", func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("2", 2)
			s.binding.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave
		}, "nothing"},
		"published and never used": {"the latest version is for whoever names it so", func(s *stand) { s.made(1, snap1, hour(0)); s.launches("1", 1) }, "publish of 2"},
		"copied by its owner": {"the owner made a version of Larder's", func(s *stand) {
			s.made(1, snap1, hour(0))
			copied := s.history.Versions[1]
			copied.Number, copied.Description = 3, "mine"
			s.history.Versions = append(s.history.Versions, copied)
			s.launches("3", 3)
			s.apply(snap1)
		}, "publish of 3, update web, refresh web"},
		"gone": {"the group was deleted", func(s *stand) { s.groups[0].exists = false }, "nothing"},
		"unreadable": {"nobody knows what is to be given back", func(s *stand) { s.problem = stalled(v1alpha1.ReasonTargetUnreadable, "denied") },
			"TargetUnreadable: denied"},
		"without a template": {"it was deleted", func(s *stand) { s.problem = stalled(v1alpha1.ReasonTemplateNotFound, "gone") }, "nothing"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, asked(nil))
			tc.world(s)
			if got := say(s.PlanEnd(s.binding, hour(3))); got != tc.want {
				t.Errorf("%s: it is to do %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestPlanInPlace(t *testing.T) {
	cases := map[string]struct {
		reason string
		world  func(s *stand)
		want   string
	}{
		"before":     {"the owner's version names none", func(s *stand) { s.launches("1") }, ""},
		"after":      {"the group names it", func(s *stand) { s.made(1, snap1, hour(0)); s.launches("2") }, snap1},
		"on its way": {"what was asked for last", func(s *stand) { s.made(1, snap1, hour(0)); s.launches("1"); s.refreshes("InProgress", hour(1), "2") }, snap1},
		"come to an end": {"the failure is about it", func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("1")
			s.refreshes("RollbackSuccessful", hour(1), "2")
		}, snap1},
		"of another time": {"something newer was asked for since", func(s *stand) {
			s.made(1, snap2, hour(0))
			s.launches("1")
			s.refreshes("RollbackSuccessful", hour(1), "2")
		}, ""},
		"in two of places": {"one is not as it was applied", func(s *stand) {
			s.made(1, snap1, hour(0))
			s.launches("2")
			s.binding.Spec.Target.LaunchTemplate.SetDefault = true
		}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, asked(goesBack))
			s.apply(snap1)
			tc.world(s)
			if got := s.Plan(s.binding, binding.Snapshot{}, hour(3)).InPlace; got != tc.want {
				t.Errorf("%s: %q is in place, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	failed := func(message string) func(*stand) {
		return func(s *stand) { s.groups[0].failed = []launch.FailedActivity{{StartTime: hour(1), Message: message}} }
	}
	cases := map[string]struct {
		reason  string
		group   v1alpha1.AutoScalingGroup
		world   func(s *stand)
		failure string
		proven  bool
	}{
		"an instance works":  {"it was launched with it", v1alpha1.AutoScalingGroup{Name: "web"}, func(*stand) {}, "", true},
		"another is left":    {"a refresh is to replace it", asked(nil), func(s *stand) { s.groups[0].Instances[0].Version = 1 }, "", false},
		"a refresh runs":     {"it may fail yet", asked(nil), func(s *stand) { s.refreshes("Baking", hour(1), "") }, "", false},
		"a refresh is over":  {"it says so itself", asked(nil), func(s *stand) { s.refreshes("Successful", hour(1), "") }, "", true},
		"a refresh failed":   {"it says so itself", asked(nil), func(s *stand) { s.refreshes("Failed", hour(1), "") }, "UpdateFailed: instance refresh r-1 of Auto Scaling group web ended Failed at 40 %", false},
		"an older one did":   {"it was for what was before", asked(nil), func(s *stand) { s.refreshes("Failed", hour(-1), "") }, "", true},
		"somebody's refresh": {"none is asked for", v1alpha1.AutoScalingGroup{Name: "web"}, func(s *stand) { s.refreshes("Failed", hour(1), "") }, "", true},
		"a volume": {"EC2 speaks of volumes", asked(nil), failed("Volume initialization rate quota exceeded."),
			"LaunchFailed: Auto Scaling group web cannot launch instances: Volume initialization rate quota exceeded", false},
		"another snapshot": {"it is not about this one", asked(nil), failed("The snapshot 'snap-00000000000000009' does not exist."), "", true},
		"no capacity":      {"no snapshot is to blame", asked(nil), failed("We currently do not have sufficient capacity."), "", true},
		"an unknown cause": {"instances work with it", asked(nil), failed("Client.InternalError: Client error on launch."), "", true},
		"nothing works yet": {"an unknown cause may be the snapshot", asked(nil), func(s *stand) {
			failed("Client.InternalError: Client error on launch.")(s)
			s.groups[0].Instances = nil
		}, "LaunchFailed: Auto Scaling group web cannot launch instances: Client.InternalError: Client error on launch", false},
		"never applied": {"nothing counts", asked(nil), func(s *stand) { s.binding.Status.AppliedTime = nil; s.refreshes("Failed", hour(1), "") }, "", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, tc.group)
			s.apply(snap1)
			s.made(1, snap1, hour(0))
			s.launches("2", 2, 2)
			tc.world(s)
			health, got := s.Plan(s.binding, snapshotOf(snap1), hour(3)).Health, ""
			if health.Failure != nil {
				got = health.Failure.Error()
			}
			if got != tc.failure || health.Proven != tc.proven {
				t.Errorf("%s: failure %q, want %q; proven %t, want %t", tc.reason, got, tc.failure, health.Proven, tc.proven)
			}
		})
	}
}

func TestPrune(t *testing.T) {
	s := newStand(t, asked(nil))
	s.apply(snap2)
	for i, id := range []string{snap1, snap2, snap1, snap2} {
		s.made(int64(i+1), id, hour(i))
	}
	s.launches("5", 5)
	s.named = []int64{3, 5}
	plan := s.Plan(s.binding, snapshotOf(snap2), hour(9))
	upkeep, _ := plan.Upkeep.(*change)
	if plan.Write != nil || upkeep == nil || !slices.Equal(upkeep.prune, []int64{2, 4}) {
		t.Errorf("version 3 is some other group's, and 5 is in use: %s, upkeep %+v", say(plan), upkeep)
	}
}
