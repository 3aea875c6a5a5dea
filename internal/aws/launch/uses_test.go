package launch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/fakeaws"
)

// account is what others do in an AWS account besides Larder.
type account struct {
	*testing.T
	*fakeaws.Server
	ec2     *ec2.Client
	scaling *autoscaling.Client
}

func newAccount(t *testing.T, options fakeaws.Options) *account {
	t.Helper()
	server := fakeaws.NewForTest(t, options)
	return &account{t, server, ec2.NewFromConfig(server.Config()), autoscaling.NewFromConfig(server.Config())}
}

func dataOf(snapshots ...string) *types.RequestLaunchTemplateData {
	data := &types.RequestLaunchTemplateData{BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{
		{DeviceName: aws.String("/dev/xvda"), Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{VolumeSize: aws.Int32(4)}},
	}}
	for i, id := range snapshots {
		data.BlockDeviceMappings = append(data.BlockDeviceMappings, types.LaunchTemplateBlockDeviceMappingRequest{
			DeviceName: aws.String(fmt.Sprintf("/dev/xvd%c", 'b'+i)),
			Ebs:        &types.LaunchTemplateEbsBlockDeviceRequest{SnapshotId: aws.String(id)},
		})
	}
	return data
}

// template makes a launch template with a version for each of these snapshots, in their order. The first version
// stays the default one.
func (a *account) template(name string, snapshots ...string) (id string) {
	a.Helper()
	made, err := a.ec2.CreateLaunchTemplate(a.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: dataOf(snapshots[0])})
	if err != nil {
		a.Fatal(err)
	}
	for _, snapshot := range snapshots[1:] {
		_, err := a.ec2.CreateLaunchTemplateVersion(a.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: &name, LaunchTemplateData: dataOf(snapshot)})
		if err != nil {
			a.Fatal(err)
		}
	}
	return *made.LaunchTemplate.LaunchTemplateId
}

func (a *account) group(in autoscaling.CreateAutoScalingGroupInput) {
	a.Helper()
	in.MinSize, in.MaxSize, in.AvailabilityZones = aws.Int32(0), aws.Int32(1), []string{"us-west-2a"}
	if _, err := a.scaling.CreateAutoScalingGroup(a.Context(), &in); err != nil {
		a.Fatal(err)
	}
}

func named(name, version string) *scalingtypes.LaunchTemplateSpecification {
	return &scalingtypes.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: &version}
}

func mixed(of *scalingtypes.LaunchTemplateSpecification, overrides ...*scalingtypes.LaunchTemplateSpecification) *scalingtypes.MixedInstancesPolicy {
	policy := &scalingtypes.MixedInstancesPolicy{LaunchTemplate: &scalingtypes.LaunchTemplate{LaunchTemplateSpecification: of}}
	for _, override := range overrides {
		policy.LaunchTemplate.Overrides = append(policy.LaunchTemplate.Overrides, scalingtypes.LaunchTemplateOverrides{
			InstanceType: aws.String("m5.large"), LaunchTemplateSpecification: override,
		})
	}
	return policy
}

func (a *account) uses() []launch.Use {
	a.Helper()
	uses, err := launch.New(a.Config()).SnapshotUses(a.Context())
	if err != nil {
		a.Fatal(err)
	}
	return uses
}

