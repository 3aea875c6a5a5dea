package fakeaws

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// States of a service.
const (
	statusActive   = "ACTIVE"
	statusDraining = "DRAINING"
	statusInactive = "INACTIVE"
)

// ecsService is guarded by Server.mu.
type ecsService struct {
	region, cluster, name, arn string
	createdAt                  time.Time
	// deletedAt is zero for one that was not deleted.
	deletedAt       time.Time
	launchType      types.LaunchType
	providers       []types.CapacityProviderStrategyItem
	platformVersion *string
	scheduling      types.SchedulingStrategy
	controller      types.DeploymentControllerType
	breaker         types.DeploymentCircuitBreaker
	desired         int32
	tags            map[string]string
	events          []types.ServiceEvent
	// revisions and rollouts are all that there were, the newest last; deployments have the primary one first.
	revisions   []*ecsRevision
	rollouts    []*ecsRollout
	deployments []*ecsDeployment
}

func (v *ecsService) status(s *Server) string {
	switch {
	case v.deletedAt.IsZero():
		return statusActive
	case s.options.Clock.Now().Before(v.deletedAt.Add(s.options.TaskStart)):
		return statusDraining
	default:
		return statusInactive
	}
}

func (s *Server) createECSService(region string, in *ecs.CreateServiceInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkCluster(region, in.Cluster); err != nil {
		return nil, err
	}
	definition := s.definition(region, aws.ToString(in.TaskDefinition))
	if definition == nil {
		return nil, clientException("TaskDefinition not found.")
	}
	if found := s.ecsService(region, *in.Cluster, aws.ToString(in.ServiceName)); found != nil && found.status(s) != statusInactive {
		return nil, invalidECS("Creation of service was not idempotent.")
	}
	service := &ecsService{
		region: region, cluster: *in.Cluster, name: *in.ServiceName, createdAt: s.options.Clock.Now(),
		arn:        s.ecsARN(region, fmt.Sprintf("service/%s/%s", *in.Cluster, *in.ServiceName)),
		launchType: in.LaunchType, providers: in.CapacityProviderStrategy, platformVersion: in.PlatformVersion,
		scheduling: types.SchedulingStrategyReplica, controller: types.DeploymentControllerTypeEcs,
		desired: aws.ToInt32(in.DesiredCount), tags: map[string]string{},
	}
	if in.SchedulingStrategy != "" {
		service.scheduling = in.SchedulingStrategy
	}
	if in.DeploymentController != nil {
		service.controller = in.DeploymentController.Type
	}
	if in.DeploymentConfiguration != nil && in.DeploymentConfiguration.DeploymentCircuitBreaker != nil {
		service.breaker = *in.DeploymentConfiguration.DeploymentCircuitBreaker
	}
	for _, tag := range in.Tags {
		service.tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if err := checkECSVolumes(service, definition, in.VolumeConfigurations); err != nil {
		return nil, err
	}
	s.ecs.services = append(s.ecs.services, service)
	if service.controller == types.DeploymentControllerTypeEcs {
		s.deploy(service, &ecsRevision{definition: *definition.TaskDefinitionArn, volumes: in.VolumeConfigurations})
	}
	answer := s.ecsAnswer(service, true)
	return &ecs.CreateServiceOutput{Service: &answer}, nil
}

// ecsService is nil when there never was one. It is called with the lock held.
func (s *Server) ecsService(region, cluster, name string) *ecsService {
	for _, service := range slices.Backward(s.ecs.services) {
		if service.region == region && service.cluster == cluster && service.name == name {
			return service
		}
	}
	return nil
}

// activeService is called with the lock held.
func (s *Server) activeService(region string, cluster, name *string) (*ecsService, error) {
	if err := s.checkCluster(region, cluster); err != nil {
		return nil, err
	}
	service := s.ecsService(region, *cluster, aws.ToString(name))
	switch {
	case service == nil:
		return nil, refused("ServiceNotFoundException", "Service not found.")
	case service.status(s) != statusActive:
		return nil, refused("ServiceNotActiveException", "Service was not ACTIVE.")
	}
	return service, nil
}

// updateECSService begins a deployment if the service's revision changes, or if it is forced.
func (s *Server) updateECSService(region string, in *ecs.UpdateServiceInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	service, err := s.activeService(region, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if service.controller != types.DeploymentControllerTypeEcs {
		if in.VolumeConfigurations != nil || in.TaskDefinition != nil {
			return nil, invalidECS("Unable to update the service with the deployment controller %s.", service.controller)
		}
		return nil, unmodelled("UpdateService of a service that %s deploys", service.controller)
	}
	s.advance(service)
	current := service.deployments[0].revision
	next := &ecsRevision{definition: current.definition, volumes: current.volumes}
	if in.TaskDefinition != nil {
		definition := s.definition(region, *in.TaskDefinition)
		if definition == nil {
			return nil, clientException("TaskDefinition not found.")
		}
		next.definition = *definition.TaskDefinitionArn
	}
	if in.VolumeConfigurations != nil {
		next.volumes = in.VolumeConfigurations
	}
	if err := checkECSVolumes(service, s.definition(region, next.definition), next.volumes); err != nil {
		return nil, err
	}
	if in.DesiredCount != nil {
		service.desired = *in.DesiredCount
	}
	if in.ForceNewDeployment || next.definition != current.definition || !sameVolumes(next.volumes, current.volumes) {
		s.deploy(service, next)
	}
	answer := s.ecsAnswer(service, true)
	return &ecs.UpdateServiceOutput{Service: &answer}, nil
}

func sameVolumes(a, b []types.ServiceVolumeConfiguration) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

func (s *Server) deleteECSService(region string, in *ecs.DeleteServiceInput) (smithy.Serializable, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	service, err := s.activeService(region, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if service.desired > 0 && !aws.ToBool(in.Force) {
		return nil, invalidECS("The service cannot be stopped while it is scaled above 0.")
	}
	service.deletedAt = s.options.Clock.Now()
	answer := s.ecsAnswer(service, false)
	return &ecs.DeleteServiceOutput{Service: &answer}, nil
}

// maxServicesDescribed: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeServices.html
const maxServicesDescribed = 10

func (s *Server) describeECSServices(region string, in *ecs.DescribeServicesInput) (smithy.Serializable, error) {
	if len(in.Services) == 0 || len(in.Services) > maxServicesDescribed {
		return nil, invalidECS("Services must have 1 to %d names.", maxServicesDescribed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkCluster(region, in.Cluster); err != nil {
		return nil, err
	}
	out := &ecs.DescribeServicesOutput{Services: []types.Service{}, Failures: []types.Failure{}}
	for _, name := range in.Services {
		service := s.ecsService(region, *in.Cluster, name)
		if service == nil {
			out.Failures = append(out.Failures, missing(s.ecsARN(region, "service/"+name)))
			continue
		}
		out.Services = append(out.Services, s.ecsAnswer(service, slices.Contains(in.Include, types.ServiceFieldTags)))
	}
	return out, nil
}

func missing(arn string) types.Failure {
	return types.Failure{Arn: aws.String(arn), Reason: aws.String("MISSING")}
}

// ecsAnswer is called with the lock held.
func (s *Server) ecsAnswer(service *ecsService, withTags bool) types.Service {
	s.advance(service)
	answer := types.Service{
		ClusterArn: aws.String(s.ecsARN(service.region, "cluster/"+service.cluster)), CreatedAt: aws.Time(service.createdAt),
		DeploymentConfiguration: &types.DeploymentConfiguration{DeploymentCircuitBreaker: &service.breaker},
		DeploymentController:    &types.DeploymentController{Type: service.controller},
		DesiredCount:            service.desired,
		Events:                  slices.Clone(service.events),
		LaunchType:              service.launchType, CapacityProviderStrategy: service.providers, PlatformVersion: service.platformVersion,
		SchedulingStrategy: service.scheduling, ServiceArn: aws.String(service.arn), ServiceName: aws.String(service.name),
		Status: aws.String(service.status(s)), Deployments: []types.Deployment{},
	}
	slices.Reverse(answer.Events)
	if withTags {
		for _, key := range slices.Sorted(maps.Keys(service.tags)) {
			answer.Tags = append(answer.Tags, types.Tag{Key: aws.String(key), Value: aws.String(service.tags[key])})
		}
	}
	for i, deployment := range service.deployments {
		answer.Deployments = append(answer.Deployments, deployment.answer(i == 0, service.desired))
		answer.RunningCount += deployment.running
	}
	if len(service.deployments) > 0 {
		answer.TaskDefinition = aws.String(service.deployments[0].revision.definition)
	}
	return answer
}
