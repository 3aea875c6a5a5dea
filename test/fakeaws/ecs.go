package fakeaws

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecsschemas "github.com/aws/aws-sdk-go-v2/service/ecs/schemas"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// ecsActions are the modelled calls of ECS. Three have a name that other services use as well.
func ecsActions(add func(string, action)) {
	of := jsonAPI{"ecs", ecsschemas.AmazonEC2ContainerServiceV20141113}
	add(jsonAction(of, ecsschemas.CreateCluster, (*Server).createECSCluster, "clusterName"))
	add(jsonAction(of, ecsschemas.RegisterTaskDefinition, (*Server).registerTaskDefinition,
		"family", "containerDefinitions", "volumes", "requiresCompatibilities", "networkMode", "cpu", "memory", "runtimePlatform"))
	add(jsonAction(of, ecsschemas.DescribeTaskDefinition, (*Server).describeTaskDefinition, "taskDefinition"))
	add(jsonAction(of, ecsschemas.CreateService, (*Server).createECSService, "cluster", "serviceName", "taskDefinition",
		"desiredCount", "launchType", "capacityProviderStrategy", "platformVersion", "schedulingStrategy", "deploymentController",
		"deploymentConfiguration", "volumeConfigurations", "tags"))
	add(jsonAction(of, ecsschemas.UpdateService, (*Server).updateECSService, "cluster", "service", "taskDefinition", "desiredCount",
		"forceNewDeployment", "volumeConfigurations"))
	add(jsonAction(of, ecsschemas.DeleteService, (*Server).deleteECSService, "cluster", "service", "force"))
	add(jsonAction(of, ecsschemas.DescribeServices, (*Server).describeECSServices, "cluster", "services", "include"))
	add(jsonAction(of, ecsschemas.ListServiceDeployments, (*Server).listServiceDeployments, "cluster", "service", "maxResults", "nextToken"))
	add(jsonAction(of, ecsschemas.DescribeServiceDeployments, (*Server).describeServiceDeployments, "serviceDeploymentArns"))
	add(jsonAction(of, ecsschemas.DescribeServiceRevisions, (*Server).describeServiceRevisions, "serviceRevisionArns"))
	add(jsonAction(of, ecsschemas.DescribeCapacityProviders, (*Server).describeCapacityProviders, "cluster", "capacityProviders"))
	add(jsonAction(of, ecsschemas.ListServices, (*Server).listECSServices, "cluster", "maxResults", "nextToken"))
	target, list := jsonAction(of, ecsschemas.ListClusters, (*Server).listECSClusters, "maxResults", "nextToken")
	list.name = "ecs:ListClusters"
	add(target, list)
	target, tag := jsonAction(of, ecsschemas.TagResource, (*Server).tagECSService, "resourceArn", "tags")
	tag.name = "ecs:TagResource"
	add(target, tag)
	target, untag := jsonAction(of, ecsschemas.UntagResource, (*Server).untagECSService, "resourceArn", "tagKeys")
	untag.name = "ecs:UntagResource"
	add(target, untag)
}

// ecsState is what ECS has. It is guarded by Server.mu.
type ecsState struct {
	clusters    []inRegion
	definitions []*types.TaskDefinition
	services    []*ecsService
	// managedInstances are capacity providers.
	managedInstances []string
	// filesystems are those of snapshots whose filesystem is not ext4.
	filesystems map[string]string
	made        int
}

// AddManagedInstances makes a capacity provider of ECS Managed Instances, for every cluster.
func (s *Server) AddManagedInstances(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ecs.managedInstances = append(s.ecs.managedInstances, name)
}

// SetFilesystem says which filesystem a snapshot has; ext4 is what every other one has.
func (s *Server) SetFilesystem(snapshotID, filesystem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ecs.filesystems == nil {
		s.ecs.filesystems = map[string]string{}
	}
	s.ecs.filesystems[snapshotID] = filesystem
}

func (s *Server) ecsARN(region, resource string) string {
	return fmt.Sprintf("arn:aws:ecs:%s:%s:%s", region, s.options.AccountID, resource)
}

// ecsID makes the last part of an ARN. It is called with the lock held.
func (s *Server) ecsID() string {
	s.ecs.made++
	return fmt.Sprintf("%019d", s.ecs.made)
}

func clientException(format string, args ...any) error {
	return refused("ClientException", format, args...)
}

func invalidECS(format string, args ...any) error {
	return refused("InvalidParameterException", format, args...)
}

func (s *Server) createECSCluster(region string, in *ecs.CreateClusterInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := inRegion{region, aws.ToString(in.ClusterName)}
	if key.name == "" {
		return nil, unmodelled("CreateCluster without a name")
	}
	if !slices.Contains(s.ecs.clusters, key) {
		s.ecs.clusters = append(s.ecs.clusters, key)
	}
	return &ecs.CreateClusterOutput{Cluster: &types.Cluster{
		ClusterArn: aws.String(s.ecsARN(region, "cluster/"+key.name)), ClusterName: in.ClusterName, Status: aws.String("ACTIVE"),
	}}, nil
}