// Each way to be in use alone keeps the middle one of three versions; the outer two are the default and the latest.
func TestEachWayAloneIsFound(t *testing.T) {
	cases := map[string]struct {
		use  func(a *account, template string)
		want string
	}{
		"nobody": {func(*account, string) {}, ""},
		"a group's template": {func(a *account, _ string) {
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "2")})
		}, ", named by Auto Scaling group web"},
		"a group's template by id": {func(a *account, template string) {
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"),
				LaunchTemplate: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateId: &template, Version: aws.String("2")}})
		}, ", named by Auto Scaling group web"},
		"a mixed instances policy": {func(a *account, _ string) {
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), MixedInstancesPolicy: mixed(named("workers", "2"))})
		}, ", named by Auto Scaling group web"},
		"an override": {func(a *account, _ string) {
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"),
				MixedInstancesPolicy: mixed(named("workers", "$Latest"), named("workers", "$Default"), named("workers", "2"))})
		}, ", named by Auto Scaling group web"},
		"an instance": {func(a *account, template string) {
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "$Latest")})
			a.AddGroupInstance("web", fakeaws.GroupInstance{ID: "i-1", TemplateID: template, Version: 2})
		}, ", used by instances of Auto Scaling group web"},
		"the default": {func(a *account, template string) {
			_, err := a.ec2.ModifyLaunchTemplate(a.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &template, DefaultVersion: aws.String("2")})
			if err != nil {
				a.Fatal(err)
			}
		}, ", default"},
		"several": {func(a *account, template string) {
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "2")})
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("api"), LaunchTemplate: named("workers", "2")})
			for range 3 {
				a.AddGroupInstance("web", fakeaws.GroupInstance{ID: "i-1", TemplateID: template, Version: 2})
			}
		}, ", named by Auto Scaling group api, named by Auto Scaling group web, used by instances of Auto Scaling group web"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			id := a.template("workers", "snap-1", "snap-2", "snap-3")
			c.use(a, id)
			title := "launch template " + id + " (workers) version "
			want := []launch.Use{
				{Name: title + "1, default", SnapshotIDs: []string{"snap-1"}},
				{Name: title + "2" + c.want, SnapshotIDs: []string{"snap-2"}},
				{Name: title + "3, latest", SnapshotIDs: []string{"snap-3"}},
			}
			switch name {
			case "nobody":
				want = append(want[:1], want[2])
			case "the default":
				want = want[1:]
			}
			if diff := cmp.Diff(want, a.uses()); diff != "" {
				t.Errorf("uses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneVersionMayNameSeveralSnapshots(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	made, err := a.ec2.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("workers"), LaunchTemplateData: dataOf("snap-b", "snap-a", "snap-b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.template("shares-one", "snap-a")
	want := []launch.Use{
		{Name: "launch template " + *made.LaunchTemplate.LaunchTemplateId + " (workers) version 1, default", SnapshotIDs: []string{"snap-a", "snap-b"}},
		{Name: "launch template lt-00000000000000002 (shares-one) version 1, default", SnapshotIDs: []string{"snap-a"}},
	}
	if diff := cmp.Diff(want, a.uses()); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
}

func TestEveryPageIsRead(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	want := map[string]bool{}
	for i := range 300 {
		first, second, third := fmt.Sprintf("snap-%d1", i), fmt.Sprintf("snap-%d2", i), fmt.Sprintf("snap-%d3", i)
		name := fmt.Sprintf("template-%d", i)
		a.template(name, first, second, third)
		want[first], want[third] = true, true
		if i%2 == 0 {
			// More groups than one page has.
			a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: &name, LaunchTemplate: named(name, "2")})
			want[second] = true
		}
	}
	got := map[string]bool{}
	for _, use := range a.uses() {
		got[use.SnapshotIDs[0]] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshots in use (-want +got):\n%s", diff)
	}
	// 600 latest and default versions come in pages of 200, and only what a group names takes a call of its own. A call
	// that is made again for a broken connection counts too, so this is no exact number.
	if calls := a.Calls("DescribeLaunchTemplateVersions"); calls < 3+150 || calls >= 300 {
		t.Errorf("%d calls for versions, want about 153, and none for each template", calls)
	}
	if calls := a.Calls("DescribeAutoScalingGroups"); calls < 2 {
		t.Errorf("%d calls for groups of two pages", calls)
	}
}

func TestWhatVanishesMeanwhileIsNoError(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	a.template("stays", "snap-1", "snap-2", "snap-3")
	gone := a.template("goes", "snap-4", "snap-5", "snap-6", "snap-7")
	a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("stays"), LaunchTemplate: named("stays", "2")})
	a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("goes"), LaunchTemplate: named("goes", "2")})
	// A group outlives its template, and an instance its version.
	a.AddGroupInstance("goes", fakeaws.GroupInstance{ID: "i-1", TemplateID: gone, Version: 3})
	a.AddGroupInstance("stays", fakeaws.GroupInstance{ID: "i-2", TemplateID: "lt-00000000000000001", Version: 9})
	if _, err := a.ec2.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &gone}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, use := range a.uses() {
		got = append(got, use.SnapshotIDs...)
	}
	if diff := cmp.Diff([]string{"snap-1", "snap-2", "snap-3"}, got); diff != "" {
		t.Errorf("snapshots in use (-want +got):\n%s", diff)
	}
}

func TestWithoutAnAnswerNothingIsUnused(t *testing.T) {
	for action, doing := range map[string]string{
		"DescribeAutoScalingGroups":      "listing Auto Scaling groups",
		"DescribeLaunchTemplateVersions": "listing the latest and default versions",
	} {
		t.Run(action, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{Denied: []string{action}})
			uses, err := launch.New(a.Config()).SnapshotUses(t.Context())
			if !larderaws.IsAccessDenied(err) || uses != nil || !strings.Contains(err.Error(), doing) {
				t.Errorf("%v, %v, want no answer and a refusal while %s", uses, err, doing)
			}
		})
	}
}

func TestARefusedLookAtOneTemplateIsAnError(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	a.template("workers", "snap-1", "snap-2", "snap-3")
	a.group(autoscaling.CreateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), LaunchTemplate: named("workers", "2")})
	a.Inject(fakeaws.Fault{Action: "DescribeLaunchTemplateVersions", Kind: fakeaws.Denied, Skip: 1})
	uses, err := launch.New(a.Config()).SnapshotUses(t.Context())
	if !larderaws.IsAccessDenied(err) || uses != nil || !strings.Contains(err.Error(), "lt-00000000000000001") {
		t.Errorf("%v, %v, want no answer and a refusal that names the template", uses, err)
	}
}
