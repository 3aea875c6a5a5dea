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
	// clocksDiffer is more than AWS's clock and that of the operator do.
	clocksDiffer = time.Minute
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

// failed returns the last update if it was this binding's and failed: EKS is back to what was before. It is nil when there
// is nothing to tell, and once the binding has gone back as well.
func (o *observation) failed(b *v1alpha1.NodeClassBinding) *eks.Update {
	update := o.last()
	if !hasFailed(update) || !o.isOurs(b, update) || b.Status.AppliedTime == nil || o.isRecreated(b) {
		return nil
	}
	appliedIt := b.Status.AppliedSnapshotID != "" && b.Status.AppliedSnapshotID == o.snapshotOf(b, update.TemplateVersion)
	if !appliedIt && update.CreateTime.Add(clocksDiffer).Before(b.Status.AppliedTime.Time) {
		return nil
	}
	return update
}

func (o *observation) snapshotOf(b *v1alpha1.NodeClassBinding, version int64) string {
	return o.history.SnapshotOf(version, deviceOf(b).Name)
}

// inPlace returns the snapshot that was last asked for: of the version that EKS goes to or could not go to, else of the
// one that the group is on.
func (o *observation) inPlace(b *v1alpha1.NodeClassBinding) string {
	number := o.underWay(b).Number
	if failed := o.failed(b); failed != nil {
		number = failed.TemplateVersion
	}
	return o.snapshotOf(b, number)
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

func clockTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

func deviceOf(b *v1alpha1.NodeClassBinding) *v1alpha1.Device {
	return &b.Spec.Target.ManagedNodeGroup.Device
}
