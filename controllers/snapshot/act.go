package snapshot

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/volume"
)

// Tags for the people who look at snapshots in AWS; those that Larder itself reads are in package ebs.
const (
	tagDisplayName = "Name"
	tagObjectName  = "larder.dev/object-name"
)

// act carries out what may be done before the status is written. What it cannot do, it takes back from the
// decision.
func (r *Reconciler) act(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, f *facts, d *decision) *failure {
	if d.do == doCancel {
		r.Runner.cancel(object.UID)
	}
	if err := r.deleteAll(ctx, d.leftovers); err != nil {
		if d.do == doStart {
			d.do, d.attempt, d.failed = doReport, attemptOrNil(f), f.failed
		}
		return awsFailure(err)
	}
	return nil
}

func (r *Reconciler) deleteAll(ctx context.Context, snapshots []ebs.Snapshot) error {
	for _, snapshot := range snapshots {
		if err := r.Snapshots.Delete(ctx, snapshot.ID); err != nil {
			return err
		}
		log.FromContext(ctx).Info("Deleted a snapshot", "snapshotID", snapshot.ID, "state", snapshot.State, "made", tagName(&snapshot))
	}
	return nil
}

// commit carries out what needs the written status, and remembers the pass.
func (r *Reconciler) commit(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision) {
	if f.build != nil && !f.build.running() {
		r.Runner.forget(object.UID) // its end is in the status now
		if why := f.build.withoutParent; why != nil {
			r.Recorder.Eventf(object, nil, corev1.EventTypeNormal, larderv1alpha1.ReasonBuiltInFull, "Build", "%s",
				clip("all layers were downloaded and written: "+why.Error()))
		}
	}
	m := r.memories.of(object.UID)
	m.failed = d.failed
	if d.do == doStart {
		r.Runner.run(object, *d.attempt, r.buildRequest(object, f, d.attempt))
	}
}

func (r *Reconciler) buildRequest(object *larderv1alpha1.ImageCacheSnapshot, f *facts, attempt *larderv1alpha1.BuildStatus) BuildRequest {
	tags := r.ownership(object)
	tags[ebs.TagRevision] = strconv.FormatInt(attempt.Revision, 10)
	tags[ebs.TagContentHash] = attempt.ContentHash
	tags[ebs.TagAttempt] = strconv.FormatInt(attempt.Attempt, 10)
	tags[tagDisplayName] = object.Name
	tags[tagObjectName] = object.Name
	return BuildRequest{
		Images:      f.resolution.images,
		Format:      volume.Format(object.Spec.Format),
		VolumeSize:  volumeSizeOf(object.Spec),
		Parent:      f.parent(),
		Tags:        tags,
		Description: fmt.Sprintf("Container images of ImageCacheSnapshot %s, revision %d, made by Larder", object.Name, attempt.Revision),
		Attempt:     attempt.Attempt,
	}
}

// parent is the last snapshot, if it is in our record with our tags and can be built upon.
func (f *facts) parent() string {
	last := f.find(f.status.SnapshotID)
	if last == nil || last.State != ebs.StateCompleted {
		return ""
	}
	return last.ID
}

// ownership are the tags that all snapshots of the object carry, and no others.
func (r *Reconciler) ownership(object *larderv1alpha1.ImageCacheSnapshot) map[string]string {
	return map[string]string{
		ebs.TagClusterUID: string(r.ClusterUID),
		ebs.TagObjectUID:  string(object.UID),
	}
}
