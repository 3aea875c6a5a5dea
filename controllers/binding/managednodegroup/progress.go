package managednodegroup

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/eks"
	"github.com/larder-dev/larder/internal/aws/launch"
)

const (
	// longestOfOthers is how long an update may run that somebody else asked for until a person is told.
	longestOfOthers = time.Hour
	// beforeAnotherTry is how long after a failed update it is asked for again: each try drains nodes.
	beforeAnotherTry = time.Hour
)

// current returns the version that the group is on, as EKS says. One that does not exist any more has a number only.
func (o *observation) current() launch.Version {
	if found, ok := o.history.Resolve(o.group.Template.Version); ok {
		return found
	}
	// What is no number is no version that was deleted; 0 is none either.
	number, _ := strconv.ParseInt(o.group.Template.Version, 10, 64)
	return launch.Version{TemplateID: o.group.Template.ID, Number: number}
}

// running returns the update that EKS is at work on; nil for none.
func (o *observation) running() *eks.Update {
	for i := range o.updates {
		if o.updates[i].Status == eks.UpdateInProgress {
			return &o.updates[i]
		}
	}
	return nil
}

// last returns the last update that replaced nodes, or was to; nil for none.
func (o *observation) last() *eks.Update {
	for i := range slices.Backward(o.updates) {
		if o.updates[i].IsVersionUpdate() {
			return &o.updates[i]
		}
	}
	return nil
}

func hasFailed(update *eks.Update) bool {
	return update != nil && (update.Status == eks.UpdateFailed || update.Status == eks.UpdateCancelled)
}

// isOurs tells whether an update goes to a version that was made for the binding.
func (o *observation) isOurs(b *v1alpha1.NodeClassBinding, update *eks.Update) bool {
	return update != nil && o.history.IsOurs(b.UID, update.TemplateVersion)
}

// underWay returns the version that the group is on, or is going to for this binding.
func (o *observation) underWay(b *v1alpha1.NodeClassBinding) launch.Version {
	if update := o.running(); o.isOurs(b, update) {
		if version, found := o.history.Resolve(strconv.FormatInt(update.TemplateVersion, 10)); found {
			return version
		}
	}
	return o.current()
}

// failed returns the last update if it was to bring the snapshot that the binding applied, and failed: EKS is back to what
// was before. It is nil when there is nothing to tell. That it was this binding's write shows in what is applied, which
// needs no clock that agrees with AWS's.
func (o *observation) failed(b *v1alpha1.NodeClassBinding) *eks.Update {
	update, applied := o.last(), b.Status.AppliedSnapshotID
	if !hasFailed(update) || !o.isOurs(b, update) || applied == "" || o.isRecreated(b) {
		return nil
	}
	if o.history.SnapshotOf(update.TemplateVersion, deviceOf(b).Name) != applied {
		return nil
	}
	return update
}

// inPlace returns the snapshot that was last asked for: of the version that EKS goes to or could not go to, else of the
// one that the group is on.
func (o *observation) inPlace(b *v1alpha1.NodeClassBinding) string {
	number := o.underWay(b).Number
	if failed := o.failed(b); failed != nil {
		number = failed.TemplateVersion
	}
	return o.history.SnapshotOf(number, deviceOf(b).Name)
}

// isRecreated rests on AWS's clock and that of the operator, which have to differ by less than the time between the making
// of a group and its binding.
func (o *observation) isRecreated(b *v1alpha1.NodeClassBinding) bool {
	return b.Status.AppliedTime != nil && b.Status.AppliedTime.Time.Before(o.group.CreateTime)
}

// busy says that EKS is at work on the group; nil when it is not.
func (o *observation) busy(b *v1alpha1.NodeClassBinding, now time.Time) *binding.Problem {
	problem := &binding.Problem{Reason: v1alpha1.ReasonUpdateInProgress, RetryAfter: lookAgain}
	update := o.running()
	switch {
	case o.isOurs(b, update):
		problem.Message = o.working(update)
	case update != nil && now.Sub(update.CreateTime) > longestOfOthers:
		problem.Stalled = true
		problem.Message = fmt.Sprintf("EKS has been at work on %s since %s (%s %s, which Larder did not ask for), and takes no other change "+
			"meanwhile: see what holds it up with aws eks describe-update --name %s --nodegroup-name %s --update-id %s",
			named(o.group), clockTime(update.CreateTime), update.Type, update.ID, o.group.Cluster, o.group.Name, update.ID)
	case update != nil:
		problem.Message = fmt.Sprintf("EKS is at work on %s since %s (%s %s, which Larder did not ask for), and takes no other change meanwhile",
			named(o.group), clockTime(update.CreateTime), update.Type, update.ID)
	case o.group.Status == eks.StatusCreating || o.group.Status == eks.StatusUpdating:
		problem.Message = fmt.Sprintf("EKS is at work on %s (%s), and takes no other change meanwhile", named(o.group), o.group.Status)
	default:
		return nil
	}
	return problem
}

// working is a sentence on an update of ours that runs.
func (o *observation) working(update *eks.Update) string {
	return fmt.Sprintf("EKS has been updating %s to version %d of launch template %s since %s (update %s)",
		named(o.group), update.TemplateVersion, o.history.Template.ID, clockTime(update.CreateTime), update.ID)
}

// heldOff says that EKS failed to go to this very version not long ago; nil when it may be asked again.
func (o *observation) heldOff(b *v1alpha1.NodeClassBinding, number int64, now time.Time) *binding.Problem {
	update := o.last()
	if !hasFailed(update) || !o.isOurs(b, update) || update.TemplateVersion != number {
		return nil
	}
	again := update.CreateTime.Add(beforeAnotherTry)
	if !now.Before(again) {
		return nil
	}
	return &binding.Problem{
		Reason: v1alpha1.ReasonUpdateFailed, Stalled: true, RetryAfter: again.Sub(now),
		Message: fmt.Sprintf("%s; it is asked for again at %s", o.failure(update), clockTime(again)),
	}
}

func clockTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

func deviceOf(b *v1alpha1.NodeClassBinding) *v1alpha1.Device {
	return &b.Spec.Target.ManagedNodeGroup.Device
}
