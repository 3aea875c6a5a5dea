package launchtemplate

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// Act implements binding.Target. Each step may be made again: what it makes is found by the next look at AWS, and the steps
// that were made are not planned any more.
func (t *Target) Act(ctx context.Context, write binding.Write) error {
	w := write.(*change)
	number, err := template.Publish(ctx, t.Templates, w.step)
	if err != nil {
		return err
	}
	if w.setsDefault {
		if err := t.Templates.SetDefault(ctx, w.template.ID, cmp.Or(w.defaultTo, number)); err != nil {
			return explain("launch template "+w.template.ID, err)
		}
	}
	for _, group := range w.updates {
		if err := t.Scaling.UpdateGroup(ctx, group, w.template.ID, number); err != nil {
			return explain("Auto Scaling group "+group.Name, err)
		}
	}
	for _, one := range w.refreshes {
		start := launch.NewRefresh{Group: one.group, TemplateID: w.template.ID, Preferences: one.preferences}
		if one.brings {
			start.Number = number
		}
		if err := t.Scaling.StartRefresh(ctx, start); err != nil {
			return explain("Auto Scaling group "+one.group.Name, err)
		}
	}
	if len(w.prune) == 0 {
		return nil
	}
	if err := t.Templates.DeleteVersions(ctx, w.template.ID, w.prune); err != nil {
		return explain("launch template "+w.template.ID, err)
	}
	return nil
}

// explain turns the answers that a person or time can do something about into problems.
func explain(what string, err error) error {
	switch {
	case errors.Is(err, launch.ErrGroupChanged):
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteConflict, RetryAfter: afterConflict, Cause: err,
			Message: what + " changed while it was being written: it is looked at again at once",
		}
	case launch.IsRefreshInProgress(err):
		return &binding.Problem{
			Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: atWork, Cause: err,
			Message: what + " has an instance refresh that began meanwhile: Larder goes on when it is over",
		}
	case aws.IsAccessDenied(err):
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteDenied, Stalled: true, RetryAfter: afterDenied, Cause: err,
			// https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
			Message: fmt.Sprintf("%s is not written, since AWS refuses %s: %s: allow it to Larder's role; who has a group launch by "+
				"another version also needs ec2:RunInstances, ec2:CreateTags and iam:PassRole for what the version launches",
				what, aws.Action(err), aws.Words(err)),
		}
	case aws.Classify(err) == aws.Stalled:
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteFailed, Stalled: true, RetryAfter: afterDenied, Cause: err,
			Message: fmt.Sprintf("%s is not written, since AWS refuses %s: %s", what, aws.Action(err), aws.Words(err)),
		}
	default:
		return err
	}
}
