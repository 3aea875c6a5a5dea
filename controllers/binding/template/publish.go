package template

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// versionLimit is AWS's default quota of versions of one launch template.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-template-restrictions.html
const versionLimit = 10000

// afterDeletion is when to read a template again that somebody changes.
const afterDeletion = 30 * time.Second

// Publish makes the step's version and returns its number; for one that exists there is nothing to do. An error that is a
// *binding.Problem says why EC2 does not make it.
func Publish(ctx context.Context, to Templates, step Step) (int64, error) {
	if step.Publish == nil {
		return step.Number, nil
	}
	made, err := to.CreateVersion(ctx, *step.Publish)
	if err == nil {
		return made.Number, nil
	}
	if problem := unpublished(step.Publish, err); problem != nil {
		return 0, problem
	}
	return 0, err
}

func unpublished(version *launch.NewVersion, err error) *binding.Problem {
	var refused *launch.RefusedError
	problem := &binding.Problem{Stalled: true, RetryAfter: afterPerson, Cause: err}
	switch {
	case errors.As(err, &refused):
		problem.Reason = v1alpha1.ReasonVersionRefused
		left := "so it was deleted again"
		if refused.NotDeleted != nil {
			left = fmt.Sprintf("but it could not be deleted again: delete version %d (%s)", refused.Number, aws.Words(refused.NotDeleted))
		}
		problem.Message = fmt.Sprintf("EC2 says that nothing can be launched with the version of launch template %s that Larder made of "+
			"version %d, %s: %s", version.TemplateID, version.Source, left, refused)
	case aws.IsAccessDenied(err):
		problem.Reason = v1alpha1.ReasonWriteDenied
		problem.Message = fmt.Sprintf("launch template %s gets no version, since AWS refuses %s: %s: allow it to Larder's role",
			version.TemplateID, aws.Action(err), aws.Words(err))
	case aws.IsVersionLimit(err):
		return limitReached(version.TemplateID, err)
	case aws.IsNotFound(err):
		problem.Reason, problem.Stalled, problem.RetryAfter = v1alpha1.ReasonVersionNotFound, false, afterDeletion
		problem.Message = fmt.Sprintf("version %d of launch template %s was deleted while Larder made another of it: %s",
			version.Source, version.TemplateID, aws.Words(err))
	default:
		return nil
	}
	return problem
}

func limitReached(templateID string, cause error) *binding.Problem {
	return &binding.Problem{
		Reason: v1alpha1.ReasonVersionLimit, Stalled: true, RetryAfter: afterPerson, Cause: cause,
		Message: fmt.Sprintf("launch template %s has as many versions as AWS allows, by default %d: delete versions of it that nothing "+
			"launches with; Larder deletes only those that it made", templateID, versionLimit),
	}
}

// token is the same for the same version as long as nobody makes another, so that a call whose answer was lost is not made
// twice.
func (h History) token(of types.UID, next launch.NewVersion) string {
	written, err := json.Marshal(struct {
		Binding types.UID
		Latest  int64
		Version launch.NewVersion
	}{of, h.Template.LatestVersion, next})
	if err != nil {
		panic(fmt.Sprintf("encoding numbers and text: %v", err)) // it has nothing else
	}
	sum := sha256.Sum256(written)
	return hex.EncodeToString(sum[:])
}
