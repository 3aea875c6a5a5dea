// Package ecs reads ECS services with the EBS volumes that their tasks get, and changes those volumes.
package ecs

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// Client reads and writes services of one account in one Region. It is safe for concurrent use.
type Client struct {
	ecs *ecs.Client
}

// New returns a client for the configuration's Region.
func New(cfg aws.Config) *Client {
	return &Client{ecs: ecs.NewFromConfig(larderaws.ForControl(cfg))}
}

// UpdateVolumes replaces the configurations of all volumes of a service, which has ECS replace all of its tasks; none has
// it run them without. ECS starts no deployment when nothing changes, so the call can be made again. For a service that is
// not there the error is one for which IsNotFound of internal/aws holds.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
func (c *Client) UpdateVolumes(ctx context.Context, cluster, service string, volumes []Volume) error {
	configurations := make([]types.ServiceVolumeConfiguration, 0, len(volumes)) // nil would leave them as they are
	for _, volume := range volumes {
		configurations = append(configurations, volume.configuration())
	}
	_, err := c.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{
		Cluster: aws.String(cluster), Service: aws.String(service), VolumeConfigurations: configurations,
	})
	if err != nil {
		return fmt.Errorf("updating the volumes of ECS service %s of cluster %s: %w", service, cluster, err)
	}
	return nil
}

// Tag adds tags to a service, or changes those that it has. A service whose ARN does not name its cluster cannot have any.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
func (c *Client) Tag(ctx context.Context, serviceARN string, tags map[string]string) error {
	_, err := c.ecs.TagResource(ctx, &ecs.TagResourceInput{ResourceArn: aws.String(serviceARN), Tags: tagList(tags)})
	if err != nil {
		return fmt.Errorf("tagging %s: %w", serviceARN, err)
	}
	return nil
}

// Untag removes tags from a service; one that it does not have is no error.
func (c *Client) Untag(ctx context.Context, serviceARN string, keys []string) error {
	_, err := c.ecs.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: aws.String(serviceARN), TagKeys: keys})
	if err != nil {
		return fmt.Errorf("removing tags from %s: %w", serviceARN, err)
	}
	return nil
}
