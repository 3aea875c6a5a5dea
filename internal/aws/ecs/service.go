package ecs

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
)

// Service is an ECS service, with ECS's own words for its states.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html
type Service struct {
	ARN, Cluster, Name string
	// Status is "ACTIVE", "DRAINING" or, for some time after it was deleted, "INACTIVE".
	Status string
	// Scheduling is "REPLICA" or "DAEMON".
	Scheduling string
	// Controller is who deploys: "ECS", "CODE_DEPLOY" or "EXTERNAL".
	Controller string
	// LaunchType is "EC2", "FARGATE", "EXTERNAL" or "MANAGED_INSTANCES"; empty when CapacityProviders say it.
	LaunchType        string
	CapacityProviders []string
	// PlatformVersion is Fargate's: "1.4.0", "LATEST"; empty elsewhere.
	PlatformVersion string
	// CircuitBreaker tells that ECS ends a deployment whose tasks do not start.
	CircuitBreaker bool
	// TaskDefinition is the ARN of the one that was last asked for.
	TaskDefinition string
	// DesiredTasks is how many are to run.
	DesiredTasks int
	// Deployments have tasks, or are to have some: the newest one, which is the primary, and those that it replaces.
	Deployments []Deployment
	// LastTrouble is what ECS last said about tasks that it could not start; empty when it said nothing of the kind.
	LastTrouble Event
	Tags        map[string]string
}

// Deployment is a set of a service's tasks that were launched alike.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Deployment.html
type Deployment struct {
	ID string
	// Primary tells that it is the newest one; the others are being replaced.
	Primary bool
	// RolloutState is "IN_PROGRESS", "COMPLETED" or "FAILED"; empty behind a Classic Load Balancer. Reason is why.
	RolloutState, Reason string
	CreatedAt            time.Time
	// Failed counts the tasks that failed one after another, until one runs.
	Pending, Running, Failed int
	Volumes                  []Volume
}

// Event is a message of ECS about a service.
type Event struct {
	At      time.Time
	Message string
}

// Primary returns the newest deployment; the zero value when there is none.
func (s Service) Primary() Deployment {
	for _, deployment := range s.Deployments {
		if deployment.Primary {
			return deployment
		}
	}
	return Deployment{}
}

// CanBeTagged tells whether the service's ARN names its cluster. One of before 2018 may not.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-account-settings.html#ecs-resource-ids
func (s Service) CanBeTagged() bool {
	_, resource, _ := strings.Cut(s.ARN, ":service/")
	return strings.Contains(resource, "/")
}

// Service returns a service with its tags. For one that was never made, or whose cluster does not exist, the error is one
// for which IsNotFound of internal/aws holds.
func (c *Client) Service(ctx context.Context, cluster, name string) (Service, error) {
	doing := fmt.Sprintf("describing ECS service %s of cluster %s", name, cluster)
	answer, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster: aws.String(cluster), Services: []string{name}, Include: []types.ServiceField{types.ServiceFieldTags},
	})
	if err != nil {
		return Service{}, fmt.Errorf("%s: %w", doing, err)
	}
	if len(answer.Services) != 1 {
		return Service{}, fmt.Errorf("%s: %w", doing, refusal(answer.Failures, "ServiceNotFoundException"))
	}
	return serviceOf(cluster, &answer.Services[0]), nil
}

// refusal makes an error of what ECS answers instead of an error: a list of what it could not describe. MISSING is its
// word for what does not exist, for which other calls of it have an error code of their own.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html
func refusal(failures []types.Failure, missing string) error {
	for _, failure := range failures {
		if reason := aws.ToString(failure.Reason); reason != "MISSING" {
			return &smithy.GenericAPIError{Code: reason, Message: aws.ToString(failure.Detail)}
		}
	}
	return &smithy.GenericAPIError{Code: missing, Message: "MISSING", Fault: smithy.FaultClient}
}

func serviceOf(cluster string, from *types.Service) Service {
	service := Service{
		ARN: aws.ToString(from.ServiceArn), Cluster: cluster, Name: aws.ToString(from.ServiceName),
		Status:          aws.ToString(from.Status),
		Scheduling:      string(from.SchedulingStrategy),
		Controller:      string(types.DeploymentControllerTypeEcs),
		LaunchType:      string(from.LaunchType),
		PlatformVersion: aws.ToString(from.PlatformVersion),
		TaskDefinition:  aws.ToString(from.TaskDefinition),
		DesiredTasks:    int(from.DesiredCount),
		Tags:            tagMap(from.Tags),
	}
	if from.DeploymentController != nil {
		service.Controller = string(from.DeploymentController.Type)
	}
	if how := from.DeploymentConfiguration; how != nil && how.DeploymentCircuitBreaker != nil {
		service.CircuitBreaker = how.DeploymentCircuitBreaker.Enable
	}
	for _, item := range from.CapacityProviderStrategy {
		service.CapacityProviders = append(service.CapacityProviders, aws.ToString(item.CapacityProvider))
	}
	for i := range from.Deployments {
		service.Deployments = append(service.Deployments, deploymentOf(&from.Deployments[i]))
	}
	for _, event := range from.Events {
		said := Event{At: aws.ToTime(event.CreatedAt), Message: aws.ToString(event.Message)}
		if trouble.MatchString(said.Message) && said.At.After(service.LastTrouble.At) {
			service.LastTrouble = said
		}
	}
	return service
}

// trouble is what the messages about one cause have in common; those that only say that a deployment failed have not.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html
var trouble = regexp.MustCompile(`\bunable to |\bfailed to launch a task\b`)

func deploymentOf(from *types.Deployment) Deployment {
	return Deployment{
		ID:           aws.ToString(from.Id),
		Primary:      aws.ToString(from.Status) == "PRIMARY",
		RolloutState: string(from.RolloutState),
		Reason:       aws.ToString(from.RolloutStateReason),
		CreatedAt:    aws.ToTime(from.CreatedAt),
		Pending:      int(from.PendingCount),
		Running:      int(from.RunningCount),
		Failed:       int(from.FailedTasks),
		Volumes:      volumesOf(from.VolumeConfigurations),
	}
}