// checkCluster is called with the lock held.
func (s *Server) checkCluster(region string, name *string) error {
	if strings.Contains(aws.ToString(name), ":") {
		return unmodelled("a cluster by its ARN: %s", *name)
	}
	if !slices.Contains(s.ecs.clusters, inRegion{region, aws.ToString(name)}) {
		return refused("ClusterNotFoundException", "Cluster not found.")
	}
	return nil
}

func (s *Server) registerTaskDefinition(region string, in *ecs.RegisterTaskDefinitionInput) (smithy.Serializable, error) {
	if len(in.ContainerDefinitions) == 0 {
		return nil, clientException("Container list cannot be empty.")
	}
	atLaunch := 0
	names := map[string]bool{}
	for _, volume := range in.Volumes {
		names[aws.ToString(volume.Name)] = true
		if aws.ToBool(volume.ConfiguredAtLaunch) {
			atLaunch++
		}
	}
	if atLaunch > 1 {
		return nil, clientException("Only one volume can be configured at launch.")
	}
	for i := range in.ContainerDefinitions {
		for _, mount := range in.ContainerDefinitions[i].MountPoints {
			if !names[aws.ToString(mount.SourceVolume)] {
				return nil, clientException("Unknown volume '%s'.", aws.ToString(mount.SourceVolume))
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	definition := &types.TaskDefinition{
		Family: in.Family, Revision: 1, Status: types.TaskDefinitionStatusActive, ContainerDefinitions: in.ContainerDefinitions,
		Volumes: in.Volumes, RequiresCompatibilities: in.RequiresCompatibilities, NetworkMode: in.NetworkMode, Cpu: in.Cpu,
		Memory: in.Memory, RuntimePlatform: in.RuntimePlatform,
	}
	if former := s.definition(region, aws.ToString(in.Family)); former != nil {
		definition.Revision = former.Revision + 1
	}
	name := fmt.Sprintf("task-definition/%s:%d", aws.ToString(in.Family), definition.Revision)
	definition.TaskDefinitionArn = aws.String(s.ecsARN(region, name))
	s.ecs.definitions = append(s.ecs.definitions, definition)
	return &ecs.RegisterTaskDefinitionOutput{TaskDefinition: definition}, nil
}

// definition returns a task definition by its ARN, its family and revision, or the newest one by its family. It is nil
// when there is none. It is called with the lock held.
func (s *Server) definition(region, name string) *types.TaskDefinition {
	prefix := s.ecsARN(region, "task-definition/")
	name = strings.TrimPrefix(name, prefix)
	for _, one := range slices.Backward(s.ecs.definitions) {
		known, ok := strings.CutPrefix(*one.TaskDefinitionArn, prefix)
		if ok && (known == name || *one.Family == name) {
			return one
		}
	}
	return nil
}

func (s *Server) describeTaskDefinition(region string, in *ecs.DescribeTaskDefinitionInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	definition := s.definition(region, aws.ToString(in.TaskDefinition))
	if definition == nil {
		return nil, clientException("Unable to describe task definition.")
	}
	return &ecs.DescribeTaskDefinitionOutput{TaskDefinition: definition}, nil
}

func (s *Server) describeCapacityProviders(region string, in *ecs.DescribeCapacityProvidersInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkCluster(region, in.Cluster); err != nil {
		return nil, err
	}
	out := &ecs.DescribeCapacityProvidersOutput{}
	for _, name := range in.CapacityProviders {
		kind := types.CapacityProviderTypeEc2Autoscaling
		if slices.Contains(s.ecs.managedInstances, name) {
			kind = types.CapacityProviderTypeManagedInstances
		}
		out.CapacityProviders = append(out.CapacityProviders, types.CapacityProvider{
			CapacityProviderArn: aws.String(s.ecsARN(region, "capacity-provider/"+name)), Name: aws.String(name),
			Status: types.CapacityProviderStatusActive, Type: kind,
		})
	}
	return out, nil
}

// maxECSTags: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TagResource.html
const maxECSTags = 50

func (s *Server) tagECSService(region string, in *ecs.TagResourceInput) (smithy.Serializable, error) {
	for _, tag := range in.Tags {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		if key == "" || len(key) > 128 || len(value) > 256 || strings.HasPrefix(strings.ToLower(key), "aws:") || !tagText.MatchString(key+value) {
			return nil, invalidECS("The tag %q with the value %q is not allowed.", key, value)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	service, err := s.taggedService(region, aws.ToString(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(service.tags)
	for _, tag := range in.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if len(tags) > maxECSTags {
		return nil, invalidECS("The maximum number of tags for a resource is %s.", strconv.Itoa(maxECSTags))
	}
	service.tags = tags
	return &ecs.TagResourceOutput{}, nil
}

func (s *Server) untagECSService(region string, in *ecs.UntagResourceInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	service, err := s.taggedService(region, aws.ToString(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(service.tags, key)
	}
	return &ecs.UntagResourceOutput{}, nil
}

// taggedService is called with the lock held.
func (s *Server) taggedService(region, arn string) (*ecsService, error) {
	for _, service := range s.ecs.services {
		if service.arn == arn && service.region == region && service.status(s) == statusActive {
			return service, nil
		}
	}
	return nil, invalidECS("The specified resource cannot be found. Specify a valid resource and try again.")
}
