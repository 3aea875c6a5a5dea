package snapshot

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// distribute makes of the current snapshot what the spec asks for beside it. While a build runs, nothing is known of
// what there is in AWS, and all stays as it is.
func (r *Reconciler) distribute(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, f *facts) distribution.Outcome {
	if f.suspended || f.build.running() || f.unlisted != nil {
		return distribution.Outcome{}
	}
	var current ebs.Snapshot
	var superseded []ebs.Snapshot
	for _, snapshot := range f.owned {
		switch {
		case snapshot.ID == object.Status.SnapshotID:
			current = snapshot
		case snapshot.State == ebs.StateCompleted:
			superseded = append(superseded, snapshot)
		}
	}
	return r.Distribution.Pass(ctx, object, current, superseded)
}

// distributionFailures are the problems in the words of this package.
func distributionFailures(made distribution.Outcome) []*failure {
	var failures []*failure
	for _, problem := range made.Problems {
		failures = append(failures, &failure{
			reason: problem.Reason, message: clip(problem.Message), needsPerson: problem.NeedsPerson, err: problem.Err,
		})
	}
	return failures
}

var distributionKinds = []string{
	larderv1alpha1.ConditionCopiesReady, larderv1alpha1.ConditionShared,
	larderv1alpha1.ConditionFastSnapshotRestoreReady, larderv1alpha1.ConditionPublished,
}

// unfinished returns the condition of something beside the snapshot that is still being made, or nil.
func unfinished(status *larderv1alpha1.ImageCacheSnapshotStatus) *metav1.Condition {
	for i, condition := range status.Conditions {
		if slices.Contains(distributionKinds, condition.Type) && !meta.IsStatusConditionTrue(status.Conditions, condition.Type) {
			return &status.Conditions[i]
		}
	}
	return nil
}
