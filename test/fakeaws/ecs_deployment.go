package fakeaws

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// A service deployment, called rollout here, goes on with the clock:
//
//	IN_PROGRESS ── the tasks start, Options.TaskStart ──▶ SUCCESSFUL
//	    │ └── another one is asked for ──▶ STOPPED
//	    └── they fail, every Options.TaskStart one more
//	           ├── no circuit breaker: for ever
//	           └── as often as the circuit breaker allows
//	                  ├── no rollback, or nothing to go back to ──▶ STOPPED
//	                  └──▶ ROLLBACK_IN_PROGRESS ── the tasks of before start ──▶ ROLLBACK_SUCCESSFUL
type ecsRollout struct {
	arn                   string
	createdAt, finishedAt time.Time
	status                types.ServiceDeploymentStatus
	reason                string
	target                *ecsRevision
	sources               []*ecsRevision
	rollback              *types.Rollback
}

// ecsRevision is what tasks are launched with.
type ecsRevision struct {
	arn, definition string
	volumes         []types.ServiceVolumeConfiguration
	createdAt       time.Time
	// worked tells that a rollout of it was successful.
	worked bool
}

// ecsDeployment is a set of tasks of one revision.
type ecsDeployment struct {
	id                   string
	revision             *ecsRevision
	createdAt, updatedAt time.Time
	running, failed      int32
	state                types.DeploymentRolloutState
	reason               string
}

func (d *ecsDeployment) answer(primary bool, desired int32) types.Deployment {
	status := statusActive
	pending := int32(0)
	if primary {
		status = "PRIMARY"
		pending = max(0, desired-d.running)
	}
	if d.state == types.DeploymentRolloutStateFailed {
		pending, desired = 0, 0
	}
	return types.Deployment{
		Id: aws.String(d.id), Status: aws.String(status), CreatedAt: aws.Time(d.createdAt), UpdatedAt: aws.Time(d.updatedAt),
		DesiredCount: desired, PendingCount: pending, RunningCount: d.running, FailedTasks: d.failed,
		RolloutState: d.state, RolloutStateReason: aws.String(d.reason), TaskDefinition: aws.String(d.revision.definition),
		VolumeConfigurations: d.revision.volumes,
	}
}

// deploy begins a rollout. It is called with the lock held.
func (s *Server) deploy(service *ecsService, revision *ecsRevision) {
	now := s.options.Clock.Now()
	path := service.cluster + "/" + service.name + "/"
	revision.arn, revision.createdAt = s.ecsARN(service.region, "service-revision/"+path+s.ecsID()), now
	rollout := &ecsRollout{
		arn: s.ecsARN(service.region, "service-deployment/"+path+s.ecsID()), createdAt: now,
		status: types.ServiceDeploymentStatusInProgress, target: revision,
	}
	if count := len(service.rollouts); count > 0 {
		if before := service.rollouts[count-1]; before.finishedAt.IsZero() {
			before.status, before.finishedAt = types.ServiceDeploymentStatusStopped, now
			before.reason = "Service deployment stopped by a new service deployment."
		}
	}
	for _, one := range service.deployments {
		// One that completed without tasks is what runs of a service that is scaled to 0.
		runs := one.running > 0 || one.state == types.DeploymentRolloutStateCompleted
		if runs && !slices.Contains(rollout.sources, one.revision) {
			rollout.sources = append(rollout.sources, one.revision)
		}
	}
	service.deployments = slices.DeleteFunc(service.deployments, func(one *ecsDeployment) bool { return one.running == 0 })
	service.revisions = append(service.revisions, revision)
	service.rollouts = append(service.rollouts, rollout)
	s.beginDeployment(service, revision, now)
	s.advance(service)
}

// beginDeployment makes a new primary deployment.
func (s *Server) beginDeployment(service *ecsService, revision *ecsRevision, at time.Time) {
	id := "ecs-svc/" + s.ecsID()
	service.deployments = slices.Insert(service.deployments, 0, &ecsDeployment{
		id: id, revision: revision, createdAt: at, updatedAt: at,
		state: types.DeploymentRolloutStateInProgress, reason: "ECS deployment " + id + " in progress.",
	})
}

