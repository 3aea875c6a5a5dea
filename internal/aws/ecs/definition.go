package ecs

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TaskDefinition is what a service's tasks are made of, as far as it concerns their volumes.
type TaskDefinition struct {
	// Name is the family and the revision: "llm:7".
	Name string
	// OperatingSystem is the family of the runtime platform: "LINUX"; empty when it is not said, which means Linux.
	OperatingSystem string
	// ConfiguredAtLaunch are the names of the volumes that a service configures; ECS allows one.
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Volume.html
	ConfiguredAtLaunch []string
	// Mounted are the names of the volumes that containers mount.
	Mounted []string
}

// TaskDefinition returns a task definition by its ARN.
func (c *Client) TaskDefinition(ctx context.Context, arn string) (TaskDefinition, error) {
	answer, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(arn)})
	if err != nil {
		return TaskDefinition{}, fmt.Errorf("describing ECS task definition %s: %w", arn, err)
	}
	from := answer.TaskDefinition
	definition := TaskDefinition{Name: fmt.Sprintf("%s:%d", aws.ToString(from.Family), from.Revision)}
	if from.RuntimePlatform != nil {
		definition.OperatingSystem = string(from.RuntimePlatform.OperatingSystemFamily)
	}
	for _, volume := range from.Volumes {
		if aws.ToBool(volume.ConfiguredAtLaunch) {
			definition.ConfiguredAtLaunch = append(definition.ConfiguredAtLaunch, aws.ToString(volume.Name))
		}
	}
	for i := range from.ContainerDefinitions {
		for _, mount := range from.ContainerDefinitions[i].MountPoints {
			definition.Mounted = append(definition.Mounted, aws.ToString(mount.SourceVolume))
		}
	}
	return definition, nil
}

// fargateProviders are AWS's own capacity providers, of which ECS need not be asked.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html
var fargateProviders = []string{"FARGATE", "FARGATE_SPOT"}

// ManagedInstances returns those of a cluster's capacity providers that are ECS Managed Instances.
func (c *Client) ManagedInstances(ctx context.Context, cluster string, providers []string) ([]string, error) {
	unknown := slices.DeleteFunc(slices.Clone(providers), func(name string) bool { return slices.Contains(fargateProviders, name) })
	if len(unknown) == 0 {
		return nil, nil
	}
	answer, err := c.ecs.DescribeCapacityProviders(ctx, &ecs.DescribeCapacityProvidersInput{
		Cluster: aws.String(cluster), CapacityProviders: unknown,
	})
	if err != nil {
		return nil, fmt.Errorf("describing the ECS capacity providers %v of cluster %s: %w", unknown, cluster, err)
	}
	var managed []string
	for i := range answer.CapacityProviders {
		if provider := &answer.CapacityProviders[i]; provider.Type == types.CapacityProviderTypeManagedInstances {
			managed = append(managed, aws.ToString(provider.Name))
		}
	}
	return managed, nil
}
