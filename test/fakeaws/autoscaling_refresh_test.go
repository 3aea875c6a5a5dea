package fakeaws_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

// step is how long a refresh takes for each of its steps here.
const step = time.Minute

// fleet is a group called web of two instances, of a template with three versions that name snapshots.
type fleet struct {
	*account
	snapshots []string
}

func newFleet(t *testing.T, version string) *fleet {
	f := &fleet{account: newAccount(t, fakeaws.Options{RefreshStep: step})}
	for range 3 {
		f.snapshots = append(f.snapshots, f.AddSnapshot(fakeaws.Snapshot{}))
	}
	makeTemplate(t, f.noRetries(), "workers", f.snapshots...)
	if _, err := scalingOf(f.account).CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("workers", version))); err != nil {
		t.Fatal(err)
	}
	if !f.SetDesired("web", 2) {
		t.Fatal("web launches nothing")
	}
	return f
}

func (f *fleet) refresh(version string, preferences types.RefreshPreferences) error {
	in := &autoscaling.StartInstanceRefreshInput{AutoScalingGroupName: aws.String("web"), Preferences: &preferences}
	if version != "" {
		in.DesiredConfiguration = &types.DesiredConfiguration{LaunchTemplate: specificationOf("workers", version)}
	}
	_, err := scalingOf(f.account).StartInstanceRefresh(f.t.Context(), in)
	return err
}

// look is the newest refresh, the group's own version and those of its instances in one line.
func (f *fleet) look() string {
	f.t.Helper()
	out, err := scalingOf(f.account).DescribeInstanceRefreshes(f.t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("web")})
	if err != nil {
		f.t.Fatal(err)
	}
	group := describeGroup(f.t, f.noRetries(), "web")
	line := fmt.Sprintf("%s of", *group.LaunchTemplate.Version)
	for _, instance := range group.Instances {
		line += " " + *instance.LaunchTemplate.Version
	}
	if len(out.InstanceRefreshes) == 0 {
		return line
	}
	return fmt.Sprintf("%s %d%% %s", out.InstanceRefreshes[0].Status, *out.InstanceRefreshes[0].PercentageComplete, line)
}

func (f *fleet) follow(want ...string) {
	f.t.Helper()
	var got []string
	for range want {
		got = append(got, f.look())
		f.pass(step)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("a step at a time (-want +got):\n%s", diff)
	}
}

func TestRefreshReplacesOneAfterTheOther(t *testing.T) {
	cases := map[string]struct {
		desired     string
		preferences types.RefreshPreferences
		want        []string
	}{
		"to a desired configuration, which the group has at the end": {"2", types.RefreshPreferences{}, []string{
			"Pending 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "InProgress 50% 1 of 2 1", "InProgress 100% 1 of 2 2", "Successful 100% 2 of 2 2",
		}},
		"to the group's own": {"", types.RefreshPreferences{}, []string{
			"Pending 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "InProgress 50% 1 of 1 1", "InProgress 100% 1 of 1 1", "Successful 100% 1 of 1 1",
		}},
		"skipping those that match": {"", types.RefreshPreferences{SkipMatching: aws.Bool(true)}, []string{
			"Pending 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "Successful 100% 1 of 1 1",
		}},
		"baking": {"3", types.RefreshPreferences{BakeTime: aws.Int32(120)}, []string{
			"Pending 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "InProgress 50% 1 of 3 1", "InProgress 100% 1 of 3 3", "Baking 100% 1 of 3 3",
			"Baking 100% 1 of 3 3", "Successful 100% 3 of 3 3",
		}},
		"pausing at a checkpoint": {"2", types.RefreshPreferences{CheckpointPercentages: []int32{50, 100}, CheckpointDelay: aws.Int32(180)}, []string{
			"Pending 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "InProgress 50% 1 of 2 1", "InProgress 50% 1 of 2 1", "InProgress 50% 1 of 2 1",
			"InProgress 100% 1 of 2 2",
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, "1")
			if err := f.refresh(tc.desired, tc.preferences); err != nil {
				t.Fatal(err)
			}
			f.follow(tc.want...)
		})
	}
}