// advance makes what is due by the clock. It is called with the lock held.
func (s *Server) advance(service *ecsService) {
	if len(service.rollouts) == 0 {
		return
	}
	rollout := service.rollouts[len(service.rollouts)-1]
	if rollout.status == types.ServiceDeploymentStatusInProgress {
		s.advanceTo(service, rollout)
	}
	if rollout.status == types.ServiceDeploymentStatusRollbackInProgress {
		s.complete(service, rollout, types.ServiceDeploymentStatusRollbackSuccessful)
	}
}

func (s *Server) advanceTo(service *ecsService, rollout *ecsRollout) {
	primary := service.deployments[0]
	why := s.whyTasksFail(service.region, primary.revision)
	if why == "" || service.desired == 0 {
		s.complete(service, rollout, types.ServiceDeploymentStatusSuccessful)
		return
	}
	failed, endless := s.failures(primary.createdAt), int32(1000)
	threshold := endless
	if service.breaker.Enable {
		threshold = min(max((service.desired+1)/2, leastBreaker), mostBreaker)
	}
	if failed > 0 && primary.failed == 0 {
		service.events = append(service.events, types.ServiceEvent{
			Id: aws.String(s.ecsID()), CreatedAt: aws.Time(primary.createdAt.Add(s.options.TaskStart)),
			Message: aws.String(fmt.Sprintf("(service %s) was unable to start a task. Reason: %s", service.name, why)),
		})
	}
	if primary.failed = min(failed, threshold); primary.failed < threshold || threshold == endless {
		return
	}
	at := primary.createdAt.Add(time.Duration(threshold) * s.options.TaskStart)
	primary.state, primary.updatedAt = types.DeploymentRolloutStateFailed, at
	primary.reason = "ECS deployment circuit breaker: tasks failed to start."
	good := lastThatWorked(service, primary.revision)
	if !service.breaker.Rollback || good == nil {
		rollout.status, rollout.finishedAt = types.ServiceDeploymentStatusStopped, at
		rollout.reason = "Service deployment stopped because the circuit breaker threshold was exceeded."
		return
	}
	rollout.status = types.ServiceDeploymentStatusRollbackInProgress
	rollout.reason = "Service deployment rolled back because the circuit breaker threshold was exceeded."
	rollout.rollback = &types.Rollback{
		Reason: aws.String("Circuit breaker threshold exceeded."), StartedAt: aws.Time(at), ServiceRevisionArn: aws.String(good.arn),
	}
	s.beginDeployment(service, good, at)
	primary.reason += " rolling back to deploymentId " + service.deployments[0].id + "."
}

// The bounds of the circuit breaker's threshold, which is half of the desired tasks in between:
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html
const (
	leastBreaker = 3
	mostBreaker  = 200
)

// failures counts the tasks of a deployment that failed since it began.
func (s *Server) failures(since time.Time) int32 {
	if s.options.TaskStart == 0 {
		return mostBreaker
	}
	return int32(s.options.Clock.Now().Sub(since) / s.options.TaskStart) //nolint:gosec // A test does not last that long.
}

// complete ends a rollout when its tasks had the time to start.
func (s *Server) complete(service *ecsService, rollout *ecsRollout, as types.ServiceDeploymentStatus) {
	primary := service.deployments[0]
	due := primary.createdAt.Add(s.options.TaskStart)
	if s.options.Clock.Now().Before(due) {
		return
	}
	primary.running, primary.state, primary.updatedAt = service.desired, types.DeploymentRolloutStateCompleted, due
	primary.reason = "ECS deployment " + primary.id + " completed."
	primary.revision.worked = true
	service.deployments = service.deployments[:1]
	rollout.status, rollout.finishedAt = as, due
	service.events = append(service.events, types.ServiceEvent{
		Id: aws.String(s.ecsID()), CreatedAt: aws.Time(due),
		Message: aws.String(fmt.Sprintf("(service %s) has reached a steady state.", service.name)),
	})
}

func lastThatWorked(service *ecsService, other *ecsRevision) *ecsRevision {
	for _, revision := range slices.Backward(service.revisions) {
		if revision.worked && revision != other {
			return revision
		}
	}
	return nil
}
