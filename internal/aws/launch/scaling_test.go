package launch_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	clocktesting "k8s.io/utils/clock/testing"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// noon is when the tests of groups begin.
var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

// groups is an account with a template of two versions, and the client under test.
type groups struct {
	*account
	clock  *clocktesting.FakePassiveClock
	client *launch.Client
	id     string
}

func newGroups(t *testing.T) *groups {
	clock := clocktesting.NewFakePassiveClock(noon)
	a := newAccount(t, fakeaws.Options{Clock: clock, RefreshStep: time.Minute})
	id := a.template("workers", a.AddSnapshot(fakeaws.Snapshot{}), a.AddSnapshot(fakeaws.Snapshot{}))
	return &groups{account: a, clock: clock, client: launch.New(a.Config()), id: id}
}

func (g *groups) read(name string) launch.Group {
	g.Helper()
	found, err := g.client.Groups(g.Context(), []string{name, "none"})
	if err != nil || len(found) != 1 {
		g.Fatalf("groups %v, %v", found, err)
	}
	return found[name]
}

func TestGroups(t *testing.T) {
	g := newGroups(t)
	g.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "$Latest")})
	if !g.SetDesired("web", 2) {
		t.Fatal("nothing is launched")
	}
	instances := g.read("web").Instances
	g.SetHealth(instances[1].ID, false)
	want := launch.Group{
		Name: "web", CreatedTime: noon, Desired: 2, Max: 2, Launches: []launch.Specification{{TemplateID: g.id, TemplateName: "workers", Version: "$Latest"}},
		Instances: []launch.Instance{
			{ID: instances[0].ID, TemplateID: g.id, Version: 2, State: "InService", Healthy: true},
			{ID: instances[1].ID, TemplateID: g.id, Version: 2, State: "InService", Healthy: false},
		},
	}
	got := g.read("web")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(launch.Group{})); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
	if !got.Instances[0].IsWorking() || got.Instances[1].IsWorking() || got.Instances[1].IsLeaving() || !(launch.Instance{State: "Terminating:Wait"}).IsLeaving() {
		t.Errorf("instances %+v", got.Instances)
	}
	before := g.Calls("DescribeAutoScalingGroups")
	if none, err := g.client.Groups(t.Context(), nil); err != nil || len(none) != 0 || g.Calls("DescribeAutoScalingGroups") != before {
		t.Errorf("of no names there are %v, %v", none, err)
	}
}

func TestSpecificationNumber(t *testing.T) {
	cases := map[string]struct {
		number           int64
		numbered, latest bool
	}{"7": {7, true, false}, "$Latest": {0, false, true}, "$Default": {}, "": {}}
	for version, want := range cases {
		specification := launch.Specification{Version: version}
		number, numbered := specification.Number()
		if number != want.number || numbered != want.numbered || specification.IsLatest() != want.latest {
			t.Errorf("%q is number %d, %t; latest %t", version, number, numbered, specification.IsLatest())
		}
	}
}

