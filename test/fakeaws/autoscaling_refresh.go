package fakeaws

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// refreshMembers are the modelled members of starting an instance refresh.
var refreshMembers = append([]string{
	"AutoScalingGroupName", "Strategy", "DesiredConfiguration.LaunchTemplate",
	"Preferences.AutoRollback", "Preferences.BakeTime", "Preferences.CheckpointDelay", "Preferences.CheckpointPercentages",
	"Preferences.InstanceWarmup", "Preferences.MaxHealthyPercentage", "Preferences.MinHealthyPercentage", "Preferences.SkipMatching",
}, policyMembers("DesiredConfiguration.MixedInstancesPolicy")...)

const (
	// maxRefreshesPerPage and defaultRefreshesPerPage:
	// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeInstanceRefreshes.html
	maxRefreshesPerPage     = 100
	defaultRefreshesPerPage = 50
	// maxDelay is two days, in seconds:
	// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
	maxDelay = 172800
)

func (s *Server) startInstanceRefresh(region string, in *autoscaling.StartInstanceRefreshInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	group, err := s.existingGroup(region, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	s.stepRefreshes(group)
	if s.activeRefresh(group) != nil {
		return nil, refused("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
	}
	if in.Strategy != "" && in.Strategy != types.RefreshStrategyRolling {
		return nil, unmodelled("StartInstanceRefresh: Strategy %s", in.Strategy)
	}
	preferences := types.RefreshPreferences{}
	if in.Preferences != nil {
		preferences = *in.Preferences
	}
	if err := checkPreferences(preferences); err != nil {
		return nil, err
	}
	desired, err := s.desiredConfiguration(group, in.DesiredConfiguration)
	if err != nil {
		return nil, err
	}
	if aws.ToBool(preferences.AutoRollback) {
		own := configuration{group.template, group.policy}
		if desired == nil {
			return nil, refused("ValidationError", "The request isn't valid. The AutoRollback parameter cannot be set to true when the DesiredConfiguration parameter is empty. "+
				"Set AutoRollback to false or specify a desired configuration and try again.")
		}
		if !desired.numbered() || !own.numbered() {
			return nil, refused("ValidationError", "AutoRollback cannot be set to true for a launch template whose version is $Latest or $Default.")
		}
	}
	s.refreshed++
	now := s.options.Clock.Now()
	started := &instanceRefresh{
		id: fmt.Sprintf("%08x-0000-4000-8000-000000000000", s.refreshed), startedAt: now, due: now.Add(s.options.RefreshStep),
		status: types.InstanceRefreshStatusPending, desired: desired, preferences: preferences,
	}
	group.refreshes = append(group.refreshes, started)
	return startInstanceRefreshAnswer{RequestID: "fakeaws", ID: started.id}, nil
}

// desiredConfiguration is nil when none is given.
func (s *Server) desiredConfiguration(group *autoScalingGroup, given *types.DesiredConfiguration) (*configuration, error) {
	if given == nil {
		return nil, nil
	}
	if given.LaunchTemplate == nil && given.MixedInstancesPolicy == nil {
		return nil, refused("ValidationError", "A DesiredConfiguration has either a LaunchTemplate or a MixedInstancesPolicy.")
	}
	as := autoScalingGroup{region: group.region, policy: group.policy}
	if err := s.launchBy(&as, given.LaunchTemplate, given.MixedInstancesPolicy); err != nil {
		return nil, err
	}
	return &configuration{as.template, as.policy}, nil
}

func checkPreferences(given types.RefreshPreferences) error {
	least, most := given.MinHealthyPercentage, given.MaxHealthyPercentage
	switch {
	case least != nil && (*least < 0 || *least > 100):
		return refused("ValidationError", "MinHealthyPercentage must be between 0 and 100, not %d.", *least)
	case most != nil && least == nil:
		return refused("ValidationError", "MaxHealthyPercentage needs MinHealthyPercentage.")
	case most != nil && (*most < 100 || *most > 200 || *most-*least > 100):
		return refused("ValidationError", "MaxHealthyPercentage must be between 100 and 200, and at most 100 above MinHealthyPercentage.")
	case given.CheckpointDelay != nil && len(given.CheckpointPercentages) == 0:
		return refused("ValidationError", "CheckpointDelay needs CheckpointPercentages.")
	}
	for i, percentage := range given.CheckpointPercentages {
		if percentage < 1 || percentage > 100 || i > 0 && percentage <= given.CheckpointPercentages[i-1] {
			return refused("ValidationError", "CheckpointPercentages must be ascending, unique, and between 1 and 100.")
		}
	}
	for _, delay := range []*int32{given.CheckpointDelay, given.BakeTime} {
		if delay != nil && (*delay < 0 || *delay > maxDelay) {
			return refused("ValidationError", "CheckpointDelay and BakeTime must be between 0 and %d.", maxDelay)
		}
	}
	if given.InstanceWarmup != nil && *given.InstanceWarmup < 0 {
		return refused("ValidationError", "InstanceWarmup must not be negative.")
	}
	return nil
}

func (s *Server) cancelInstanceRefresh(region string, in *autoscaling.CancelInstanceRefreshInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	running, err := s.runningRefresh(region, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	running.enter(types.InstanceRefreshStatusCancelling, "Cancelled by the user", s.options.Clock.Now().Add(s.options.RefreshStep))
	return cancelInstanceRefreshAnswer{RequestID: "fakeaws", ID: running.id}, nil
}

func (s *Server) rollbackInstanceRefresh(region string, in *autoscaling.RollbackInstanceRefreshInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	running, err := s.runningRefresh(region, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	if running.desired == nil || !running.desired.numbered() {
		return nil, refused("IrreversibleInstanceRefresh", "The instance refresh cannot be rolled back: it has no desired configuration with a numbered launch template version.")
	}
	running.enter(types.InstanceRefreshStatusRollbackInProgress, "Rollback initiated by the user", s.options.Clock.Now().Add(s.options.RefreshStep))
	return rollbackInstanceRefreshAnswer{RequestID: "fakeaws", ID: running.id}, nil
}

func (s *Server) runningRefresh(region string, group *string) (*instanceRefresh, error) {
	of, err := s.existingGroup(region, group)
	if err != nil {
		return nil, err
	}
	s.stepRefreshes(of)
	running := s.activeRefresh(of)
	if running == nil || running.status == types.InstanceRefreshStatusCancelling || running.status == types.InstanceRefreshStatusRollbackInProgress {
		return nil, refused("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group %s", of.name)
	}
	return running, nil
}

func (s *Server) describeInstanceRefreshes(region string, in *autoscaling.DescribeInstanceRefreshesInput) (any, error) {
	size := defaultRefreshesPerPage
	if in.MaxRecords != nil {
		size = int(*in.MaxRecords)
	}
	if size < 1 || size > maxRefreshesPerPage {
		return nil, refused("ValidationError", "MaxRecords must be between 1 and %d, not %d.", maxRefreshesPerPage, size)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	group, err := s.existingGroup(region, in.AutoScalingGroupName)
	if err != nil {
		return nil, err
	}
	s.stepRefreshes(group)
	var chosen []refreshAnswer
	for _, one := range slices.Backward(group.refreshes) {
		if len(in.InstanceRefreshIds) == 0 || slices.Contains(in.InstanceRefreshIds, one.id) {
			chosen = append(chosen, one.describe(group.name))
		}
	}
	part, next, ok := page(chosen, "refreshes", size, in.NextToken)
	if !ok {
		return nil, refused("InvalidNextToken", "The token '%s' is invalid.", *in.NextToken)
	}
	return describeInstanceRefreshesAnswer{RequestID: "fakeaws", Refreshes: part, NextToken: next}, nil
}

// FailRefresh has the running instance refresh of a group fail for that reason; it returns false if none runs in the
// server's own Region.
func (s *Server) FailRefresh(group, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.group(s.options.Region, group)
	if found == nil {
		return false
	}
	s.stepRefreshes(found)
	running := s.activeRefresh(found)
	if running == nil {
		return false
	}
	running.fail(reason, s.options.Clock.Now(), s.options.RefreshStep)
	return true
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}
