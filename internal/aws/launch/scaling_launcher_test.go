package launch

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

func TestWhoLaunchesForAGroup(t *testing.T) {
	mixed := func(distribution *types.InstancesDistribution) types.AutoScalingGroup {
		return types.AutoScalingGroup{MixedInstancesPolicy: &types.MixedInstancesPolicy{InstancesDistribution: distribution}}
	}
	cases := map[string]struct {
		reason string
		group  types.AutoScalingGroup
		role   string
		spot   bool
	}{
		"the usual role": {"Auto Scaling makes it", types.AutoScalingGroup{
			ServiceLinkedRoleARN: aws.String("arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling")},
			"AWSServiceRoleForAutoScaling", false},
		"one with a suffix": {"a group may have a role of its own", types.AutoScalingGroup{
			ServiceLinkedRoleARN: aws.String("arn:aws:iam::111122223333:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling_gpu")},
			"AWSServiceRoleForAutoScaling_gpu", false},
		"nothing said":           {"all instances are On-Demand ones", types.AutoScalingGroup{}, "", false},
		"a policy of types":      {"100 % above the base is the default", mixed(nil), "", false},
		"a base alone":           {"so it is with a base", mixed(&types.InstancesDistribution{OnDemandBaseCapacity: aws.Int32(1)}), "", false},
		"On-Demand instances":    {"100 % of them are", mixed(&types.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: aws.Int32(100)}), "", false},
		"a Spot instance in 100": {"that one needs the role", mixed(&types.InstancesDistribution{OnDemandPercentageAboveBaseCapacity: aws.Int32(99)}), "", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := groupOf(tc.group); got.Role != tc.role || got.Spot != tc.spot {
				t.Errorf("%s: got the role %q and Spot %v, want %q and %v", tc.reason, got.Role, got.Spot, tc.role, tc.spot)
			}
		})
	}
}
