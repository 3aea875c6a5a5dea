package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

var scalingRows = []row{
	{
		name: "a mixed instances policy is given back as it was, and can be sent again with another version",
		check: func(t *testing.T, cfg aws.Config) {
			makeTemplate(t, cfg, "workers", "snap-1", "snap-2")
			client := autoscaling.NewFromConfig(cfg)
			in := groupInput("web", nil)
			in.MixedInstancesPolicy = &scalingtypes.MixedInstancesPolicy{
				InstancesDistribution: &scalingtypes.InstancesDistribution{
					OnDemandBaseCapacity: aws.Int32(1), OnDemandPercentageAboveBaseCapacity: aws.Int32(20), SpotAllocationStrategy: aws.String("price-capacity-optimized"),
				},
				LaunchTemplate: &scalingtypes.LaunchTemplate{
					LaunchTemplateSpecification: specificationOf("workers", "1"),
					Overrides:                   []scalingtypes.LaunchTemplateOverrides{{InstanceType: aws.String("m5.large"), WeightedCapacity: aws.String("2")}},
				},
			}
			if _, err := client.CreateAutoScalingGroup(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			policy := describeGroup(t, cfg, "web").MixedInstancesPolicy
			policy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName = nil
			policy.LaunchTemplate.LaunchTemplateSpecification.Version = aws.String("2")
			if _, err := client.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("web"), MixedInstancesPolicy: policy}); err != nil {
				t.Fatal(err)
			}
			got := describeGroup(t, cfg, "web").MixedInstancesPolicy
			by, override := got.InstancesDistribution, got.LaunchTemplate.Overrides[0]
			if aws.ToString(got.LaunchTemplate.LaunchTemplateSpecification.Version) != "2" || aws.ToInt32(by.OnDemandBaseCapacity) != 1 ||
				aws.ToInt32(by.OnDemandPercentageAboveBaseCapacity) != 20 || aws.ToString(by.SpotAllocationStrategy) != "price-capacity-optimized" ||
				aws.ToString(override.InstanceType) != "m5.large" || aws.ToString(override.WeightedCapacity) != "2" {
				t.Errorf("policy %+v, distribution %+v, override %+v", got, by, override)
			}
		},
	},
	{
		name:        "an instance refresh is listed, and the only one that runs",
		motoDiffers: "it has no instance refreshes",
		check: func(t *testing.T, cfg aws.Config) {
			makeTemplate(t, cfg, "workers", "snap-1")
			client := autoscaling.NewFromConfig(cfg)
			if _, err := client.CreateAutoScalingGroup(t.Context(), groupInput("web", specificationOf("workers", "1"))); err != nil {
				t.Fatal(err)
			}
			start := &autoscaling.StartInstanceRefreshInput{
				AutoScalingGroupName: aws.String("web"), Preferences: &scalingtypes.RefreshPreferences{BakeTime: aws.Int32(3600)},
			}
			started, err := client.StartInstanceRefresh(t.Context(), start)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.StartInstanceRefresh(t.Context(), start)
			wantError(t, err, "InstanceRefreshInProgress", "")
			out, err := client.DescribeInstanceRefreshes(t.Context(), &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: aws.String("web")})
			if err != nil || len(out.InstanceRefreshes) != 1 || aws.ToString(out.InstanceRefreshes[0].InstanceRefreshId) != aws.ToString(started.InstanceRefreshId) {
				t.Errorf("%+v, %v", out, err)
			}
		},
	},
}
