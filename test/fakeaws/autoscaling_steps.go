package fakeaws

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

// launchesTried is how many launches in a row may fail until an instance refresh fails.
const launchesTried = 3

// defaultCheckpointDelay: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html
const defaultCheckpointDelay = time.Hour

// instanceRefresh is guarded by Server.mu.
//
//	Pending ──> InProgress ── an instance each step ──> (Baking) ──> Successful
//	   │            │                                      │
//	   │            └── three launches failed ──┬──────────┘── FailRefresh, Rollback
//	   │                                        ▼
//	   │               Failed, or with AutoRollback RollbackInProgress ──> RollbackSuccessful, RollbackFailed
//	   └── Cancel ──> Cancelling ──> Cancelled
type instanceRefresh struct {
	id        string
	startedAt time.Time
	endedAt   time.Time
	status    types.InstanceRefreshStatus
	reason    string
	// desired is nil when the group itself says what its instances are launched by.
	desired     *configuration
	preferences types.RefreshPreferences
	// due is when it goes on.
	due time.Time
	// planned are the ids of the instances to replace, replaced how many were, and failed how many launches in a row were
	// tried in vain.
	planned          []string
	replaced, failed int
	// passed are the checkpoints that it has waited at.
	passed int
	// former are those that it replaced by their new ids, to go back.
	former map[string]bool
}

// activeRefresh is nil when none runs. It is called with the lock held.
func (s *Server) activeRefresh(group *autoScalingGroup) *instanceRefresh {
	if len(group.refreshes) == 0 {
		return nil
	}
	if last := group.refreshes[len(group.refreshes)-1]; last.endedAt.IsZero() {
		return last
	}
	return nil
}

// stepRefreshes has the running refresh do what is due. It is called with the lock held.
func (s *Server) stepRefreshes(group *autoScalingGroup) {
	now := s.options.Clock.Now()
	for running := s.activeRefresh(group); running != nil && running.endedAt.IsZero() && !now.Before(running.due); {
		s.step(group, running)
	}
}

func (s *Server) step(group *autoScalingGroup, r *instanceRefresh) {
	at := r.due
	r.due = at.Add(s.options.RefreshStep)
	switch r.status {
	case types.InstanceRefreshStatusPending:
		r.plan(s, group)
		r.status = types.InstanceRefreshStatusInProgress
	case types.InstanceRefreshStatusInProgress:
		s.replaceNext(group, r, at)
	case types.InstanceRefreshStatusBaking:
		r.succeed(group, at)
	case types.InstanceRefreshStatusCancelling:
		r.end(types.InstanceRefreshStatusCancelled, at)
	case types.InstanceRefreshStatusRollbackInProgress:
		s.returnNext(group, r, at)
	}
}

// plan decides which instances are replaced: all, or with SkipMatching those that were launched by another version.
func (r *instanceRefresh) plan(s *Server, group *autoScalingGroup) {
	r.former = map[string]bool{}
	for i, instance := range group.instances {
		of, version, err := s.resolve(group.region, s.launchesBy(group).specificationFor(i))
		matches := err == nil && instance.TemplateID == of.id && instance.Version == version.number
		if !aws.ToBool(r.preferences.SkipMatching) || !matches {
			r.planned = append(r.planned, instance.ID)
		}
	}
}

func (s *Server) replaceNext(group *autoScalingGroup, r *instanceRefresh, at time.Time) {
	if r.replaced == len(r.planned) {
		if bakes := aws.ToInt32(r.preferences.BakeTime); bakes > 0 {
			r.enter(types.InstanceRefreshStatusBaking, "", at.Add(time.Duration(bakes)*time.Second))
			return
		}
		r.succeed(group, at)
		return
	}
	ok := s.replace(group, r.planned[r.replaced], s.launchesBy(group), r)
	if !ok {
		if r.failed++; r.failed == launchesTried {
			r.fail("The instance refresh failed: replacement instances cannot be launched.", at, s.options.RefreshStep)
		}
		return
	}
	r.replaced, r.failed = r.replaced+1, 0
	r.pause(at)
}

// pause waits at a checkpoint that was reached.
func (r *instanceRefresh) pause(at time.Time) {
	points := r.preferences.CheckpointPercentages
	if r.passed == len(points) || r.percentage() < points[r.passed] {
		return
	}
	r.passed++
	delay := defaultCheckpointDelay
	if r.preferences.CheckpointDelay != nil {
		delay = time.Duration(*r.preferences.CheckpointDelay) * time.Second
	}
	r.due = at.Add(delay)
}

// replace puts a new instance in the place of one; nobody is in its place until a launch succeeds.
func (s *Server) replace(group *autoScalingGroup, id string, by configuration, r *instanceRefresh) bool {
	for i := range group.instances {
		if group.instances[i].ID != id {
			continue
		}
		instance, ok := s.launch(group, by, i)
		if ok {
			group.instances[i] = instance
			r.former[instance.ID] = true
		}
		return ok
	}
	return true // it went meanwhile
}

// returnNext replaces one of those again that the refresh had replaced.
func (s *Server) returnNext(group *autoScalingGroup, r *instanceRefresh, at time.Time) {
	for _, instance := range group.instances {
		if !r.former[instance.ID] {
			continue
		}
		delete(r.former, instance.ID)
		if !s.replace(group, instance.ID, configuration{group.template, group.policy}, &instanceRefresh{former: map[string]bool{}}) {
			r.end(types.InstanceRefreshStatusRollbackFailed, at)
			return
		}
		r.replaced--
		return
	}
	r.end(types.InstanceRefreshStatusRollbackSuccessful, at)
}

func (r *instanceRefresh) enter(status types.InstanceRefreshStatus, reason string, due time.Time) {
	r.status, r.reason, r.due = status, reason, due
}

func (r *instanceRefresh) end(status types.InstanceRefreshStatus, at time.Time) {
	r.status, r.endedAt = status, at
}

// fail goes back with AutoRollback.
func (r *instanceRefresh) fail(reason string, at time.Time, step time.Duration) {
	if aws.ToBool(r.preferences.AutoRollback) && r.status != types.InstanceRefreshStatusRollbackInProgress {
		r.enter(types.InstanceRefreshStatusRollbackInProgress, reason, at.Add(step))
		return
	}
	r.reason = reason
	r.end(types.InstanceRefreshStatusFailed, at)
}

// succeed makes the desired configuration the group's own.
func (r *instanceRefresh) succeed(group *autoScalingGroup, at time.Time) {
	if r.desired != nil {
		group.template, group.policy = r.desired.template, r.desired.policy
	}
	r.end(types.InstanceRefreshStatusSuccessful, at)
}

func (r *instanceRefresh) percentage() int32 {
	if len(r.planned) == 0 {
		if r.status == types.InstanceRefreshStatusSuccessful {
			return 100
		}
		return 0
	}
	return int32(100 * r.replaced / len(r.planned))
}

func (r *instanceRefresh) describe(group string) refreshAnswer {
	described := refreshAnswer{
		ID: r.id, Group: group, Status: string(r.status), Reason: r.reason, Percentage: r.percentage(),
		ToUpdate: int32(len(r.planned) - r.replaced), StartTime: stamp(r.startedAt), EndTime: stamp(r.endedAt), Strategy: string(types.RefreshStrategyRolling),
	}
	if r.desired != nil {
		described.Desired = &desiredAnswer{Template: specification(r.desired.template), Policy: policyOf(r.desired.policy)}
	}
	return described
}
