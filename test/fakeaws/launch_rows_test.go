package fakeaws_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
)

func templateData(snapshot string) *types.RequestLaunchTemplateData {
	return &types.RequestLaunchTemplateData{
		ImageId:      aws.String("ami-0123456789abcdef0"),
		InstanceType: types.InstanceTypeM5Large,
		BlockDeviceMappings: []types.LaunchTemplateBlockDeviceMappingRequest{{
			DeviceName: aws.String("/dev/xvdb"),
			Ebs: &types.LaunchTemplateEbsBlockDeviceRequest{
				SnapshotId: &snapshot, VolumeSize: aws.Int32(40), VolumeType: types.VolumeTypeGp3, Iops: aws.Int32(3000), Throughput: aws.Int32(500),
				DeleteOnTermination: aws.Bool(true), Encrypted: aws.Bool(false),
			},
		}},
	}
}

// makeTemplate makes a launch template with a version for each snapshot.
func makeTemplate(t *testing.T, cfg aws.Config, name string, snapshots ...string) (id string) {
	t.Helper()
	client := ec2.NewFromConfig(cfg)
	made, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: templateData(snapshots[0])})
	if err != nil {
		t.Fatal(err)
	}
	id = aws.ToString(made.LaunchTemplate.LaunchTemplateId)
	for i, snapshot := range snapshots[1:] {
		version, err := client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateId: &id, LaunchTemplateData: templateData(snapshot)})
		if err != nil {
			t.Fatal(err)
		}
		if got := aws.ToInt64(version.LaunchTemplateVersion.VersionNumber); got != int64(i+2) {
			t.Errorf("version %d has number %d", i+2, got)
		}
	}
	return id
}

