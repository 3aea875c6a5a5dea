package fakeaws

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Groups on a page: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html
const (
	maxGroupsPerPage     = 100
	defaultGroupsPerPage = 50
)

// groupMembers are the modelled members of creating and updating a group.
var groupMembers = append([]string{
	"AutoScalingGroupName", "MinSize", "MaxSize", "DesiredCapacity", "AvailabilityZones", "VPCZoneIdentifier", "LaunchTemplate",
}, policyMembers("MixedInstancesPolicy")...)

// policyMembers are the modelled members of a mixed instances policy, wherever a call has one.
func policyMembers(at string) []string {
	members := []string{
		"LaunchTemplate.LaunchTemplateSpecification",
		"LaunchTemplate.Overrides.InstanceType",
		"LaunchTemplate.Overrides.LaunchTemplateSpecification",
		"LaunchTemplate.Overrides.WeightedCapacity",
		"LaunchTemplate.Overrides.InstanceRequirements.VCpuCount",
		"LaunchTemplate.Overrides.InstanceRequirements.MemoryMiB",
		"LaunchTemplate.Overrides.InstanceRequirements.AllowedInstanceTypes",
		"InstancesDistribution.OnDemandAllocationStrategy",
		"InstancesDistribution.OnDemandBaseCapacity",
		"InstancesDistribution.OnDemandPercentageAboveBaseCapacity",
		"InstancesDistribution.SpotAllocationStrategy",
		"InstancesDistribution.SpotInstancePools",
		"InstancesDistribution.SpotMaxPrice",
	}
	for i := range members {
		members[i] = at + "." + members[i]
	}
	return members
}

// autoScalingGroup is guarded by Server.mu.
type autoScalingGroup struct {
	region, name      string
	createdAt         time.Time
	min, max, desired int32
	zones             []string
	subnets           string
	// One of template and policy is nil.
	template  *types.LaunchTemplateSpecification
	policy    *types.MixedInstancesPolicy
	instances []GroupInstance
	// refreshes and activities are in the order of their starts.
	refreshes  []*instanceRefresh
	activities []scalingActivity
	// failure is why its next launches fail, and failures how many of them; by it none fails.
	failure  string
	failures int
}

// GroupInstance is an instance of an Auto Scaling group and the version of the launch template that it was
// launched with, which need not be the one that its group names by now.
type GroupInstance struct {
	ID         string
	TemplateID string
	Version    int64
	// State is its lifecycle state; InService if empty.
	State string
	// Unhealthy is what the group's health checks say.
	Unhealthy bool
}

// AddGroupInstance puts an instance into a group of the server's own Region; it returns false if there is no such
// group.
func (s *Server) AddGroupInstance(group string, instance GroupInstance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.group(s.options.Region, group)
	if found != nil {
		found.instances = append(found.instances, instance)
	}
	return found != nil
}

// group is called with the lock held and returns nil for a group that does not exist.
func (s *Server) group(region, name string) *autoScalingGroup {
	for _, one := range s.groups {
		if one.region == region && one.name == name {
			return one
		}
	}
	return nil
}

func (s *Server) existingGroup(region string, name *string) (*autoScalingGroup, error) {
	found := s.group(region, aws.ToString(name))
	if found == nil {
		return nil, refused("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup %s not found", aws.ToString(name))
	}
	return found, nil
}