func TestUpdateGroup(t *testing.T) {
	policy := mixed(named("workers", "1"), named("workers", "1"), named("others", "1"), named("workers", "$Latest"))
	policy.InstancesDistribution = &scalingtypes.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: aws.Int32(0), SpotAllocationStrategy: aws.String("lowest-price")}
	cases := map[string]struct {
		reason string
		group  autoscaling.CreateAutoScalingGroupInput
		want   []string
		calls  int
	}{
		"a number":    {"it is what an update is for", autoscaling.CreateAutoScalingGroupInput{LaunchTemplate: named("workers", "1")}, []string{"2"}, 1},
		"the same":    {"nothing is to be changed", autoscaling.CreateAutoScalingGroupInput{LaunchTemplate: named("workers", "2")}, []string{"2"}, 0},
		"the latest":  {"the group follows by itself", autoscaling.CreateAutoScalingGroupInput{LaunchTemplate: named("workers", "$Latest")}, []string{"$Latest"}, 0},
		"another one": {"it is none of ours", autoscaling.CreateAutoScalingGroupInput{LaunchTemplate: named("others", "1")}, []string{"1"}, 0},
		"a policy":    {"every place that names ours by a number", autoscaling.CreateAutoScalingGroupInput{MixedInstancesPolicy: policy}, []string{"2", "2", "1", "$Latest"}, 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			g := newGroups(t)
			g.template("others", "snap-3")
			tc.group.AutoScalingGroupName = aws.String("web")
			g.group(tc.group)
			for range 2 {
				if err := g.client.UpdateGroup(t.Context(), g.read("web"), g.id, 2); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, one := range g.read("web").Launches {
				got = append(got, one.Version)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || g.Calls("UpdateAutoScalingGroup") != tc.calls {
				t.Errorf("%s: %d calls, versions (-want +got):\n%s", tc.reason, g.Calls("UpdateAutoScalingGroup"), diff)
			}
			if tc.group.MixedInstancesPolicy == nil {
				return
			}
			out, err := g.scaling.DescribeAutoScalingGroups(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if by := out.AutoScalingGroups[0].MixedInstancesPolicy.InstancesDistribution; *by.SpotAllocationStrategy != "lowest-price" || *by.OnDemandPercentageAboveBaseCapacity != 0 {
				t.Errorf("%s: the distribution is %+v", tc.reason, by)
			}
		})
	}
}

func TestUpdateGroupThatChanged(t *testing.T) {
	g := newGroups(t)
	g.template("others", "snap-3")
	g.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "1")})
	observed := g.read("web")
	if _, err := g.scaling.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("web"), MixedInstancesPolicy: mixed(named("workers", "1"), named("others", "1")),
	}); err != nil {
		t.Fatal(err)
	}
	if err := g.client.UpdateGroup(t.Context(), observed, g.id, 2); !errors.Is(err, launch.ErrGroupChanged) {
		t.Errorf("a group that got a policy meanwhile: %v", err)
	}
	if _, err := g.scaling.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("web")}); err != nil {
		t.Fatal(err)
	}
	if err := g.client.UpdateGroup(t.Context(), observed, g.id, 2); !errors.Is(err, launch.ErrGroupChanged) {
		t.Errorf("a group that was deleted meanwhile: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	g := newGroups(t)
	g.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "1")})
	g.SetDesired("web", 1)
	if none, err := g.client.LatestRefresh(t.Context(), "web"); none != nil || err != nil {
		t.Errorf("there is a refresh %+v, %v", none, err)
	}
	delay, warmup, bake := 90*time.Second, 30*time.Second, 2*time.Minute
	start := launch.NewRefresh{Group: g.read("web"), TemplateID: g.id, Number: 2, Preferences: launch.Preferences{
		MinHealthyPercentage: aws.Int32(50), MaxHealthyPercentage: aws.Int32(150), SkipMatching: aws.Bool(true), CheckpointPercentages: []int32{50, 100},
		CheckpointDelay: &delay, InstanceWarmup: &warmup, BakeTime: &bake, AutoRollback: true,
	}}
	if err := g.client.StartRefresh(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	if err := g.client.StartRefresh(t.Context(), start); !launch.IsRefreshInProgress(err) {
		t.Errorf("a second one: %v", err)
	}
	want := &launch.Refresh{
		ID: "00000001-0000-4000-8000-000000000000", Status: "Pending", StartTime: noon,
		Desired: []launch.Specification{{TemplateID: g.id, TemplateName: "workers", Version: "2"}},
	}
	got, err := g.client.LatestRefresh(t.Context(), "web")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v; refresh (-want +got):\n%s", err, diff)
	}
	g.clock.SetTime(noon.Add(time.Hour))
	if got, err := g.client.LatestRefresh(t.Context(), "web"); err != nil || !got.HasSucceeded() || got.IsActive() || got.HasFailed() || got.Percentage != 100 {
		t.Errorf("an hour later: %+v, %v", got, err)
	}
	start = launch.NewRefresh{Group: g.read("web")}
	if err := g.client.StartRefresh(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	g.FailRefresh("web", "An alarm went off.")
	if got, err := g.client.LatestRefresh(t.Context(), "web"); err != nil || !got.HasFailed() || got.Reason != "An alarm went off." || got.Desired != nil {
		t.Errorf("the second one: %+v, %v", got, err)
	}
}

