// Package estate is what a team has in an account of the double before it knows Larder: one of each kind that boots nodes
// from a launch template, or makes volumes for tasks.
package estate

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/batch"
	batchtypes "github.com/aws/aws-sdk-go-v2/service/batch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/larder-dev/larder/test/fakeaws"
)

// What there is. Each launch template has the name of what launches by it.
const (
	// Cluster is that of EKS and that of ECS.
	Cluster = "prod"
	// NodeGroup is of EKS, with three nodes.
	NodeGroup = "workers"
	// DefaultGroup is an Auto Scaling group that launches by $Default.
	DefaultGroup = "edge"
	// NumberedGroup is one that launches by a number.
	NumberedGroup = "jobs"
	// Environment is of Batch.
	Environment = "nightly"
	// Service is of ECS, with two tasks that mount Volume.
	Service = "llm"
	// Volume is empty before Larder.
	Volume = "models"
	// Device is the data device of all launch templates.
	Device = "/dev/xvdb"
)

// bottlerocket is the AMI of the Auto Scaling groups.
const bottlerocket = "ami-0123456789abcdef0"

// Estate is what a team has.
type Estate struct {
	// AWS is the account.
	AWS     *fakeaws.Server
	ec2     *ec2.Client
	scaling *autoscaling.Client
	batch   *batch.Client
	ecs     *ecs.Client
}

// New makes all of it. An instance, a node and a task each take as long as the double's options say.
func New(ctx context.Context, server *fakeaws.Server) (*Estate, error) {
	cfg := server.Config()
	e := &Estate{
		AWS: server, ec2: ec2.NewFromConfig(cfg), scaling: autoscaling.NewFromConfig(cfg), batch: batch.NewFromConfig(cfg), ecs: ecs.NewFromConfig(cfg),
	}
	server.AddImage(fakeaws.Image{
		ID: bottlerocket, Name: "bottlerocket-aws-k8s-1.34-x86_64-v1.50.0-5ed15786", Architecture: "x86_64", RootDevice: "/dev/xvda",
	})
	for _, make := range []func(context.Context) error{e.makeNodeGroup, e.makeGroups, e.makeEnvironment, e.makeService} {
		if err := make(ctx); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// makeTemplate makes one of a root device and an empty data device. Without an image, what launches by it chooses its own.
func (e *Estate) makeTemplate(ctx context.Context, name, image string) (id string, err error) {
	data := &ec2types.RequestLaunchTemplateData{
		BlockDeviceMappings: []ec2types.LaunchTemplateBlockDeviceMappingRequest{device("/dev/xvda", 8), device(Device, 20)},
	}
	if image != "" {
		data.ImageId = &image
	}
	made, err := e.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &name, LaunchTemplateData: data})
	if err != nil {
		return "", fmt.Errorf("making launch template %s: %w", name, err)
	}
	return *made.LaunchTemplate.LaunchTemplateId, nil
}

func device(name string, sizeGiB int32) ec2types.LaunchTemplateBlockDeviceMappingRequest {
	return ec2types.LaunchTemplateBlockDeviceMappingRequest{DeviceName: &name, Ebs: &ec2types.LaunchTemplateEbsBlockDeviceRequest{
		VolumeSize: &sizeGiB, VolumeType: ec2types.VolumeTypeGp3, Encrypted: aws.Bool(true), DeleteOnTermination: aws.Bool(true),
	}}
}

func (e *Estate) makeNodeGroup(ctx context.Context) error {
	template, err := e.makeTemplate(ctx, NodeGroup, "")
	if err != nil {
		return err
	}
	e.AWS.AddNodeGroup(fakeaws.NodeGroup{Cluster: Cluster, Name: NodeGroup, TemplateID: template, TemplateVersion: 1, DesiredSize: 3, MaxSize: 5})
	return nil
}