// wantVersions compares the snapshots of the versions that the call returns, in their order.
func wantVersions(t *testing.T, cfg aws.Config, in *ec2.DescribeLaunchTemplateVersionsInput, want ...string) {
	t.Helper()
	out, err := ec2.NewFromConfig(cfg).DescribeLaunchTemplateVersions(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, version := range out.LaunchTemplateVersions {
		got = append(got, aws.ToString(version.LaunchTemplateData.BlockDeviceMappings[0].Ebs.SnapshotId))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

var templateRows = []row{
	{
		name: "a launch template's version is found by number, as the latest and as the default",
		check: func(t *testing.T, cfg aws.Config) {
			id := makeTemplate(t, cfg, "workers", "snap-1", "snap-2", "snap-3")
			_, err := ec2.NewFromConfig(cfg).ModifyLaunchTemplate(t.Context(), &ec2.ModifyLaunchTemplateInput{LaunchTemplateId: &id, DefaultVersion: aws.String("2")})
			if err != nil {
				t.Fatal(err)
			}
			for version, want := range map[string]string{"1": "snap-1", "$Default": "snap-2", "$Latest": "snap-3"} {
				wantVersions(t, cfg, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{version}}, want)
				wantVersions(t, cfg, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("workers"), Versions: []string{version}}, want)
			}
		},
	},
	{
		name:        "a launch template's versions are listed, the latest first",
		motoDiffers: "it lists the first version first",
		check: func(t *testing.T, cfg aws.Config) {
			id := makeTemplate(t, cfg, "workers", "snap-1", "snap-2", "snap-3")
			wantVersions(t, cfg, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id}, "snap-3", "snap-2", "snap-1")
		},
	},
	{
		name: "the latest or the default version of all launch templates",
		check: func(t *testing.T, cfg aws.Config) {
			makeTemplate(t, cfg, "one", "snap-1", "snap-2")
			makeTemplate(t, cfg, "two", "snap-3", "snap-4")
			wantVersions(t, cfg, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest"}}, "snap-2", "snap-4")
			wantVersions(t, cfg, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Default"}}, "snap-1", "snap-3")
		},
	},
	{
		name: "launch templates are found by id and by name",
		check: func(t *testing.T, cfg aws.Config) {
			id := makeTemplate(t, cfg, "one", "snap-1", "snap-2")
			makeTemplate(t, cfg, "two", "snap-3")
			for _, in := range []*ec2.DescribeLaunchTemplatesInput{{LaunchTemplateIds: []string{id}}, {LaunchTemplateNames: []string{"one"}}} {
				out, err := ec2.NewFromConfig(cfg).DescribeLaunchTemplates(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				if len(out.LaunchTemplates) != 1 || aws.ToString(out.LaunchTemplates[0].LaunchTemplateId) != id || aws.ToInt64(out.LaunchTemplates[0].LatestVersionNumber) != 2 {
					t.Errorf("launch templates %+v", out.LaunchTemplates)
				}
			}
		},
	},
	{
		name: "an absent launch template or version",
		check: func(t *testing.T, cfg aws.Config) {
			client := ec2.NewFromConfig(cfg)
			id := makeTemplate(t, cfg, "workers", "snap-1")
			versions := func(in ec2.DescribeLaunchTemplateVersionsInput) error {
				_, err := client.DescribeLaunchTemplateVersions(t.Context(), &in)
				return err
			}
			wantError(t, versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id, Versions: []string{"2"}}), "InvalidLaunchTemplateId.VersionNotFound", "")
			wantError(t, versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: aws.String("lt-0123456789abcdef0")}), "InvalidLaunchTemplateId.NotFound", "")
			wantError(t, versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: aws.String("none")}), "InvalidLaunchTemplateName.NotFoundException", "")
			wantError(t, versions(ec2.DescribeLaunchTemplateVersionsInput{}), "MissingParameter", "")
			if _, err := client.DeleteLaunchTemplate(t.Context(), &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: &id}); err != nil {
				t.Fatal(err)
			}
			wantError(t, versions(ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: &id}), "InvalidLaunchTemplateId.NotFound", "")
		},
	},
	{
		name: "a launch template's name is taken once",
		check: func(t *testing.T, cfg aws.Config) {
			makeTemplate(t, cfg, "workers", "snap-1")
			_, err := ec2.NewFromConfig(cfg).CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("workers"), LaunchTemplateData: templateData("snap-1")})
			wantError(t, err, "InvalidLaunchTemplateName.AlreadyExistsException", "")
		},
	},
	{
		name:        "a client token makes one launch template and one version",
		motoDiffers: "it does not read client tokens",
		check: func(t *testing.T, cfg aws.Config) {
			client := ec2.NewFromConfig(cfg)
			var ids, numbers []string
			for range 2 {
				made, err := client.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("workers"), LaunchTemplateData: templateData("snap-1"), ClientToken: aws.String("t")})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, *made.LaunchTemplate.LaunchTemplateId)
				version, err := client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: aws.String("workers"), LaunchTemplateData: templateData("snap-2"), ClientToken: aws.String("t")})
				if err != nil {
					t.Fatal(err)
				}
				numbers = append(numbers, fmt.Sprint(*version.LaunchTemplateVersion.VersionNumber))
			}
			if ids[0] != ids[1] || numbers[0] != "2" || numbers[1] != "2" {
				t.Errorf("ids %v, versions %v", ids, numbers)
			}
			_, err := client.CreateLaunchTemplateVersion(t.Context(), &ec2.CreateLaunchTemplateVersionInput{LaunchTemplateName: aws.String("workers"), LaunchTemplateData: templateData("snap-3"), ClientToken: aws.String("t")})
			wantError(t, err, "IdempotentParameterMismatch", "")
		},
	},
}

func groupInput(name string, template *scalingtypes.LaunchTemplateSpecification) *autoscaling.CreateAutoScalingGroupInput {
	return &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(3), AvailabilityZones: []string{"us-west-2a"}, LaunchTemplate: template,
	}
}

func specificationOf(name, version string) *scalingtypes.LaunchTemplateSpecification {
	return &scalingtypes.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: &version}
}