func (s *Server) createAutoScalingGroup(region string, in *autoscaling.CreateAutoScalingGroupInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := &autoScalingGroup{
		region: region, name: aws.ToString(in.AutoScalingGroupName), createdAt: s.options.Clock.Now(),
		min: aws.ToInt32(in.MinSize), max: aws.ToInt32(in.MaxSize), desired: aws.ToInt32(in.MinSize),
		zones: in.AvailabilityZones, subnets: aws.ToString(in.VPCZoneIdentifier),
	}
	if in.DesiredCapacity != nil {
		made.desired = *in.DesiredCapacity
	}
	switch {
	case made.name == "" || in.MinSize == nil || in.MaxSize == nil:
		return nil, refused("ValidationError", "AutoScalingGroupName, MinSize and MaxSize must not be null.")
	case s.group(region, made.name) != nil:
		return nil, refused("AlreadyExists", "AutoScalingGroup by this name already exists - A group with the name %s already exists", made.name)
	case len(made.zones) == 0 && made.subnets == "":
		return nil, refused("ValidationError", "At least one Availability Zone or VPC Subnet is required.")
	case in.LaunchTemplate == nil && in.MixedInstancesPolicy == nil:
		return nil, refused("ValidationError", "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.")
	}
	if err := s.launchBy(made, in.LaunchTemplate, in.MixedInstancesPolicy); err != nil {
		return nil, err
	}
	if err := made.checkSizes(); err != nil {
		return nil, err
	}
	s.groups = append(s.groups, made)
	return createAutoScalingGroupAnswer{RequestID: "fakeaws"}, nil
}