func TestRefreshFails(t *testing.T) {
	t.Run("and stays where it is", func(t *testing.T) {
		f := newFleet(t, "1")
		if err := f.refresh("2", types.RefreshPreferences{}); err != nil {
			t.Fatal(err)
		}
		f.pass(2 * step)
		if !f.FailRefresh("web", "An alarm went off.") || f.FailRefresh("web", "") || f.FailRefresh("none", "") {
			t.Error("what runs can fail, and nothing else")
		}
		f.follow("Failed 50% 1 of 2 1", "Failed 50% 1 of 2 1")
	})
	t.Run("and goes back", func(t *testing.T) {
		f := newFleet(t, "1")
		if err := f.refresh("2", types.RefreshPreferences{AutoRollback: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		f.pass(2 * step)
		f.FailRefresh("web", "An alarm went off.")
		f.follow("RollbackInProgress 50% 1 of 2 1", "RollbackInProgress 0% 1 of 1 1", "RollbackSuccessful 0% 1 of 1 1")
	})
	t.Run("for its launches", func(t *testing.T) {
		f := newFleet(t, "1")
		if _, err := f.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &f.snapshots[1]}); err != nil {
			t.Fatal(err)
		}
		if err := f.refresh("2", types.RefreshPreferences{}); err != nil {
			t.Fatal(err)
		}
		f.follow("Pending 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "InProgress 0% 1 of 1 1", "Failed 0% 1 of 1 1")
		message := fmt.Sprintf("The snapshot '%s' does not exist. Launching EC2 instance failed.", f.snapshots[1])
		if diff := cmp.Diff([]string{message, message, message}, f.failures(epoch)); diff != "" {
			t.Errorf("failed activities (-want +got):\n%s", diff)
		}
		if got := f.failures(epoch.Add(3 * step)); len(got) != 2 {
			t.Errorf("%d activities failed from the third minute on, want 2", len(got))
		}
	})
}

func (f *fleet) failures(since time.Time) []string {
	f.t.Helper()
	out, err := scalingOf(f.account).DescribeScalingActivities(f.t.Context(), &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: aws.String("web"),
		Filters: []types.Filter{
			{Name: aws.String("Status"), Values: []string{"Failed"}},
			{Name: aws.String("StartTimeLowerBound"), Values: []string{since.Format(time.RFC3339)}},
		},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	var messages []string
	for _, activity := range out.Activities {
		messages = append(messages, *activity.StatusMessage)
	}
	return messages
}

func TestRefreshIsCancelledOrTakenBack(t *testing.T) {
	f := newFleet(t, "1")
	cancel := &autoscaling.CancelInstanceRefreshInput{AutoScalingGroupName: aws.String("web")}
	back := &autoscaling.RollbackInstanceRefreshInput{AutoScalingGroupName: aws.String("web")}
	_, err := scalingOf(f.account).CancelInstanceRefresh(t.Context(), cancel)
	wantError(t, err, "ActiveInstanceRefreshNotFound", "")
	if err := f.refresh("2", types.RefreshPreferences{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, f.refresh("3", types.RefreshPreferences{}), "InstanceRefreshInProgress", "")
	_, err = scalingOf(f.account).UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("web"), LaunchTemplate: specificationOf("workers", "3"),
	})
	wantError(t, err, "ValidationError", "")
	f.pass(2 * step)
	if _, err := scalingOf(f.account).CancelInstanceRefresh(t.Context(), cancel); err != nil {
		t.Fatal(err)
	}
	f.follow("Cancelling 50% 1 of 2 1", "Cancelled 50% 1 of 2 1")
	if err := f.refresh("3", types.RefreshPreferences{}); err != nil {
		t.Fatal(err)
	}
	f.pass(3 * step)
	if _, err := scalingOf(f.account).RollbackInstanceRefresh(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	f.follow("RollbackInProgress 100% 1 of 3 3", "RollbackInProgress 50% 1 of 1 3", "RollbackInProgress 0% 1 of 1 1", "RollbackSuccessful 0% 1 of 1 1")
	if err := f.refresh("", types.RefreshPreferences{}); err != nil {
		t.Fatal(err)
	}
	_, err = scalingOf(f.account).RollbackInstanceRefresh(t.Context(), back)
	wantError(t, err, "IrreversibleInstanceRefresh", "")
}

func TestRefreshRefusals(t *testing.T) {
	cases := map[string]struct {
		version, desired string
		preferences      types.RefreshPreferences
	}{
		"going back to no desired configuration": {"1", "", types.RefreshPreferences{AutoRollback: aws.Bool(true)}},
		"going back from the latest version":     {"1", "$Latest", types.RefreshPreferences{AutoRollback: aws.Bool(true)}},
		"going back to the latest version":       {"$Latest", "2", types.RefreshPreferences{AutoRollback: aws.Bool(true)}},
		"a version that is not there":            {"1", "9", types.RefreshPreferences{}},
		"a maximum alone":                        {"1", "", types.RefreshPreferences{MaxHealthyPercentage: aws.Int32(110)}},
		"a maximum too far above":                {"1", "", types.RefreshPreferences{MinHealthyPercentage: aws.Int32(50), MaxHealthyPercentage: aws.Int32(160)}},
		"a minimum above all":                    {"1", "", types.RefreshPreferences{MinHealthyPercentage: aws.Int32(101)}},
		"a delay without checkpoints":            {"1", "", types.RefreshPreferences{CheckpointDelay: aws.Int32(1)}},
		"checkpoints that fall":                  {"1", "", types.RefreshPreferences{CheckpointPercentages: []int32{60, 50}}},
		"baking for too long":                    {"1", "", types.RefreshPreferences{BakeTime: aws.Int32(172801)}},
		"a negative warmup":                      {"1", "", types.RefreshPreferences{InstanceWarmup: aws.Int32(-1)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, tc.version)
			wantError(t, f.refresh(tc.desired, tc.preferences), "ValidationError", "")
		})
	}
}

func TestLaunchesResolveTheVersionThen(t *testing.T) {
	cases := map[string]struct{ version, want string }{
		"the latest":  {"$Latest", "3"},
		"the default": {"$Default", "1"},
		"a number":    {"2", "2"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, tc.version)
			if got := describeGroup(t, f.noRetries(), "web").Instances[1]; *got.LaunchTemplate.Version != tc.want {
				t.Errorf("launched by version %s, want %s", *got.LaunchTemplate.Version, tc.want)
			}
		})
	}
	f := newFleet(t, "1")
	if !f.FailLaunches("web", "Insufficient capacity.", 1) || f.SetDesired("web", 3) || !f.SetDesired("web", 3) || f.SetDesired("none", 1) {
		t.Error("one launch fails, and the next does not")
	}
	group := describeGroup(t, f.noRetries(), "web")
	if len(group.Instances) != 3 || *group.DesiredCapacity != 3 {
		t.Errorf("%d instances of %d", len(group.Instances), *group.DesiredCapacity)
	}
	if !f.SetHealth(*group.Instances[0].InstanceId, false) || f.SetHealth("i-0", false) {
		t.Error("an instance that exists has a health")
	}
	if got := describeGroup(t, f.noRetries(), "web").Instances[0]; *got.HealthStatus != "Unhealthy" {
		t.Errorf("it is %s", *got.HealthStatus)
	}
}

