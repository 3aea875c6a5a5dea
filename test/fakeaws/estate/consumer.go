package estate

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Consumer is what launches instances, or starts tasks, as it is now.
type Consumer struct {
	// Name is NodeGroup, DefaultGroup, NumberedGroup, Environment or Service.
	Name string
	// Says is the version as its owner reads it, a number or $Default; empty for a service.
	Says string
	// Version is that version's number; 0 for a service.
	Version int64
	// SnapshotID is what the data device, or the volume, is made from; empty for an empty one.
	SnapshotID string
	// Content is all of what is launched with, in JSON.
	Content string
}

// Consumers are all, in the order in which they are declared.
func (e *Estate) Consumers(ctx context.Context) ([]Consumer, error) {
	var all []Consumer
	for _, read := range []func(context.Context) (Consumer, error){e.nodeGroup, e.groupOf(DefaultGroup), e.groupOf(NumberedGroup), e.environment, e.service} {
		one, err := read(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (e *Estate) nodeGroup(ctx context.Context) (Consumer, error) {
	group, there := e.AWS.NodeGroup(Cluster, NodeGroup)
	if !there {
		return Consumer{}, fmt.Errorf("node group %s/%s does not exist", Cluster, NodeGroup)
	}
	return e.launching(ctx, NodeGroup, strconv.FormatInt(group.TemplateVersion, 10))
}

func (e *Estate) groupOf(name string) func(context.Context) (Consumer, error) {
	return func(ctx context.Context) (Consumer, error) {
		group, err := e.group(ctx, name)
		if err != nil {
			return Consumer{}, err
		}
		return e.launching(ctx, name, aws.ToString(group.LaunchTemplate.Version))
	}
}

func (e *Estate) group(ctx context.Context, name string) (*scalingtypes.AutoScalingGroup, error) {
	found, err := e.scaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}})
	if err != nil {
		return nil, fmt.Errorf("reading Auto Scaling group %s: %w", name, err)
	}
	if len(found.AutoScalingGroups) != 1 {
		return nil, fmt.Errorf("%d Auto Scaling groups are called %s", len(found.AutoScalingGroups), name)
	}
	return &found.AutoScalingGroups[0], nil
}

// InstanceVersions are the numbers of the launch template's versions that the instances of an Auto Scaling group were
// launched with.
func (e *Estate) InstanceVersions(ctx context.Context, group string) ([]string, error) {
	found, err := e.group(ctx, group)
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, instance := range found.Instances {
		versions = append(versions, aws.ToString(instance.LaunchTemplate.Version))
	}
	return versions, nil
}

// Refreshes are the statuses of an Auto Scaling group's instance refreshes, the newest first.
func (e *Estate) Refreshes(ctx context.Context, group string) ([]string, error) {
	found, err := e.scaling.DescribeInstanceRefreshes(ctx, &autoscaling.DescribeInstanceRefreshesInput{AutoScalingGroupName: &group})
	if err != nil {
		return nil, fmt.Errorf("reading the instance refreshes of %s: %w", group, err)
	}
	var statuses []string
	for _, one := range found.InstanceRefreshes {
		statuses = append(statuses, string(one.Status))
	}
	return statuses, nil
}

func (e *Estate) environment(ctx context.Context) (Consumer, error) {
	found, err := e.batch.DescribeComputeEnvironments(ctx, &batch.DescribeComputeEnvironmentsInput{ComputeEnvironments: []string{Environment}})
	if err != nil {
		return Consumer{}, fmt.Errorf("reading compute environment %s: %w", Environment, err)
	}
	return e.launching(ctx, Environment, aws.ToString(found.ComputeEnvironments[0].ComputeResources.LaunchTemplate.Version))
}

// launching reads the version of the launch template that has a consumer's name.
func (e *Estate) launching(ctx context.Context, name, says string) (Consumer, error) {
	found, err := e.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name, Versions: []string{says}})
	if err != nil {
		return Consumer{}, fmt.Errorf("reading version %s of launch template %s: %w", says, name, err)
	}
	version := found.LaunchTemplateVersions[0]
	content, err := json.Marshal(version.LaunchTemplateData)
	if err != nil {
		return Consumer{}, fmt.Errorf("writing version %s of launch template %s: %w", says, name, err)
	}
	return Consumer{Name: name, Says: says, Version: *version.VersionNumber, SnapshotID: snapshotOf(version.LaunchTemplateData), Content: string(content)}, nil
}

func snapshotOf(data *ec2types.ResponseLaunchTemplateData) string {
	for _, device := range data.BlockDeviceMappings {
		if aws.ToString(device.DeviceName) == Device && device.Ebs != nil {
			return aws.ToString(device.Ebs.SnapshotId)
		}
	}
	return ""
}

func (e *Estate) service(ctx context.Context) (Consumer, error) {
	found, err := e.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster: aws.String(Cluster), Services: []string{Service}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
	})
	if err != nil {
		return Consumer{}, fmt.Errorf("reading ECS service %s/%s: %w", Cluster, Service, err)
	}
	running := found.Services[0].Deployments[0]
	content, err := json.Marshal([]any{running.VolumeConfigurations, found.Services[0].Tags})
	if err != nil {
		return Consumer{}, fmt.Errorf("writing ECS service %s/%s: %w", Cluster, Service, err)
	}
	return Consumer{Name: Service, SnapshotID: aws.ToString(running.VolumeConfigurations[0].ManagedEBSVolume.SnapshotId), Content: string(content)}, nil
}

// SnapshotsLeft are the snapshots that versions of launch templates name though no instance of a group was launched with
// them.
func (e *Estate) SnapshotsLeft(ctx context.Context) ([]string, error) {
	launched, err := e.launchedVersions(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range []string{NodeGroup, DefaultGroup, NumberedGroup, Environment} {
		found, err := e.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateName: &name})
		if err != nil {
			return nil, fmt.Errorf("reading the versions of launch template %s: %w", name, err)
		}
		for _, version := range found.LaunchTemplateVersions {
			id := snapshotOf(version.LaunchTemplateData)
			if id != "" && !launched[fmt.Sprintf("%s %d", name, aws.ToInt64(version.VersionNumber))] {
				all = append(all, id)
			}
		}
	}
	return all, nil
}

// launchedVersions are those that instances of groups were launched with, as "template number".
func (e *Estate) launchedVersions(ctx context.Context) (map[string]bool, error) {
	groups, err := e.scaling.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{})
	if err != nil {
		return nil, fmt.Errorf("reading what the instances of groups were launched with: %w", err)
	}
	launched := map[string]bool{}
	for _, group := range groups.AutoScalingGroups {
		for _, instance := range group.Instances {
			if of := instance.LaunchTemplate; of != nil {
				launched[aws.ToString(of.LaunchTemplateName)+" "+aws.ToString(of.Version)] = true
			}
		}
	}
	return launched, nil
}
