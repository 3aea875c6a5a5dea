// Package ecsservice has the tasks of an ECS service mount a volume that is made from a snapshot, and gives the service the
// volume that it had.
//
// A service has one configuration for the one volume that its task definition leaves to it, and ECS replaces all tasks when
// it changes. Nothing of a service can be written conditionally, and UpdateService takes no token: what Larder wrote, and
// what was there before, is noted in two tags of the service before the update. An update that changes nothing starts no
// deployment, so it can be made again.
package ecsservice

import (
	"context"
	"fmt"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

const (
	// deployingRetry is how soon a deployment is looked at again, and deniedRetry how soon a denied call is made again.
	deployingRetry = 30 * time.Second
	deniedRetry    = 10 * time.Minute
	// conflictRetry leaves whoever was faster the time to finish.
	conflictRetry = time.Second
	// patience is how long a deployment is waited for until somebody has to look at it, or until another takes its place.
	patience = time.Hour
)

// Target reads and writes ECS services. It implements binding.Target.
type Target struct {
	Reader Reader
	Writer Writer
}

// Reader reads what concerns a service. ecs.Client of internal/aws is one.
type Reader interface {
	Service(ctx context.Context, cluster, name string) (ecs.Service, error)
	LatestRollout(ctx context.Context, cluster, name string) (ecs.Rollout, bool, error)
	TaskDefinition(ctx context.Context, arn string) (ecs.TaskDefinition, error)
	ManagedInstances(ctx context.Context, cluster string, providers []string) ([]string, error)
}

// Writer changes a service. ecs.Client of internal/aws is one.
type Writer interface {
	UpdateVolumes(ctx context.Context, cluster, name string, volumes []ecs.Volume) error
	Tag(ctx context.Context, serviceARN string, tags map[string]string) error
	Untag(ctx context.Context, serviceARN string, keys []string) error
}

// Kind is the kind of Target's subjects.
const Kind = "ECS service"

// Subject implements binding.Target.
func (t *Target) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	service := b.Spec.Target.ECSService
	if service == nil {
		return binding.Subject{}, false
	}
	return binding.Subject{
		Kind: Kind, Name: service.Cluster + "/" + service.Service, Part: service.VolumeName, Node: "task", Pool: "service",
		Serves: "new tasks have volumes of",
		Evidence: fmt.Sprintf("ECS keeps the cause with its stopped tasks for an hour: aws ecs list-tasks --cluster %s "+
			"--service-name %s --desired-status STOPPED, then aws ecs describe-tasks.", service.Cluster, service.Service),
	}, true
}

// observation is a service as it was read. It implements binding.Observation.
type observation struct {
	// problem says why the service could not be read, or that there is none; nil when there is one that runs.
	problem *binding.Problem
	service ecs.Service
	// latest is what was last asked of it.
	latest     ecs.Rollout
	definition ecs.TaskDefinition
	// managed are those of its capacity providers that are Managed Instances.
	managed []string
}

// Observe implements binding.Target. AWS is always asked, so that how nodes are read makes no difference.
func (t *Target) Observe(ctx context.Context, b *v1alpha1.NodeClassBinding, _ binding.Freshness) (binding.Observation, error) {
	target := b.Spec.Target.ECSService
	o := &observation{}
	err := t.read(ctx, target, o)
	switch {
	case aws.IsNotFound(err):
		return &observation{problem: targetMissing(target, err)}, nil
	case aws.IsAccessDenied(err):
		return &observation{problem: unreadable(target, err)}, nil
	case err != nil:
		return nil, err
	}
	o.problem = notRunning(target, o.service)
	return o, nil
}

// read asks of a service that ECS does not deploy itself, or that is on its way out, no more than what it is.
func (t *Target) read(ctx context.Context, target *v1alpha1.ECSServiceTarget, o *observation) error {
	var err error
	if o.service, err = t.Reader.Service(ctx, target.Cluster, target.Service); err != nil {
		return err
	}
	if o.service.Status != statusActive || o.service.Controller != controllerECS {
		return nil
	}
	known := false
	if o.latest, known, err = t.Reader.LatestRollout(ctx, target.Cluster, target.Service); err != nil {
		return err
	}
	if !known {
		o.latest = rolloutOf(o.service.Primary())
	}
	if o.definition, err = t.Reader.TaskDefinition(ctx, o.service.TaskDefinition); err != nil {
		return err
	}
	o.managed, err = t.Reader.ManagedInstances(ctx, target.Cluster, o.service.CapacityProviders)
	return err
}

// rolloutOf tells of a deployment that is older than what ECS keeps of them.
func rolloutOf(primary ecs.Deployment) ecs.Rollout {
	rollout := ecs.Rollout{State: ecs.Deployed, Reason: primary.Reason, CreatedAt: primary.CreatedAt, Volumes: primary.Volumes}
	switch primary.RolloutState {
	case "IN_PROGRESS":
		rollout.State = ecs.Deploying
	case "FAILED":
		rollout.State = ecs.Undone
	}
	return rollout
}

func nameOf(target *v1alpha1.ECSServiceTarget) string {
	return fmt.Sprintf("%s %s/%s", Kind, target.Cluster, target.Service)
}

func targetMissing(target *v1alpha1.ECSServiceTarget, err error) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetMissing,
		Message: fmt.Sprintf("%s does not exist (%s): create it, or delete this binding and make one for another service",
			nameOf(target), aws.Words(err)),
		Cause: err,
	}
}

// notRunning is about a service that is being deleted, or was.
func notRunning(target *v1alpha1.ECSServiceTarget, service ecs.Service) *binding.Problem {
	switch service.Status {
	case statusActive:
		return nil
	case "INACTIVE":
		return &binding.Problem{
			Reason: v1alpha1.ReasonTargetMissing,
			Message: fmt.Sprintf("%s was deleted (INACTIVE): create it, or delete this binding and make one for another service",
				nameOf(target)),
		}
	default:
		return &binding.Problem{
			Reason: v1alpha1.ReasonTargetDegraded, RetryAfter: deployingRetry,
			Message: fmt.Sprintf("%s is being deleted (%s), so nothing is written to it: delete this binding too, or create the "+
				"service again when it is gone", nameOf(target), service.Status),
		}
	}
}

func unreadable(target *v1alpha1.ECSServiceTarget, err error) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonTargetUnreadable, Stalled: true, RetryAfter: deniedRetry, Cause: err,
		Message: fmt.Sprintf("the operator may not read %s: allow its role ecs:DescribeServices, ecs:ListServiceDeployments, "+
			"ecs:DescribeServiceDeployments, ecs:DescribeServiceRevisions, ecs:DescribeTaskDefinition and "+
			"ecs:DescribeCapacityProviders; %s", nameOf(target), aws.Words(err)),
	}
}
