package managednodegroup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/template"
	"github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/eks"
)

// update has the group go to a version, which is published before if need be.
type update struct {
	group   eks.NodeGroup
	step    template.Step
	force   bool
	binding types.UID
	// tries are how many updates EKS knows to each version.
	tries map[int64]int
}

// prune deletes versions.
type prune struct {
	templateID string
	numbers    []int64
}

// Act implements binding.Target.
func (t *Target) Act(ctx context.Context, planned binding.Write) error {
	switch w := planned.(type) {
	case *prune:
		return t.prune(ctx, w)
	default:
		return t.update(ctx, planned.(*update))
	}
}

// update pins what EKS would move otherwise: without a Kubernetes version and a release it goes to the newest AMI.
func (t *Target) update(ctx context.Context, w *update) error {
	number, err := template.Publish(ctx, t.Templates, w.step)
	if err != nil {
		return err
	}
	asked := eks.VersionUpdate{
		Cluster: w.group.Cluster, Group: w.group.Name, TemplateID: w.group.Template.ID, TemplateVersion: number,
		Force: w.force, Token: w.token(number),
	}
	if !w.group.HasCustomAMI() {
		asked.KubernetesVersion, asked.ReleaseVersion = w.group.KubernetesVersion, w.group.ReleaseVersion
	}
	if _, err := t.Groups.UpdateVersion(ctx, asked); err != nil {
		return refused(w, number, err)
	}
	return nil
}

// token is the same for the same try: a call whose answer was lost begins no second update. EKS remembers a token also of
// an update that failed, so that how many there were makes a later try another.
func (w *update) token(number int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %d %d %t %s %s", w.binding, w.group.Cluster, w.group.Name, w.group.Template.ID,
		number, w.tries[number], w.force, w.group.KubernetesVersion, w.group.ReleaseVersion))
	return "larder-" + hex.EncodeToString(sum[:16])
}

// refused turns the answers that a person or time can do something about into problems.
func refused(w *update, number int64, err error) error {
	group := named(w.group)
	problem := &binding.Problem{Stalled: true, RetryAfter: afterDenied, Cause: err}
	switch {
	case eks.IsBusy(err):
		problem.Reason, problem.Stalled, problem.RetryAfter = v1alpha1.ReasonUpdateInProgress, false, lookAgain
		problem.Message = fmt.Sprintf("EKS takes no change of %s now: %s", group, aws.Words(err))
	case eks.IsLaunchDenied(err):
		problem.Reason = v1alpha1.ReasonWriteDenied
		problem.Message = fmt.Sprintf("%s is not updated to version %d of launch template %s, since EKS may not launch instances with it on "+
			"Larder's behalf: allow ec2:RunInstances and ec2:CreateTags to Larder's role", group, number, w.group.Template.ID)
	case aws.IsAccessDenied(err):
		problem.Reason = v1alpha1.ReasonWriteDenied
		problem.Message = fmt.Sprintf("%s is not updated, since AWS refuses %s: %s: allow it to Larder's role", group, aws.Action(err), aws.Words(err))
	case aws.IsNotFound(err):
		problem.Reason, problem.Stalled, problem.RetryAfter = v1alpha1.ReasonTargetMissing, false, lookAgain
		problem.Message = fmt.Sprintf("%s was deleted while it was being updated: %s", group, aws.Words(err))
	case aws.Classify(err) == aws.Stalled:
		problem.Reason = v1alpha1.ReasonVersionRefused
		problem.Message = fmt.Sprintf("EKS does not update %s to version %d of launch template %s: %s: mend the launch template, or the group",
			group, number, w.group.Template.ID, aws.Words(err))
	default:
		return err
	}
	return problem
}

func (t *Target) prune(ctx context.Context, w *prune) error {
	err := t.Templates.DeleteVersions(ctx, w.templateID, w.numbers)
	if aws.IsAccessDenied(err) {
		return &binding.Problem{
			Reason: v1alpha1.ReasonWriteDenied, Stalled: true, RetryAfter: afterDenied, Cause: err,
			Message: fmt.Sprintf("versions of launch template %s that Larder made and nothing needs stay, since AWS refuses %s: %s: allow it to "+
				"Larder's role", w.templateID, aws.Action(err), aws.Words(err)),
		}
	}
	return err
}
