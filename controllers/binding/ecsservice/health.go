package ecsservice

import (
	"cmp"
	"fmt"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

// health is about what was last asked for. It does not compare times: an operator that ended between the update and its
// status would take its own update for one of before. How tasks get on counts only for the snapshot that is applied.
func (v view) health() binding.Health {
	var health binding.Health
	if v.isUndone() {
		health.Failure = v.failure("ECS gave up deploying %s to %s: %s", content(v.asked), nameOf(v.target),
			cmp.Or(v.latest.Reason, v.service.Primary().Reason, "it does not say why"))
	}
	applied := v.binding.Status.AppliedSnapshotID
	if applied == "" || v.binding.Status.AppliedTime == nil || v.inPlace() != applied {
		return health
	}
	for _, deployment := range v.service.Deployments {
		if snapshotOf(find(deployment.Volumes, v.target.VolumeName)) == applied {
			health.Working += deployment.Running
			health.Broken += deployment.Failed
		}
	}
	switch {
	case health.Failure != nil:
	case v.hangs():
		health.Failure = v.failure("no task of %s has started with %s since %s, and %d failed one after another", nameOf(v.target),
			applied, clock(v.latest.CreatedAt), v.service.Primary().Failed)
	case v.latest.State == ecs.Deploying && v.isOurs(""):
		health.RetryAfter = deployingRetry
	default:
		health.Proven = health.Working > 0
	}
	return health
}

// hangs tells that tasks fail for as long as a snapshot is on trial and that nothing but Larder will end it: without its
// circuit breaker ECS tries for ever.
func (v view) hangs() bool {
	primary, trial := v.service.Primary(), binding.TrialTime(v.binding)
	ends := v.latest.State == ecs.Deploying && v.service.CircuitBreaker
	return v.isOurs("") && !ends && primary.Failed > 0 && primary.Running == 0 && trial > 0 &&
		!v.now.Before(v.latest.CreatedAt.Add(trial))
}

// failure ends with why tasks could not start, if ECS said it.
func (v view) failure(format string, args ...any) *binding.Problem {
	message := fmt.Sprintf(format, args...)
	if event := v.service.LastTrouble; event.Message != "" && !event.At.Before(v.latest.CreatedAt) {
		message += "; ECS said: " + event.Message
	}
	return &binding.Problem{Reason: v1alpha1.ReasonUpdateFailed, Message: message}
}

// progress tells what ECS is doing with the service, and whether nothing is to be written meanwhile. ECS takes another
// update at any time, so one of Larder's own that does not get anywhere is not waited for.
func (v view) progress(snapshotID string) (busy *binding.Problem, progress string) {
	age := v.now.Sub(v.latest.CreatedAt)
	switch {
	case v.latest.State != ecs.Deploying:
		return nil, ""
	case !v.isOurs(snapshotID):
		return v.strangers(age), ""
	case age >= patience || v.hangs():
		return nil, v.ours()
	}
	return &binding.Problem{Reason: v1alpha1.ReasonUpdateInProgress, Message: v.ours(), RetryAfter: deployingRetry}, v.ours()
}

func (v view) ours() string {
	asked, primary := content(v.asked), v.service.Primary()
	if !equal(v.current, v.asked) {
		return fmt.Sprintf("ECS could not deploy %s to %s, and is going back", asked, nameOf(v.target))
	}
	failed := ""
	if primary.Failed > 0 {
		failed = fmt.Sprintf(", %d failed one after another", primary.Failed)
	}
	return fmt.Sprintf("ECS has been deploying %s to %s since %s: %d of %d tasks run with it%s", asked, nameOf(v.target),
		clock(v.latest.CreatedAt), primary.Running, v.service.DesiredTasks, failed)
}

func (v view) strangers(age time.Duration) *binding.Problem {
	busy := &binding.Problem{
		Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: deployingRetry,
		Message: fmt.Sprintf("%s has been in a deployment since %s that is not Larder's, which waits for its end", nameOf(v.target),
			clock(v.latest.CreatedAt)),
	}
	if age >= patience {
		busy.Stalled = true
		busy.Message += "; that is more than an hour: see why its tasks do not start, or end it with aws ecs stop-service-deployment"
	}
	return busy
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }
