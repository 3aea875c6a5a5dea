package fakeaws

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// maxActivitiesPerPage is also the default:
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
const maxActivitiesPerPage = 100

// scalingActivity is a launch that was tried.
type scalingActivity struct {
	id        string
	startedAt time.Time
	// failure is why no instance came of it; empty for one that succeeded.
	failure string
}

// SetDesired has a group of the server's own Region have so many instances: it launches what is missing, each by the
// version that the group's launch template names at this moment, or ends the oldest ones. It returns false if there is no
// such group, or if a launch failed, which leaves a failed scaling activity.
func (s *Server) SetDesired(group string, desired int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.group(s.options.Region, group)
	if found == nil {
		return false
	}
	s.stepRefreshes(found)
	found.desired = int32(desired)
	found.max = max(found.max, found.desired)
	found.min = min(found.min, found.desired)
	if surplus := len(found.instances) - desired; surplus > 0 {
		found.instances = slices.Clone(found.instances[surplus:])
	}
	for len(found.instances) < desired {
		instance, ok := s.launch(found, s.launchesBy(found), len(found.instances))
		if !ok {
			return false
		}
		found.instances = append(found.instances, instance)
	}
	return true
}

// SetHealth says what a group's health checks find of an instance; it returns false if no group of the server's own Region
// has it.
func (s *Server) SetHealth(instanceID string, healthy bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, group := range s.groups {
		for i := range group.instances {
			if group.region == s.options.Region && group.instances[i].ID == instanceID {
				group.instances[i].Unhealthy = !healthy
				return true
			}
		}
	}
	return false
}

// FailLaunches has the next launches of a group fail, with what EC2 says of them; it returns false if there is no such
// group in the server's own Region.
func (s *Server) FailLaunches(group, message string, times int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.group(s.options.Region, group)
	if found != nil {
		found.failure, found.failures = message, times
	}
	return found != nil
}

// launchesBy is what a group launches by just now: what a refresh that runs is to bring, or else its own.
func (s *Server) launchesBy(group *autoScalingGroup) configuration {
	running := s.activeRefresh(group)
	if running == nil || running.desired == nil || running.status == types.InstanceRefreshStatusRollbackInProgress {
		return configuration{group.template, group.policy}
	}
	return *running.desired
}

// configuration is what instances are launched by; one of the two is nil.
type configuration struct {
	template *types.LaunchTemplateSpecification
	policy   *types.MixedInstancesPolicy
}

// specificationFor is what the nth instance is launched by: overrides take turns.
func (c configuration) specificationFor(nth int) *types.LaunchTemplateSpecification {
	if c.policy == nil {
		return c.template
	}
	launches := c.policy.LaunchTemplate
	if count := len(launches.Overrides); count > 0 && launches.Overrides[nth%count].LaunchTemplateSpecification != nil {
		return launches.Overrides[nth%count].LaunchTemplateSpecification
	}
	return launches.LaunchTemplateSpecification
}

// numbered tells whether no version is called the latest or the default one.
func (c configuration) numbered() bool {
	all := []*types.LaunchTemplateSpecification{c.specificationFor(0)}
	if c.policy != nil {
		all = append(all, c.policy.LaunchTemplate.LaunchTemplateSpecification)
		for nth := range c.policy.LaunchTemplate.Overrides {
			all = append(all, c.specificationFor(nth))
		}
	}
	return !slices.ContainsFunc(all, func(one *types.LaunchTemplateSpecification) bool {
		return strings.HasPrefix(aws.ToString(one.Version), "$") || one.Version == nil
	})
}

// launch resolves the version as EC2 does it: at the launch. It is called with the lock held.
func (s *Server) launch(group *autoScalingGroup, by configuration, nth int) (GroupInstance, bool) {
	instance, failure := s.tryLaunch(group, by.specificationFor(nth))
	s.tried++
	group.activities = append(group.activities, scalingActivity{id: fmt.Sprintf("%032x", s.tried), startedAt: s.options.Clock.Now(), failure: failure})
	return instance, failure == ""
}

