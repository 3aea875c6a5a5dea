package ecs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Rollout is what ECS calls a service deployment: what was asked of a service, and what became of it. Unlike the
// deployments of a Service it is kept, for 90 days, also after ECS went back to what was there before.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-deployment.html
type Rollout struct {
	// State says how it ended, if it did.
	State RolloutState
	// Reason is ECS's own sentence about it, which may be empty.
	Reason    string
	CreatedAt time.Time
	// Volumes are those that were asked for.
	Volumes []Volume
	// Before are the volumes of what ran when it began; several when it began in the middle of another one.
	Before [][]Volume
}

// RolloutState is how far a Rollout is.
type RolloutState int

const (
	// Deployed is for one that came to its end.
	Deployed RolloutState = iota
	// Deploying is for one that ECS is at work on, also when it is going back already.
	Deploying
	// Undone is for one that ECS gave up, or was told to; the tasks of before run again, or still.
	Undone
)

// ends are the states in which a service deployment stays:
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeployment.html
var ends = map[types.ServiceDeploymentStatus]RolloutState{
	types.ServiceDeploymentStatusSuccessful:         Deployed,
	types.ServiceDeploymentStatusStopped:            Undone,
	types.ServiceDeploymentStatusRollbackSuccessful: Undone,
	types.ServiceDeploymentStatusRollbackFailed:     Undone,
}

func stateOf(status types.ServiceDeploymentStatus) RolloutState {
	if state, ended := ends[status]; ended {
		return state
	}
	return Deploying
}

// LatestRollout returns what was last asked of a service whose controller is ECS. It is false when ECS has none, as for a
// service that nobody changed for 90 days.
func (c *Client) LatestRollout(ctx context.Context, cluster, service string) (Rollout, bool, error) {
	doing := fmt.Sprintf("reading the deployments of ECS service %s of cluster %s", service, cluster)
	brief, err := c.latestBrief(ctx, cluster, service)
	if err != nil || brief == nil {
		return Rollout{}, false, wrap(doing, err)
	}
	described, err := c.ecs.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{
		ServiceDeploymentArns: []string{aws.ToString(brief.ServiceDeploymentArn)},
	})
	if err != nil {
		return Rollout{}, false, wrap(doing, err)
	}
	if len(described.ServiceDeployments) != 1 {
		return Rollout{}, false, wrap(doing, refusal(described.Failures, "ServiceDeploymentNotFoundException"))
	}
	latest := &described.ServiceDeployments[0]
	target := aws.ToString(brief.TargetServiceRevisionArn)
	arns := []string{target}
	for _, source := range latest.SourceServiceRevisions {
		arns = append(arns, aws.ToString(source.Arn))
	}
	volumes, err := c.volumesOfRevisions(ctx, arns)
	if err != nil {
		return Rollout{}, false, wrap(doing, err)
	}
	rollout := Rollout{
		State: stateOf(latest.Status), Reason: aws.ToString(latest.StatusReason), CreatedAt: aws.ToTime(latest.CreatedAt),
		Volumes: volumes[target],
	}
	if latest.Rollback != nil && rollout.Reason == "" {
		rollout.Reason = aws.ToString(latest.Rollback.Reason)
	}
	for _, source := range arns[1:] {
		rollout.Before = append(rollout.Before, volumes[source])
	}
	return rollout, true, nil
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// latestBrief is nil when there is none.
func (c *Client) latestBrief(ctx context.Context, cluster, service string) (*types.ServiceDeploymentBrief, error) {
	newestFirst, err := c.briefs(ctx, cluster, service)
	if err != nil || len(newestFirst) == 0 {
		return nil, err
	}
	return &newestFirst[0], nil
}

// briefs returns those of all pages, the newest first, since ECS promises no order.
func (c *Client) briefs(ctx context.Context, cluster, service string) ([]types.ServiceDeploymentBrief, error) {
	var all []types.ServiceDeploymentBrief
	input := &ecs.ListServiceDeploymentsInput{
		Cluster: aws.String(cluster), Service: aws.String(service), MaxResults: aws.Int32(rolloutsPerPage),
	}
	for {
		page, err := c.ecs.ListServiceDeployments(ctx, input)
		if err != nil {
			return nil, err
		}
		all = append(all, page.ServiceDeployments...)
		if aws.ToString(page.NextToken) == "" {
			break
		}
		input.NextToken = page.NextToken
	}
	slices.SortStableFunc(all, func(a, b types.ServiceDeploymentBrief) int {
		return aws.ToTime(b.CreatedAt).Compare(aws.ToTime(a.CreatedAt))
	})
	return all, nil
}

const (
	// rolloutsPerPage is the most that ListServiceDeployments gives at once.
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServiceDeployments.html
	rolloutsPerPage = 100
	// revisionsPerCall is the most that DescribeServiceRevisions takes.
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServiceRevisions.html
	revisionsPerCall = 20
)

func (c *Client) volumesOfRevisions(ctx context.Context, arns []string) (map[string][]Volume, error) {
	volumes := map[string][]Volume{}
	for some := range slices.Chunk(arns, revisionsPerCall) {
		answer, err := c.ecs.DescribeServiceRevisions(ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: some})
		if err != nil {
			return nil, err
		}
		for i := range answer.ServiceRevisions {
			revision := &answer.ServiceRevisions[i]
			volumes[aws.ToString(revision.ServiceRevisionArn)] = volumesOf(revision.VolumeConfigurations)
		}
		if len(answer.Failures) > 0 {
			return nil, refusal(answer.Failures, "ServiceRevisionNotFoundException")
		}
	}
	return volumes, nil
}
