package batchcomputeenvironment

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/batch"
)

// conflictRetry leaves whoever was faster the time to finish.
const conflictRetry = time.Second

// write is an update of an environment.
type write struct {
	// environment is as it was observed.
	environment *batch.ComputeEnvironment
	// changes are for each of its templates, in their order.
	changes []change
}

// pruning is the deletion of versions, by the id of their template.
type pruning map[string][]int64

// Act implements binding.Target. The versions come first: each is made once, since a pass that ended after making it leaves
// it to the next to find. The update has no token, so that the environment is looked at right before it.
func (t *Target) Act(ctx context.Context, w binding.Write) error {
	if superfluous, ok := w.(pruning); ok {
		return t.prune(ctx, superfluous)
	}
	planned, ok := w.(*write)
	if !ok {
		return fmt.Errorf("writing %T: it is no write of a compute environment", w)
	}
	if err := t.checkUnchanged(ctx, planned.environment); err != nil {
		return err
	}
	templates, err := t.publish(ctx, planned.changes)
	if err != nil {
		return err
	}
	name := planned.environment.Name
	switch err := t.Environments.Update(ctx, name, templates); {
	case aws.IsAccessDenied(err):
		return denied(err, "compute environment "+name)
	case batch.IsRefused(err):
		return t.explainRefusal(ctx, planned.environment, err)
	default:
		return err
	}
}

// publish makes the versions and returns the templates as the environment is to name them.
func (t *Target) publish(ctx context.Context, changes []change) ([]batch.Template, error) {
	templates := make([]batch.Template, 0, len(changes))
	for _, one := range changes {
		named := one.named
		if one.step != nil {
			number, err := template.Publish(ctx, t.Templates, *one.step)
			if err != nil {
				return nil, err
			}
			if named.Version = one.afterwards; named.Version == "" {
				named.Version = strconv.FormatInt(number, 10)
			}
		}
		templates = append(templates, named)
	}
	return templates, nil
}

// checkUnchanged returns why an environment cannot be written that is not as it was observed.
func (t *Target) checkUnchanged(ctx context.Context, observed *batch.ComputeEnvironment) error {
	now, err := t.Environments.Describe(ctx, observed.Name)
	switch {
	case aws.IsAccessDenied(err):
		return unreadable(observed.Name, err)
	case err != nil:
		return err
	case isGone(now):
		return missing(observed.Name)
	case isChanging(now):
		return startedFirst(observed.Name)
	case now.ID != observed.ID || !reflect.DeepEqual(now.Templates, observed.Templates):
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteConflict, RetryAfter: conflictRetry,
			Message: fmt.Sprintf("compute environment %s changed while it was to be written; it is read again", observed.Name),
		}
	default:
		return nil
	}
}

// explainRefusal tells an update that somebody else started first from one that Batch does not take: by the environment, as
// Batch has one code for both.
func (t *Target) explainRefusal(ctx context.Context, observed *batch.ComputeEnvironment, refusal error) error {
	if err := t.checkUnchanged(ctx, observed); err != nil {
		return err
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonWriteFailed, Stalled: true, RetryAfter: lookAgain, Cause: refusal,
		Message: fmt.Sprintf("Batch does not take the update of compute environment %s: %s", observed.Name, aws.Words(refusal)),
	}
}

func (t *Target) prune(ctx context.Context, superfluous pruning) error {
	for _, id := range slices.Sorted(maps.Keys(superfluous)) {
		err := t.Templates.DeleteVersions(ctx, id, superfluous[id])
		if aws.IsAccessDenied(err) {
			return denied(err, "launch template "+id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func startedFirst(name string) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: changingRetry,
		Message: fmt.Sprintf("somebody else had Batch update compute environment %s first", name),
	}
}

func denied(err error, what string) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonWriteDenied, Stalled: true, RetryAfter: lookAgain, Cause: err,
		Message: fmt.Sprintf("%s cannot be written, since AWS refuses %s: %s: allow it to Larder's role", what, aws.Action(err), aws.Words(err)),
	}
}