func describeGroup(t *testing.T, cfg aws.Config, name string) scalingtypes.AutoScalingGroup {
	t.Helper()
	out, err := autoscaling.NewFromConfig(cfg).DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.AutoScalingGroups) != 1 {
		t.Fatalf("%d groups are named %s", len(out.AutoScalingGroups), name)
	}
	return out.AutoScalingGroups[0]
}

var groupRows = []row{
	{
		name: "a group names its launch template by id and name, and its version as it was given",
		check: func(t *testing.T, cfg aws.Config) {
			id := makeTemplate(t, cfg, "workers", "snap-1", "snap-2")
			if _, err := autoscaling.NewFromConfig(cfg).CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("workers", "1"))); err != nil {
				t.Fatal(err)
			}
			want := specificationOf("workers", "1")
			want.LaunchTemplateId = &id
			if diff := cmp.Diff(want, describeGroup(t, cfg, "web").LaunchTemplate, ignoreUnexported); diff != "" {
				t.Errorf("launch template (-want +got):\n%s", diff)
			}
			_, err := autoscaling.NewFromConfig(cfg).UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{
				AutoScalingGroupName: aws.String("web"), LaunchTemplate: specificationOf("workers", "$Latest"),
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := describeGroup(t, cfg, "web").LaunchTemplate; aws.ToString(got.Version) != "$Latest" {
				t.Errorf("after the update %+v", got)
			}
		},
	},
	{
		name: "a group's mixed instances policy names launch templates, in its overrides too",
		check: func(t *testing.T, cfg aws.Config) {
			makeTemplate(t, cfg, "workers", "snap-1")
			makeTemplate(t, cfg, "graviton", "snap-2")
			in := groupInput("web", nil)
			in.MixedInstancesPolicy = &scalingtypes.MixedInstancesPolicy{LaunchTemplate: &scalingtypes.LaunchTemplate{
				LaunchTemplateSpecification: specificationOf("workers", "1"),
				Overrides: []scalingtypes.LaunchTemplateOverrides{
					{InstanceType: aws.String("m5.large")},
					{InstanceType: aws.String("m7g.large"), LaunchTemplateSpecification: specificationOf("graviton", "$Default")},
				},
			}}
			if _, err := autoscaling.NewFromConfig(cfg).CreateAutoScalingGroup(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			group := describeGroup(t, cfg, "web")
			got := group.MixedInstancesPolicy.LaunchTemplate
			if group.LaunchTemplate != nil || aws.ToString(got.LaunchTemplateSpecification.LaunchTemplateName) != "workers" || len(got.Overrides) != 2 ||
				got.Overrides[0].LaunchTemplateSpecification != nil || aws.ToString(got.Overrides[1].LaunchTemplateSpecification.LaunchTemplateName) != "graviton" {
				t.Errorf("policy %+v, overrides %+v", got, got.Overrides)
			}
		},
	},
	{
		name:        "a group's name is taken once, and free after it was deleted",
		motoDiffers: "it takes the name again",
		check: func(t *testing.T, cfg aws.Config) {
			makeTemplate(t, cfg, "workers", "snap-1")
			client := autoscaling.NewFromConfig(cfg)
			if _, err := client.CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("workers", "1"))); err != nil {
				t.Fatal(err)
			}
			_, err := client.CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("workers", "1")))
			wantError(t, err, "AlreadyExists", "")
			if _, err := client.DeleteAutoScalingGroup(t.Context(), &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: aws.String("web")}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("workers", "1"))); err != nil {
				t.Error(err)
			}
		},
	},
	{
		name:        "a group of an absent launch template, and an absent group",
		motoDiffers: "it answers with EC2's error",
		check: func(t *testing.T, cfg aws.Config) {
			client := autoscaling.NewFromConfig(cfg)
			_, err := client.CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("none", "1")))
			wantError(t, err, "ValidationError", "")
			_, err = client.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("none")})
			wantError(t, err, "ValidationError", "")
			out, err := client.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{"none"}})
			if err != nil || len(out.AutoScalingGroups) != 0 {
				t.Errorf("%+v, %v", out, err)
			}
		},
	},
}
