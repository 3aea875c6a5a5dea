package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// Refresh is an instance refresh of an Auto Scaling group.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstanceRefresh.html
type Refresh struct {
	// ID is the refresh's.
	ID string
	// Status is Auto Scaling's own word, as "InProgress" or "RollbackSuccessful".
	Status string
	// Reason is what Auto Scaling says about the status; it may be empty.
	Reason string
	// Percentage is how much of it is complete.
	Percentage int32
	// StartTime is when it began; zero while it is pending.
	StartTime time.Time
	// Desired are the launch template versions that the group is to launch by when it succeeded; empty when the group
	// itself says that.
	Desired []Specification
}

// IsActive tells whether it is not over.
func (r Refresh) IsActive() bool {
	switch types.InstanceRefreshStatus(r.Status) {
	case types.InstanceRefreshStatusPending, types.InstanceRefreshStatusInProgress, types.InstanceRefreshStatusBaking,
		types.InstanceRefreshStatusCancelling, types.InstanceRefreshStatusRollbackInProgress:
		return true
	}
	return false
}

// IsReturning tells whether it is not over, and will not end with what it was started for.
func (r Refresh) IsReturning() bool {
	return r.Status == string(types.InstanceRefreshStatusCancelling) || r.Status == string(types.InstanceRefreshStatusRollbackInProgress)
}

// HasFailed tells whether it is over, and did not bring about what it was started for. One that a person cancelled leaves
// the group what it is, which is not what the refresh was to bring if it had a desired configuration.
func (r Refresh) HasFailed() bool {
	switch types.InstanceRefreshStatus(r.Status) {
	case types.InstanceRefreshStatusFailed, types.InstanceRefreshStatusRollbackFailed, types.InstanceRefreshStatusRollbackSuccessful:
		return true
	case types.InstanceRefreshStatusCancelled:
		return len(r.Desired) > 0
	}
	return false
}

// HasSucceeded tells whether it is over as it was to be.
func (r Refresh) HasSucceeded() bool {
	return r.Status == string(types.InstanceRefreshStatusSuccessful)
}

// Preferences of an instance refresh; what is nil is Auto Scaling's own default.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
type Preferences struct {
	// MinHealthyPercentage and MaxHealthyPercentage are of the group's desired capacity.
	MinHealthyPercentage, MaxHealthyPercentage *int32
	// SkipMatching leaves instances alone that need no other version.
	SkipMatching *bool
	// CheckpointPercentages are the parts of the group after which it pauses for CheckpointDelay.
	CheckpointPercentages []int32
	CheckpointDelay       *time.Duration
	// InstanceWarmup is how long a new instance takes until it counts.
	InstanceWarmup *time.Duration
	// BakeTime is how long it waits at its end.
	BakeTime *time.Duration
	// AutoRollback has Auto Scaling go back when it fails, which only NewRefresh.Number makes possible.
	AutoRollback bool
}

// NewRefresh is an instance refresh to start.
type NewRefresh struct {
	// Group is to be refreshed.
	Group Group
	// TemplateID and Number are the version that the group is to launch by once the refresh succeeds, wherever it names one
	// of that template by a number. With Number 0 the group stays as it is, and its instances follow.
	TemplateID string
	Number     int64
	// Preferences say how.
	Preferences Preferences
}

// LatestRefresh returns the newest instance refresh of a group; nil when there was none in the last six weeks.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeInstanceRefreshes.html
func (c *Client) LatestRefresh(ctx context.Context, group string) (*Refresh, error) {
	// They come sorted by their start, the newest first.
	page, err := c.autoscaling.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{
		AutoScalingGroupName: &group, MaxRecords: aws.Int32(1),
	})
	if err != nil {
		return nil, fmt.Errorf("describing the instance refreshes of Auto Scaling group %s: %w", group, err)
	}
	if len(page.InstanceRefreshes) == 0 {
		return nil, nil
	}
	one := page.InstanceRefreshes[0]
	read := &Refresh{
		ID: aws.ToString(one.InstanceRefreshId), Status: string(one.Status), Reason: aws.ToString(one.StatusReason),
		Percentage: aws.ToInt32(one.PercentageComplete), StartTime: aws.ToTime(one.StartTime),
	}
	if desired := one.DesiredConfiguration; desired != nil {
		read.Desired = specificationsOf(desired.LaunchTemplate, desired.MixedInstancesPolicy)
	}
	return read, nil
}

// StartRefresh starts an instance refresh. It has no client token; Auto Scaling answers InstanceRefreshInProgress while
// another one of the group is not over.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_StartInstanceRefresh.html
func (c *Client) StartRefresh(ctx context.Context, refresh NewRefresh) error {
	input := &autoscaling.StartInstanceRefreshInput{
		AutoScalingGroupName: &refresh.Group.Name,
		Preferences:          refresh.Preferences.forAWS(),
		Strategy:             types.RefreshStrategyRolling,
	}
	if refresh.Number > 0 {
		input.DesiredConfiguration = &types.DesiredConfiguration{}
		input.DesiredConfiguration.LaunchTemplate, input.DesiredConfiguration.MixedInstancesPolicy = refresh.Group.on(refresh.TemplateID, refresh.Number)
	}
	if _, err := c.autoscaling.StartInstanceRefresh(ctx, input); err != nil {
		return fmt.Errorf("starting an instance refresh of Auto Scaling group %s: %w", refresh.Group.Name, err)
	}
	return nil
}

func (p Preferences) forAWS() *types.RefreshPreferences {
	preferences := &types.RefreshPreferences{
		MinHealthyPercentage: p.MinHealthyPercentage, MaxHealthyPercentage: p.MaxHealthyPercentage,
		SkipMatching: p.SkipMatching, CheckpointPercentages: slices.Clone(p.CheckpointPercentages),
		CheckpointDelay: seconds(p.CheckpointDelay), InstanceWarmup: seconds(p.InstanceWarmup), BakeTime: seconds(p.BakeTime),
	}
	if p.AutoRollback {
		preferences.AutoRollback = aws.Bool(true)
	}
	return preferences
}

// seconds rounds to whole seconds, which is what Auto Scaling takes.
func seconds(duration *time.Duration) *int32 {
	if duration == nil {
		return nil
	}
	return aws.Int32(int32(duration.Round(time.Second) / time.Second))
}

// IsRefreshInProgress tells whether Auto Scaling refuses a call because an instance refresh of the group runs.
func IsRefreshInProgress(err error) bool {
	var running *types.InstanceRefreshInProgressFault
	return errors.As(err, &running)
}
