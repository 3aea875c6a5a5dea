package ecsservice

import (
	"context"
	"fmt"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ecs"
)

// write is one change to one service.
type write struct {
	target *v1alpha1.ECSServiceTarget
	arn    string
	// primary is the id of the newest deployment that was observed.
	primary string
	// tags are set before the volumes are written, and untag are removed after that.
	tags  map[string]string
	untag []string
	// volumes is the whole list to write if updates is set; empty to leave the service without one.
	updates bool
	volumes []ecs.Volume
}

// Act implements binding.Target. ECS takes no condition with a request, so it is asked once more whether somebody else has
// deployed since.
func (t *Target) Act(ctx context.Context, planned binding.Write) error {
	w := planned.(*write)
	return classify(w, t.carryOut(ctx, w))
}

func (t *Target) carryOut(ctx context.Context, w *write) error {
	service, err := t.Reader.Service(ctx, w.target.Cluster, w.target.Service)
	if err != nil {
		return err
	}
	if service.Primary().ID != w.primary {
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteConflict, RetryAfter: conflictRetry,
			Message: fmt.Sprintf("somebody deployed %s while Larder looked at it: Larder looks again", nameOf(w.target)),
		}
	}
	if len(w.tags) > 0 {
		if err := t.Writer.Tag(ctx, w.arn, w.tags); err != nil {
			return err
		}
	}
	if w.updates {
		if err := t.Writer.UpdateVolumes(ctx, w.target.Cluster, w.target.Service, w.volumes); err != nil {
			return err
		}
	}
	if len(w.untag) > 0 {
		return t.Writer.Untag(ctx, w.arn, w.untag)
	}
	return nil
}

// classify turns an answer that is no reason to try again at once into the problem to be told.
func classify(w *write, err error) error {
	switch {
	case err == nil:
		return nil
	case aws.IsAccessDenied(err):
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteDenied, Stalled: true, RetryAfter: deniedRetry, Cause: err,
			Message: fmt.Sprintf("the operator may not write %s: allow its role ecs:UpdateService, ecs:TagResource and "+
				"ecs:UntagResource on %s, and iam:PassRole on the infrastructure role of its volume; %s", nameOf(w.target), w.arn,
				aws.Words(err)),
		}
	case aws.IsNotFound(err):
		return targetMissing(w.target, err)
	case aws.Classify(err) == aws.Stalled:
		return &binding.Problem{
			Reason: v1alpha1.ReasonDeviceInvalid, Stalled: true, RetryAfter: deniedRetry, Cause: err,
			Message: fmt.Sprintf("ECS refuses volume %s for %s: %s; change spec.target.ecsService accordingly", w.target.VolumeName,
				nameOf(w.target), aws.Words(err)),
		}
	}
	return err
}