func TestRefreshStates(t *testing.T) {
	const none, active, returning, failed, succeeded = "", "active", "returning", "failed", "succeeded"
	cases := map[string]string{
		"Pending": active, "InProgress": active, "Baking": active, "Cancelling": returning, "RollbackInProgress": returning,
		"Cancelled": none, "Failed": failed, "RollbackFailed": failed, "RollbackSuccessful": failed, "Successful": succeeded,
	}
	for status, want := range cases {
		refresh := launch.Refresh{Status: status}
		got := none
		switch {
		case refresh.IsReturning() && refresh.IsActive():
			got = returning
		case refresh.IsActive():
			got = active
		case refresh.HasFailed():
			got = failed
		case refresh.HasSucceeded():
			got = succeeded
		}
		if got != want {
			t.Errorf("%s is %q, want %q", status, got, want)
		}
	}
	if cancelled := (launch.Refresh{Status: "Cancelled", Desired: []launch.Specification{{Version: "2"}}}); !cancelled.HasFailed() {
		t.Error("a cancelled refresh brought its desired configuration")
	}
	for _, status := range scalingtypes.InstanceRefreshStatus("").Values() {
		if _, known := cases[string(status)]; !known {
			t.Errorf("AWS has a status %s that nobody thought of", status)
		}
	}
}

func TestFailedActivities(t *testing.T) {
	g := newGroups(t)
	g.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "1")})
	for _, message := range []string{"first", "second"} {
		g.FailLaunches("web", message, 1)
		g.SetDesired("web", 1)
		g.clock.SetTime(g.clock.Now().Add(time.Minute))
	}
	g.SetDesired("web", 1)
	cases := map[string]struct {
		since time.Time
		want  []launch.FailedActivity
	}{
		"from the start": {noon, []launch.FailedActivity{{StartTime: noon.Add(time.Minute), Message: "second"}, {StartTime: noon, Message: "first"}}},
		"later":          {noon.Add(time.Second), []launch.FailedActivity{{StartTime: noon.Add(time.Minute), Message: "second"}}},
		"after all":      {noon.Add(time.Hour), nil},
	}
	for name, tc := range cases {
		got, err := g.client.FailedActivities(t.Context(), "web", tc.since)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v; activities (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestNamedNumbers(t *testing.T) {
	g := newGroups(t)
	g.template("others", "snap-3", "snap-4", "snap-5")
	for name, template := range map[string]*scalingtypes.LaunchTemplateSpecification{
		"web": named("workers", "1"), "latest": named("workers", "$Latest"), "others": named("others", "3"),
	} {
		g.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: &name, LaunchTemplate: template})
	}
	g.AddGroupInstance("latest", fakeaws.GroupInstance{ID: "i-1", TemplateID: g.id, Version: 2})
	got, err := g.client.NamedNumbers(t.Context(), g.id, "workers")
	if diff := cmp.Diff([]int64{1, 2}, got); diff != "" || err != nil {
		t.Errorf("%v; numbers (-want +got):\n%s", err, diff)
	}
}

// TestScalingErrors has each call fail, and its error say what was tried.
func TestScalingErrors(t *testing.T) {
	g := newGroups(t)
	g.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "1")})
	observed := g.read("web")
	calls := map[string]struct {
		action, doing string
		call          func() error
	}{
		"groups": {"DescribeAutoScalingGroups", "describing Auto Scaling groups web", func() error { _, err := g.client.Groups(t.Context(), []string{"web"}); return err }},
		"an update": {"UpdateAutoScalingGroup", "updating Auto Scaling group web to version 2 of " + g.id, func() error {
			return g.client.UpdateGroup(t.Context(), observed, g.id, 2)
		}},
		"a refresh":  {"DescribeInstanceRefreshes", "describing the instance refreshes of Auto Scaling group web", func() error { _, err := g.client.LatestRefresh(t.Context(), "web"); return err }},
		"a start":    {"StartInstanceRefresh", "starting an instance refresh of Auto Scaling group web", func() error { return g.client.StartRefresh(t.Context(), launch.NewRefresh{Group: observed}) }},
		"activities": {"DescribeScalingActivities", "describing the failed scaling activities of Auto Scaling group web", func() error { _, err := g.client.FailedActivities(t.Context(), "web", noon); return err }},
	}
	for name, tc := range calls {
		t.Run(name, func(t *testing.T) {
			g.Inject(fakeaws.Fault{Action: tc.action, Kind: fakeaws.Denied, Times: 1})
			err := tc.call()
			if !larderaws.IsAccessDenied(err) || larderaws.Action(err) != "autoscaling:"+tc.action {
				t.Fatalf("%v", err)
			}
			if got := err.Error(); len(got) < len(tc.doing) || got[:len(tc.doing)] != tc.doing {
				t.Errorf("it says %q, want it to begin with %q", got, tc.doing)
			}
		})
	}
}
