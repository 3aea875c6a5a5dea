package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
)

const (
	// arnsPerPage is the most that ECS lists at once.
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListServices.html
	arnsPerPage = 100
	// servicesPerCall is the most that DescribeServices takes.
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
	servicesPerCall = 10
)

// SnapshotUses returns all services whose tasks ECS may make a volume of a snapshot for: by one of the deployments that
// have tasks or are to have some, or by what ECS would go back to when one of them fails. What is deleted while this reads
// is not in the answer, and a Region without ECS has no services; after any other error nobody may take a snapshot for
// unused.
func (c *Client) SnapshotUses(ctx context.Context) ([]launch.Use, error) {
	clusters, err := c.clusters(ctx)
	if larderaws.IsServiceAbsent(err, "ecs", c.ecs.Options().Region) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var uses []launch.Use
	for _, cluster := range clusters {
		some, err := c.usesIn(ctx, cluster)
		if err != nil && !larderaws.IsNotFound(err) {
			return nil, fmt.Errorf("reading the services of ECS cluster %s for the snapshots of their volumes: %w", cluster, err)
		}
		uses = append(uses, some...)
	}
	return uses, nil
}

func (c *Client) clusters(ctx context.Context) ([]string, error) {
	var names []string
	for pages := ecs.NewListClustersPaginator(c.ecs, &ecs.ListClustersInput{MaxResults: aws.Int32(arnsPerPage)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing ECS clusters for the volumes of their services: %w", err)
		}
		for _, arn := range page.ClusterArns {
			names = append(names, lastPart(arn))
		}
	}
	return names, nil
}

// lastPart is the name in the ARN of a cluster or a service.
func lastPart(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

func (c *Client) usesIn(ctx context.Context, cluster string) ([]launch.Use, error) {
	names, err := c.serviceNames(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var uses []launch.Use
	for some := range slices.Chunk(names, servicesPerCall) {
		answer, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: some})
		if err != nil {
			return nil, err
		}
		if len(answer.Failures) > 0 {
			if err := refusal(answer.Failures, "ServiceNotFoundException"); !larderaws.IsNotFound(err) {
				return nil, err
			}
		}
		for i := range answer.Services {
			ids, err := c.snapshotsOf(ctx, serviceOf(cluster, &answer.Services[i]))
			if err != nil {
				return nil, err
			}
			if len(ids) > 0 {
				uses = append(uses, launch.Use{Name: "ECS service " + cluster + "/" + aws.ToString(answer.Services[i].ServiceName), SnapshotIDs: ids})
			}
		}
	}
	return uses, nil
}

func (c *Client) serviceNames(ctx context.Context, cluster string) ([]string, error) {
	var names []string
	for pages := ecs.NewListServicesPaginator(c.ecs, &ecs.ListServicesInput{
		Cluster: aws.String(cluster), MaxResults: aws.Int32(arnsPerPage),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, arn := range page.ServiceArns {
			names = append(names, lastPart(arn))
		}
	}
	return names, nil
}

// snapshotsOf returns ids, sorted, each once.
func (c *Client) snapshotsOf(ctx context.Context, service Service) ([]string, error) {
	var volumes []Volume
	settled := true
	for _, deployment := range service.Deployments {
		volumes = append(volumes, deployment.Volumes...)
		// A Classic Load Balancer has no such state, and no way back either.
		settled = settled && (deployment.RolloutState == string(types.DeploymentRolloutStateCompleted) || deployment.RolloutState == "")
	}
	if !settled && service.Controller == string(types.DeploymentControllerTypeEcs) {
		before, err := c.volumesOfTheWayBack(ctx, service)
		if err != nil && !larderaws.IsNotFound(err) {
			return nil, err
		}
		volumes = append(volumes, before...)
	}
	var ids []string
	for _, volume := range volumes {
		if volume.SnapshotID != "" {
			ids = append(ids, volume.SnapshotID)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(ids))), nil
}

// volumesOfTheWayBack returns those of the last deployment that succeeded, to which ECS goes back although none of its
// tasks may run any more. Where the history does not reach so far back, they are those that ran when it begins.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
func (c *Client) volumesOfTheWayBack(ctx context.Context, service Service) ([]Volume, error) {
	newestFirst, err := c.briefs(ctx, service.Cluster, service.Name)
	if err != nil || len(newestFirst) == 0 {
		return nil, err
	}
	var arns []string
	if last := slices.IndexFunc(newestFirst, func(brief types.ServiceDeploymentBrief) bool {
		return brief.Status == types.ServiceDeploymentStatusSuccessful
	}); last >= 0 {
		arns = []string{aws.ToString(newestFirst[last].TargetServiceRevisionArn)}
	} else if arns, err = c.sourcesOf(ctx, newestFirst[len(newestFirst)-1]); err != nil {
		return nil, err
	}
	byRevision, err := c.volumesOfRevisions(ctx, arns)
	if err != nil {
		return nil, err
	}
	var volumes []Volume
	for _, some := range byRevision {
		volumes = append(volumes, some...)
	}
	return volumes, nil
}

// sourcesOf returns the ARNs of the revisions that ran when a service deployment began.
func (c *Client) sourcesOf(ctx context.Context, brief types.ServiceDeploymentBrief) ([]string, error) {
	described, err := c.ecs.DescribeServiceDeployments(ctx, &ecs.DescribeServiceDeploymentsInput{
		ServiceDeploymentArns: []string{aws.ToString(brief.ServiceDeploymentArn)},
	})
	if err != nil {
		return nil, err
	}
	if len(described.ServiceDeployments) != 1 {
		return nil, refusal(described.Failures, "ServiceDeploymentNotFoundException")
	}
	var arns []string
	for _, source := range described.ServiceDeployments[0].SourceServiceRevisions {
		arns = append(arns, aws.ToString(source.Arn))
	}
	return arns, nil
}