func TestPolicyIsKeptWhole(t *testing.T) {
	f := newFleet(t, "1")
	given := &types.MixedInstancesPolicy{
		InstancesDistribution: &types.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: aws.Int32(20), SpotAllocationStrategy: aws.String("price-capacity-optimized")},
		LaunchTemplate: &types.LaunchTemplate{
			LaunchTemplateSpecification: specificationOf("workers", "1"),
			Overrides: []types.LaunchTemplateOverrides{
				{InstanceType: aws.String("m5.large"), WeightedCapacity: aws.String("2")},
				{
					InstanceRequirements:        &types.InstanceRequirements{VCpuCount: &types.VCpuCountRequest{Min: aws.Int32(4)}, MemoryMiB: &types.MemoryMiBRequest{Min: aws.Int32(8), Max: aws.Int32(16)}, AllowedInstanceTypes: []string{"m5.*"}},
					LaunchTemplateSpecification: specificationOf("workers", "2"),
				},
			},
		},
	}
	update := func(policy *types.MixedInstancesPolicy) *types.MixedInstancesPolicy {
		t.Helper()
		_, err := scalingOf(f.account).UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), MixedInstancesPolicy: policy})
		if err != nil {
			t.Fatal(err)
		}
		return describeGroup(t, f.noRetries(), "web").MixedInstancesPolicy
	}
	ignoreIDs := cmp.FilterPath(func(p cmp.Path) bool {
		return p.String() == "LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId" || p.String() == "LaunchTemplate.Overrides.LaunchTemplateSpecification.LaunchTemplateId"
	}, cmp.Ignore())
	if diff := cmp.Diff(given, update(given), ignoreUnexported, ignoreIDs); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	without := *given
	without.InstancesDistribution = nil
	if got := update(&without).InstancesDistribution; got == nil || *got.OnDemandPercentageAboveBaseCapacity != 20 {
		t.Errorf("what an update leaves out is %+v", got)
	}
	if !f.SetDesired("web", 0) || !f.SetDesired("web", 2) {
		t.Fatal("nothing is launched")
	}
	if got := describeGroup(t, f.noRetries(), "web").Instances; *got[0].LaunchTemplate.Version != "1" || *got[1].LaunchTemplate.Version != "2" {
		t.Errorf("instances %+v", got)
	}
}