func (e *Estate) makeGroups(ctx context.Context) error {
	for name, version := range map[string]string{DefaultGroup: "$Default", NumberedGroup: "1"} {
		if _, err := e.makeTemplate(ctx, name, bottlerocket); err != nil {
			return err
		}
		_, err := e.scaling.CreateAutoScalingGroup(ctx, &autoscaling.CreateAutoScalingGroupInput{
			AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(9), AvailabilityZones: []string{"us-west-2a"},
			LaunchTemplate: &scalingtypes.LaunchTemplateSpecification{LaunchTemplateName: &name, Version: &version},
		})
		if err != nil {
			return fmt.Errorf("making Auto Scaling group %s: %w", name, err)
		}
		if !e.AWS.SetDesired(name, 2) {
			return fmt.Errorf("group %s does not launch", name)
		}
	}
	return nil
}

// ScaleUp has an Auto Scaling group launch an instance more. One that cannot be launched is no error.
func (e *Estate) ScaleUp(ctx context.Context, group string) error {
	found, err := e.group(ctx, group)
	if err != nil {
		return err
	}
	e.AWS.SetDesired(group, len(found.Instances)+1)
	return nil
}

// Empty ends all instances of an Auto Scaling group.
func (e *Estate) Empty(group string) error {
	if !e.AWS.SetDesired(group, 0) {
		return fmt.Errorf("group %s keeps instances", group)
	}
	return nil
}

func (e *Estate) makeEnvironment(ctx context.Context) error {
	if _, err := e.makeTemplate(ctx, Environment, ""); err != nil {
		return err
	}
	_, err := e.batch.CreateComputeEnvironment(ctx, &batch.CreateComputeEnvironmentInput{
		ComputeEnvironmentName: aws.String(Environment), Type: batchtypes.CETypeManaged,
		ComputeResources: &batchtypes.ComputeResource{
			Type: batchtypes.CRTypeEc2, AllocationStrategy: batchtypes.CRAllocationStrategyBestFitProgressive,
			MinvCpus: aws.Int32(8), MaxvCpus: aws.Int32(64), InstanceTypes: []string{"m5"}, Subnets: []string{"subnet-1"},
			InstanceRole:   aws.String("ecsInstanceRole"),
			LaunchTemplate: &batchtypes.LaunchTemplateSpecification{LaunchTemplateName: aws.String(Environment), Version: aws.String("$Latest")},
		},
	})
	if err != nil {
		return fmt.Errorf("making compute environment %s: %w", Environment, err)
	}
	return nil
}

func (e *Estate) makeService(ctx context.Context) error {
	_, noCluster := e.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(Cluster)})
	_, noDefinition := e.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(Service), Volumes: []ecstypes.Volume{{Name: aws.String(Volume), ConfiguredAtLaunch: aws.Bool(true)}},
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("server"), Image: aws.String("llm:1"),
			MountPoints: []ecstypes.MountPoint{{SourceVolume: aws.String(Volume), ContainerPath: aws.String("/models")}},
		}},
	})
	_, noService := e.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(Cluster), ServiceName: aws.String(Service), TaskDefinition: aws.String(Service), DesiredCount: aws.Int32(2),
		LaunchType: ecstypes.LaunchTypeFargate,
		DeploymentConfiguration: &ecstypes.DeploymentConfiguration{
			DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		},
		VolumeConfigurations: []ecstypes.ServiceVolumeConfiguration{{
			Name: aws.String(Volume), ManagedEBSVolume: &ecstypes.ServiceManagedEBSVolumeConfiguration{
				RoleArn: aws.String("arn:aws:iam::111122223333:role/ecsInfrastructureRole"), SizeInGiB: aws.Int32(10), VolumeType: aws.String("gp3"),
			},
		}},
	})
	if err := errors.Join(noCluster, noDefinition, noService); err != nil {
		return fmt.Errorf("making ECS service %s/%s: %w", Cluster, Service, err)
	}
	return nil
}
