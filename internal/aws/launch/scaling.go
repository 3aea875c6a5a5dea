package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// ErrGroupChanged tells that an Auto Scaling group launches by something else than when it was observed.
var ErrGroupChanged = errors.New("the group changed since it was read")

// Group is an Auto Scaling group.
type Group struct {
	// Name is unique in account and Region.
	Name string
	// CreatedTime is when it was made.
	CreatedTime time.Time
	// Launches are the launch template versions that it launches by: its own, or that of its mixed instances policy and
	// those of the policy's overrides, in this order. It is empty for a group with a launch configuration.
	Launches []Specification
	// Desired is how many instances it is to have.
	Desired int32
	// Max is the most that it may have.
	Max int32
	// Role is the name of the service-linked role that it launches by; empty when Auto Scaling does not tell.
	Role string
	// Spot tells that its mixed instances policy may launch Spot instances. A launch template may ask for them, too.
	Spot bool
	// Instances are those that it has.
	Instances []Instance

	// own and policy are the launch template and the mixed instances policy as AWS gave them; one of them at most is not
	// nil.
	own    *types.LaunchTemplateSpecification
	policy *types.MixedInstancesPolicy
}

// Specification names a version of a launch template.
type Specification struct {
	// TemplateID and TemplateName are those of the template; Auto Scaling tells both.
	TemplateID, TemplateName string
	// Version is a number, "$Latest", or "$Default", which is also what an empty one means.
	// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_LaunchTemplateSpecification.html
	Version string
}

// Number returns the number that the specification names its version by; false when it names it by $Latest or $Default.
func (s Specification) Number() (int64, bool) {
	number, err := strconv.ParseInt(s.Version, 10, 64)
	return number, err == nil
}

// IsLatest tells whether the specification follows the template's latest version.
func (s Specification) IsLatest() bool { return strings.EqualFold(s.Version, latest) }

// Instance is one of a group.
type Instance struct {
	// ID is the instance's.
	ID string
	// TemplateID and Version are what it was launched by; empty and 0 for one with a launch configuration.
	TemplateID string
	Version    int64
	// State is its lifecycle state, as "InService" or "Terminating:Wait".
	// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html
	State string
	// Healthy is what the group's health checks say.
	Healthy bool
}

// IsLeaving tells whether the group is already about to end the instance, or has given it away.
func (i Instance) IsLeaving() bool {
	return strings.HasPrefix(i.State, "Terminat") || strings.HasPrefix(i.State, "Detach")
}

// IsWorking tells whether the instance is in service and healthy.
func (i Instance) IsWorking() bool {
	return i.State == string(types.LifecycleStateInService) && i.Healthy
}

// Groups returns those of the named Auto Scaling groups that exist, by their names; at most 50 can be asked for.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
func (c *Client) Groups(ctx context.Context, names []string) (map[string]Group, error) {
	found := map[string]Group{}
	if len(names) == 0 {
		return found, nil // no names would mean all groups
	}
	for pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(c.autoscaling, &autoscaling.DescribeAutoScalingGroupsInput{
		AutoScalingGroupNames: names, MaxRecords: aws.Int32(groupsPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describing Auto Scaling groups %s: %w", strings.Join(names, ", "), err)
		}
		for _, group := range page.AutoScalingGroups {
			found[aws.ToString(group.AutoScalingGroupName)] = groupOf(group)
		}
	}
	return found, nil
}

// NamedNumbers returns the numbers of a template's versions that any Auto Scaling group of the account names, or has
// instances of, sorted: those must stay.
func (c *Client) NamedNumbers(ctx context.Context, templateID, templateName string) ([]int64, error) {
	named, err := c.namedByGroups(ctx)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	for reference, versions := range named {
		if reference.id != templateID && (reference.id != "" || reference.name != templateName) {
			continue
		}
		for version := range versions {
			if number, isNumber := (Specification{Version: version}).Number(); isNumber {
				numbers = append(numbers, number)
			}
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

func groupOf(group types.AutoScalingGroup) Group {
	read := Group{
		Name:        aws.ToString(group.AutoScalingGroupName),
		CreatedTime: aws.ToTime(group.CreatedTime),
		Desired:     aws.ToInt32(group.DesiredCapacity),
		Max:         aws.ToInt32(group.MaxSize),
		Role:        roleName(aws.ToString(group.ServiceLinkedRoleARN)),
		Spot:        allowsSpot(group.MixedInstancesPolicy),
		Launches:    specificationsOf(group.LaunchTemplate, group.MixedInstancesPolicy),
		own:         group.LaunchTemplate,
		policy:      group.MixedInstancesPolicy,
	}
	for _, instance := range group.Instances {
		launched := specificationOf(instance.LaunchTemplate)
		number, _ := launched.Number()
		read.Instances = append(read.Instances, Instance{
			ID: aws.ToString(instance.InstanceId), TemplateID: launched.TemplateID, Version: number,
			State: string(instance.LifecycleState), Healthy: aws.ToString(instance.HealthStatus) == "Healthy",
		})
	}
	return read
}

// roleName returns what is behind the last slash of a role's ARN.
func roleName(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// allowsSpot tells whether some instances of a policy are not On-Demand ones: by default all above the base are.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html
func allowsSpot(policy *types.MixedInstancesPolicy) bool {
	if policy == nil || policy.InstancesDistribution == nil || policy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity == nil {
		return false
	}
	return *policy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity < 100
}

// specificationsOf returns what a group, or the desired configuration of a refresh, launches by.
func specificationsOf(own *types.LaunchTemplateSpecification, policy *types.MixedInstancesPolicy) []Specification {
	var found []Specification
	for _, one := range pointersOf(own, policy) {
		found = append(found, specificationOf(one))
	}
	return found
}

func pointersOf(own *types.LaunchTemplateSpecification, policy *types.MixedInstancesPolicy) []*types.LaunchTemplateSpecification {
	named := []*types.LaunchTemplateSpecification{own}
	if policy != nil && policy.LaunchTemplate != nil {
		named = append(named, policy.LaunchTemplate.LaunchTemplateSpecification)
		for _, override := range policy.LaunchTemplate.Overrides {
			named = append(named, override.LaunchTemplateSpecification)
		}
	}
	return slices.DeleteFunc(named, func(one *types.LaunchTemplateSpecification) bool { return one == nil })
}

func specificationOf(given *types.LaunchTemplateSpecification) Specification {
	if given == nil {
		return Specification{}
	}
	return Specification{
		TemplateID: aws.ToString(given.LaunchTemplateId), TemplateName: aws.ToString(given.LaunchTemplateName), Version: aws.ToString(given.Version),
	}
}
