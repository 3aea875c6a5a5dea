package snapshot

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/volume"
)

const (
	// tagDisplayName is for the people who look at snapshots in AWS; those that Larder itself reads are in package ebs.
	tagDisplayName = "Name"
	// tagKMSKeyID is the spec's own word for the key: a child cannot have another than its parent.
	tagKMSKeyID = "larder.dev/kms-key-id"
)

// act carries out what may be done before the status is written, and finds out what that still lacks. What it cannot do,
// it takes back from the decision.
func (r *Reconciler) act(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, f *facts, d *decision) *failure {
	if d.do == doCancel {
		r.Runner.cancel(object.UID)
	}
	if err := r.deleteAll(ctx, d.leftovers); err != nil {
		d.takeBackStart(f)
		return awsFailure(err)
	}
	if d.do == doStart && f.kmsKeyID != "" {
		key, failed := r.usableKey(ctx, f.kmsKeyID)
		if failed != nil {
			d.takeBackStart(f)
			return failed
		}
		d.kmsKeyARN = key
	}
	if d.current == nil {
		return nil
	}
	var failed *failure
	if d.contents, failed = r.contentsOf(ctx, object, f, d.current); failed != nil {
		d.current, d.usable, d.upToDate = nil, f.usable(), false
	}
	return failed
}

func (d *decision) takeBackStart(f *facts) {
	if d.do == doStart {
		d.do, d.attempt, d.failed = doReport, attemptOrNil(f), f.failed
	}
}

// usableKey returns the ARN of a KMS key, which is how EBS takes it.
func (r *Reconciler) usableKey(ctx context.Context, keyID string) (string, *failure) {
	key, err := r.Keys.Describe(ctx, keyID)
	if err != nil {
		return "", keyFailure(keyID, err)
	}
	if !key.Enabled {
		return "", failure{reason: larderv1alpha1.ReasonKMSKeyUnusable, needsPerson: true}.with(fmt.Errorf(
			"spec.encryption.kmsKeyID: key %s is %s: enable it, or give another", keyID, key.State))
	}
	return key.ARN, nil
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
		r.Runner.run(object, *d.attempt, r.buildRequest(object, f, d))
	}
}

func (r *Reconciler) buildRequest(object *larderv1alpha1.ImageCacheSnapshot, f *facts, d decision) BuildRequest {
	return BuildRequest{
		Images:      f.resolution.images,
		PullSecrets: pullSecretsOf(object.Spec),
		Format:      volume.Format(object.Spec.Format),
		VolumeSize:  volumeSizeOf(object.Spec),
		KMSKeyARN:   d.kmsKeyARN,
		Parent:      d.attempt.ParentSnapshotID,
		Tags:        r.tagsOf(object, f, d.attempt),
		Description: fmt.Sprintf("Container images of ImageCacheSnapshot %s, revision %d, made by Larder", object.Name, d.attempt.Revision),
		Attempt:     d.attempt.Attempt,
	}
}

func (r *Reconciler) tagsOf(object *larderv1alpha1.ImageCacheSnapshot, f *facts, attempt *larderv1alpha1.BuildStatus) map[string]string {
	tags := map[string]string{tagDisplayName: object.Name}
	for key, value := range object.Spec.Tags {
		tags[key] = string(value)
	}
	maps.Copy(tags, ContentsTags(volume.Format(object.Spec.Format), f.resolution.images))
	maps.Copy(tags, r.ownership(object))
	tags[ebs.TagObjectName] = object.Name
	tags[ebs.TagRevision] = strconv.FormatInt(attempt.Revision, 10)
	tags[ebs.TagContentHash] = attempt.ContentHash
	tags[ebs.TagAttempt] = strconv.FormatInt(attempt.Attempt, 10)
	if f.kmsKeyID != "" {
		tags[tagKMSKeyID] = keyTag(f.kmsKeyID)
	}
	return tags
}

// keyTag is a key as a tag has it: itself, or its hash where it is longer than AWS takes.
func keyTag(keyID string) string {
	const longestTagValue = 255
	if len(keyID) <= longestTagValue {
		return keyID
	}
	return hashOf(keyID)
}

// ownership are the tags that all snapshots of the object carry, and no others.
func (r *Reconciler) ownership(object *larderv1alpha1.ImageCacheSnapshot) map[string]string {
	return map[string]string{
		ebs.TagClusterUID: string(r.ClusterUID),
		ebs.TagObjectUID:  string(object.UID),
	}
}