func (s *Server) updateAutoScalingGroup(region string, in *autoscaling.UpdateAutoScalingGroupInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.existingGroup(region, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	changed := *found
	for _, size := range []struct{ asked, held *int32 }{{in.MinSize, &changed.min}, {in.MaxSize, &changed.max}, {in.DesiredCapacity, &changed.desired}} {
		if size.asked != nil {
			*size.held = *size.asked
		}
	}
	if len(in.AvailabilityZones) > 0 {
		changed.zones = in.AvailabilityZones
	}
	if in.VPCZoneIdentifier != nil {
		changed.subnets = *in.VPCZoneIdentifier
	}
	if running := s.activeRefresh(found); running != nil && running.desired != nil && (in.LaunchTemplate != nil || in.MixedInstancesPolicy != nil) {
		return nil, refused("ValidationError", "An active instance refresh with a desired configuration exists. All configuration options derived "+
			"from the desired configuration are not available for update while the instance refresh is active.")
	}
	if err := s.launchBy(&changed, in.LaunchTemplate, in.MixedInstancesPolicy); err != nil {
		return nil, err
	}
	if err := changed.checkSizes(); err != nil {
		return nil, err
	}
	*found = changed
	return updateAutoScalingGroupAnswer{RequestID: "fakeaws"}, nil
}

func (s *Server) deleteAutoScalingGroup(region string, in *autoscaling.DeleteAutoScalingGroupInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.existingGroup(region, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if len(found.instances) > 0 && !aws.ToBool(in.ForceDelete) {
		return nil, refused("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.")
	}
	s.groups = slices.DeleteFunc(s.groups, func(one *autoScalingGroup) bool { return one == found })
	return deleteAutoScalingGroupAnswer{RequestID: "fakeaws"}, nil
}

func (g *autoScalingGroup) checkSizes() error {
	if g.min < 0 || g.min > g.desired || g.desired > g.max {
		return refused("ValidationError", "The sizes min:%d desired:%d max:%d are not in this order.", g.min, g.desired, g.max)
	}
	return nil
}

// launchBy sets what a group launches its instances by, if a call says something about it.
func (s *Server) launchBy(group *autoScalingGroup, template *types.LaunchTemplateSpecification, policy *types.MixedInstancesPolicy) error {
	switch {
	case template != nil && policy != nil:
		return refused("ValidationError", "A group has either a LaunchTemplate or a MixedInstancesPolicy.")
	case template != nil:
		whole, err := s.wholeSpecification(group.region, template)
		group.template, group.policy = whole, nil
		return err
	case policy == nil:
		return nil
	case policy.LaunchTemplate == nil || policy.LaunchTemplate.LaunchTemplateSpecification == nil:
		return unmodelled("Auto Scaling: a MixedInstancesPolicy without a LaunchTemplateSpecification")
	}
	whole := &types.LaunchTemplate{}
	var err error
	if whole.LaunchTemplateSpecification, err = s.wholeSpecification(group.region, policy.LaunchTemplate.LaunchTemplateSpecification); err != nil {
		return err
	}
	for _, override := range policy.LaunchTemplate.Overrides {
		if override.LaunchTemplateSpecification != nil {
			if override.LaunchTemplateSpecification, err = s.wholeSpecification(group.region, override.LaunchTemplateSpecification); err != nil {
				return err
			}
		}
		whole.Overrides = append(whole.Overrides, override)
	}
	group.template, group.policy = nil, &types.MixedInstancesPolicy{LaunchTemplate: whole, InstancesDistribution: distributionOf(group.policy, policy)}
	return nil
}

// distributionOf is the given one, or the one that there is: what an update leaves out stays.
func distributionOf(before, given *types.MixedInstancesPolicy) *types.InstancesDistribution {
	if given.InstancesDistribution == nil && before != nil {
		return before.InstancesDistribution
	}
	return given.InstancesDistribution
}

// wholeSpecification checks that template and version exist, and adds whichever of id and name is not said.
func (s *Server) wholeSpecification(region string, given *types.LaunchTemplateSpecification) (*types.LaunchTemplateSpecification, error) {
	found, err := s.template(region, given.LaunchTemplateId, given.LaunchTemplateName)
	if err == nil && given.Version != nil {
		_, err = found.version(*given.Version)
	}
	if err != nil {
		return nil, refused("ValidationError", "You must use a valid fully-formed launch template. %v", err)
	}
	return &types.LaunchTemplateSpecification{LaunchTemplateId: &found.id, LaunchTemplateName: &found.name, Version: given.Version}, nil
}

func (s *Server) describeAutoScalingGroups(region string, in *autoscaling.DescribeAutoScalingGroupsInput) (any, error) {
	size := int(aws.ToInt32(in.MaxRecords))
	if in.MaxRecords == nil {
		size = defaultGroupsPerPage
	}
	if size < 1 || size > maxGroupsPerPage {
		return nil, refused("ValidationError", "MaxRecords must be between 1 and %d, not %d.", maxGroupsPerPage, size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var chosen []groupAnswer
	for _, one := range s.groups {
		if one.region == region && (len(in.AutoScalingGroupNames) == 0 || slices.Contains(in.AutoScalingGroupNames, one.name)) {
			s.stepRefreshes(one)
			chosen = append(chosen, s.describeGroup(one))
		}
	}
	part, next, ok := page(chosen, "groups", size, in.NextToken)
	if !ok {
		return nil, refused("InvalidNextToken", "The token '%s' is invalid.", *in.NextToken)
	}
	return describeAutoScalingGroupsAnswer{RequestID: "fakeaws", Groups: part, NextToken: next}, nil
}

func (s *Server) describeGroup(group *autoScalingGroup) groupAnswer {
	described := groupAnswer{
		Name:            group.name,
		ARN:             fmt.Sprintf("arn:aws:autoscaling:%s:%s:autoScalingGroup:fakeaws:autoScalingGroupName/%s", group.region, s.options.AccountID, group.name),
		CreatedTime:     group.createdAt.UTC().Format(time.RFC3339),
		Min:             group.min,
		Max:             group.max,
		Desired:         group.desired,
		DefaultCooldown: 300,
		HealthCheckType: "EC2",
		Zones:           group.zones,
		Subnets:         group.subnets,
		Template:        specification(group.template),
	}
	described.Policy = policyOf(group.policy)
	for _, instance := range group.instances {
		described.Instances = append(described.Instances, s.describeInstance(group, instance))
	}
	return described
}

func (s *Server) describeInstance(group *autoScalingGroup, instance GroupInstance) instanceAnswer {
	zone := group.region + "a"
	if len(group.zones) > 0 {
		zone = group.zones[0]
	}
	launched := &specificationAnswer{ID: &instance.TemplateID, Version: aws.String(strconv.FormatInt(instance.Version, 10))}
	if template, err := s.template(group.region, &instance.TemplateID, nil); err == nil {
		launched.Name = &template.name
	}
	health := "Healthy"
	if instance.Unhealthy {
		health = "Unhealthy"
	}
	state := cmp.Or(instance.State, string(types.LifecycleStateInService))
	return instanceAnswer{ID: instance.ID, Zone: zone, HealthStatus: health, LifecycleState: state, Template: launched}
}