func (s *Server) tryLaunch(group *autoScalingGroup, by *types.LaunchTemplateSpecification) (instance GroupInstance, failure string) {
	if group.failures > 0 {
		group.failures--
		return instance, group.failure
	}
	of, version, err := s.resolve(group.region, by)
	if err != nil {
		return instance, fmt.Sprintf("%v Launching EC2 instance failed.", err)
	}
	for _, device := range version.data.BlockDeviceMappings {
		if device.Ebs == nil || device.Ebs.SnapshotId == nil {
			continue
		}
		snapshot := s.snapshots[*device.Ebs.SnapshotId]
		if snapshot == nil || snapshot.region != group.region {
			return instance, fmt.Sprintf("The snapshot '%s' does not exist. Launching EC2 instance failed.", *device.Ebs.SnapshotId)
		}
	}
	s.launched++
	return GroupInstance{ID: fmt.Sprintf("i-%017x", s.launched), TemplateID: of.id, Version: version.number}, ""
}

func (s *Server) resolve(region string, by *types.LaunchTemplateSpecification) (*launchTemplate, *templateVersion, error) {
	of, err := s.template(region, by.LaunchTemplateId, nil)
	if err != nil {
		return nil, nil, err
	}
	name := defaultVersion
	if by.Version != nil {
		name = *by.Version
	}
	version, err := of.version(name)
	return of, version, err
}

func (s *Server) describeScalingActivities(region string, in *autoscaling.DescribeScalingActivitiesInput) (any, error) {
	size := maxActivitiesPerPage
	if in.MaxRecords != nil {
		size = int(*in.MaxRecords)
	}
	if size < 1 || size > maxActivitiesPerPage {
		return nil, refused("ValidationError", "MaxRecords must be between 1 and %d, not %d.", maxActivitiesPerPage, size)
	}
	if in.AutoScalingGroupName == nil {
		return nil, unmodelled("DescribeScalingActivities: without AutoScalingGroupName")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	group, err := s.existingGroup(region, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	s.stepRefreshes(group)
	var chosen []activityAnswer
	for _, activity := range slices.Backward(group.activities) {
		matches, err := activity.matches(in.Filters)
		if err != nil {
			return nil, err
		}
		if matches {
			chosen = append(chosen, describeActivity(group, activity))
		}
	}
	part, next, ok := page(chosen, "activities", size, in.NextToken)
	if !ok {
		return nil, refused("InvalidNextToken", "The token '%s' is invalid.", *in.NextToken)
	}
	return describeScalingActivitiesAnswer{RequestID: "fakeaws", Activities: part, NextToken: next}, nil
}

func (a scalingActivity) status() types.ScalingActivityStatusCode {
	if a.failure != "" {
		return types.ScalingActivityStatusCodeFailed
	}
	return types.ScalingActivityStatusCodeSuccessful
}

func (a scalingActivity) matches(filters []types.Filter) (bool, error) {
	for _, filter := range filters {
		switch name := aws.ToString(filter.Name); name {
		case "Status":
			if !slices.Contains(filter.Values, string(a.status())) {
				return false, nil
			}
		case "StartTimeLowerBound":
			if len(filter.Values) != 1 {
				return false, refused("ValidationError", "StartTimeLowerBound takes one value, not %d.", len(filter.Values))
			}
			earliest, err := time.Parse(time.RFC3339, filter.Values[0])
			if err != nil {
				return false, refused("ValidationError", "%v", err)
			}
			if a.startedAt.Before(earliest) {
				return false, nil
			}
		default:
			return false, refused("ValidationError", "The filter name %s is not valid.", name)
		}
	}
	return true, nil
}

func describeActivity(group *autoScalingGroup, activity scalingActivity) activityAnswer {
	return activityAnswer{
		ID: activity.id, Group: group.name, Cause: "An instance was launched in response to a difference between desired and actual capacity.",
		Description: "Launching a new EC2 instance", StartTime: stamp(activity.startedAt), EndTime: stamp(activity.startedAt),
		Status: string(activity.status()), Message: activity.failure, Progress: 100,
	}
}
