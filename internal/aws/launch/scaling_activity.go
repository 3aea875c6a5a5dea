package launch

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// activitiesPerPage is the most that Auto Scaling gives at once, and all that is read: the newest ones.
// https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeScalingActivities.html
const activitiesPerPage = 100

// FailedActivity is something that a group tried and could not do, like launching an instance.
type FailedActivity struct {
	// StartTime is when it was tried.
	StartTime time.Time
	// Message is what Auto Scaling says of it: "Launching a new EC2 instance.  Status Reason: …".
	Message string
}

// FailedActivities returns what a group tried since then and could not do, the newest first.
func (c *Client) FailedActivities(ctx context.Context, group string, since time.Time) ([]FailedActivity, error) {
	page, err := c.autoscaling.DescribeScalingActivities(ctx, &autoscaling.DescribeScalingActivitiesInput{
		AutoScalingGroupName: &group, MaxRecords: aws.Int32(activitiesPerPage),
		Filters: []types.Filter{
			{Name: aws.String("Status"), Values: []string{string(types.ScalingActivityStatusCodeFailed)}},
			{Name: aws.String("StartTimeLowerBound"), Values: []string{since.UTC().Format(time.RFC3339)}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("describing the failed scaling activities of Auto Scaling group %s: %w", group, err)
	}
	var failed []FailedActivity
	for _, activity := range page.Activities {
		message := aws.ToString(activity.StatusMessage)
		if message == "" {
			message = aws.ToString(activity.Description)
		}
		failed = append(failed, FailedActivity{StartTime: aws.ToTime(activity.StartTime), Message: larderaws.Readable(message)})
	}
	return failed, nil
}
