package fakeaws_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func scalingOf(a *account) *autoscaling.Client { return autoscaling.NewFromConfig(a.noRetries()) }

func TestGroupPages(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	makeTemplate(t, a.noRetries(), "workers", "snap-1")
	for i := range 105 {
		if _, err := scalingOf(a).CreateAutoScalingGroup(t.Context(), groupInput(fmt.Sprintf("group-%d", i), specificationOf("workers", "1"))); err != nil {
			t.Fatal(err)
		}
	}
	for size, calls := range map[int32]int{0: 3, 100: 2} {
		before, names := a.Calls("DescribeAutoScalingGroups"), map[string]bool{}
		in := &autoscaling.DescribeAutoScalingGroupsInput{}
		if size > 0 {
			in.MaxRecords = &size
		}
		for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(scalingOf(a), in); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range page.AutoScalingGroups {
				names[*group.AutoScalingGroupName] = true
			}
		}
		if got := a.Calls("DescribeAutoScalingGroups") - before; len(names) != 105 || got != calls {
			t.Errorf("%d groups in %d pages of %d, want 105 in %d", len(names), got, size, calls)
		}
	}
	_, err := scalingOf(a).DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(101)})
	wantError(t, err, "ValidationError", "")
	_, err = scalingOf(a).DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{NextToken: aws.String("x")})
	wantError(t, err, "InvalidNextToken", "")
}

func TestGroupInstances(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := makeTemplate(t, a.noRetries(), "workers", "snap-1", "snap-2")
	if _, err := scalingOf(a).CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("workers", "2"))); err != nil {
		t.Fatal(err)
	}
	if !a.AddGroupInstance("web", fakeaws.GroupInstance{ID: "i-1", TemplateID: id, Version: 1}) || a.AddGroupInstance("none", fakeaws.GroupInstance{}) {
		t.Error("an instance goes into a group that exists, and no other")
	}
	want := []types.Instance{{
		InstanceId: aws.String("i-1"), AvailabilityZone: aws.String("us-west-2a"), HealthStatus: aws.String("Healthy"), LifecycleState: types.LifecycleStateInService,
		ProtectedFromScaleIn: aws.Bool(false),
		LaunchTemplate:       &types.LaunchTemplateSpecification{LaunchTemplateId: &id, LaunchTemplateName: aws.String("workers"), Version: aws.String("1")},
	}}
	if diff := cmp.Diff(want, describeGroup(t, a.noRetries(), "web").Instances, ignoreUnexported); diff != "" {
		t.Errorf("instances (-want +got):\n%s", diff)
	}
	_, err := scalingOf(a).DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("web")})
	wantError(t, err, "ResourceInUse", "")
	if _, err := a.ec2.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &id}); err != nil {
		t.Fatal(err)
	}
	if got := describeGroup(t, a.noRetries(), "web"); aws.ToString(got.LaunchTemplate.LaunchTemplateId) != id || aws.ToString(got.Instances[0].LaunchTemplate.LaunchTemplateId) != id {
		t.Error("the group forgot the launch template that was deleted under it")
	}
	if _, err := scalingOf(a).DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), ForceDelete: aws.Bool(true)}); err != nil {
		t.Error(err)
	}
}

func TestGroupRefusals(t *testing.T) {
	policy := &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{LaunchTemplateSpecification: specificationOf("workers", "1")}}
	override := func(specification *types.LaunchTemplateSpecification) *types.MixedInstancesPolicy {
		return &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{
			LaunchTemplateSpecification: specificationOf("workers", "1"),
			Overrides:                   []types.LaunchTemplateOverrides{{LaunchTemplateSpecification: specification}},
		}}
	}
	cases := map[string]func(in *autoscaling.CreateAutoScalingGroupInput){
		"no launch template":          func(in *autoscaling.CreateAutoScalingGroupInput) { in.LaunchTemplate = nil },
		"a template and a policy":     func(in *autoscaling.CreateAutoScalingGroupInput) { in.MixedInstancesPolicy = policy },
		"a version that is not there": func(in *autoscaling.CreateAutoScalingGroupInput) { in.LaunchTemplate.Version = aws.String("2") },
		"a template by both names": func(in *autoscaling.CreateAutoScalingGroupInput) {
			in.LaunchTemplate.LaunchTemplateId = aws.String("lt-0123456789abcdef0")
		},
		"an override that is not there": func(in *autoscaling.CreateAutoScalingGroupInput) {
			in.LaunchTemplate, in.MixedInstancesPolicy = nil, override(specificationOf("none", "1"))
		},
		"no zone":                     func(in *autoscaling.CreateAutoScalingGroupInput) { in.AvailabilityZones = nil },
		"a minimum above the maximum": func(in *autoscaling.CreateAutoScalingGroupInput) { in.MinSize = aws.Int32(4) },
		"more wanted than allowed":    func(in *autoscaling.CreateAutoScalingGroupInput) { in.DesiredCapacity = aws.Int32(4) },
		"a template of another Region's": func(in *autoscaling.CreateAutoScalingGroupInput) {
			in.LaunchTemplate.LaunchTemplateName = aws.String("elsewhere")
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			makeTemplate(t, a.noRetries(), "workers", "snap-1")
			elsewhere := a.noRetries()
			elsewhere.Region = "eu-west-1"
			makeTemplate(t, elsewhere, "elsewhere", "snap-1")
			in := groupInput("web", specificationOf("workers", "1"))
			change(in)
			_, err := scalingOf(a).CreateAutoScalingGroup(t.Context(), in)
			wantError(t, err, "ValidationError", "")
		})
	}
}

func TestGroupOfAPolicyBecomesOneOfATemplate(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	makeTemplate(t, a.noRetries(), "workers", "snap-1")
	in := groupInput("web", nil)
	in.AvailabilityZones, in.VPCZoneIdentifier = nil, aws.String("subnet-1")
	in.MixedInstancesPolicy = &types.MixedInstancesPolicy{LaunchTemplate: &types.LaunchTemplate{LaunchTemplateSpecification: specificationOf("workers", "1")}}
	if _, err := scalingOf(a).CreateAutoScalingGroup(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	_, err := scalingOf(a).UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("web"), LaunchTemplate: specificationOf("workers", "$Default"), MaxSize: aws.Int32(9), DesiredCapacity: aws.Int32(5),
		VPCZoneIdentifier: aws.String("subnet-2"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := describeGroup(t, a.noRetries(), "web")
	if got.MixedInstancesPolicy != nil || got.LaunchTemplate == nil || *got.MaxSize != 9 || *got.DesiredCapacity != 5 || *got.VPCZoneIdentifier != "subnet-2" {
		t.Errorf("group %+v", got)
	}
	_, err = scalingOf(a).UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), MaxSize: aws.Int32(1)})
	wantError(t, err, "ValidationError", "")
}
