package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// facts are what a pass has observed; plan decides on nothing else.
type facts struct {
	now        time.Time
	generation int64
	status     larderv1alpha1.ImageCacheSnapshotStatus

	// build is this process's, or nil.
	build *buildView
	// failed is the last attempt, if it failed in this process.
	failed *failedAttempt

	// settled means that status.snapshotID is for this generation, so that no reference needs to be resolved.
	settled bool
	// resolution is nil when the references could not be resolved, or need not be.
	resolution   *resolution
	unresolvable *failure

	// owned are the object's snapshots in AWS, the oldest first; not looked up while a build runs.
	owned []ebs.Snapshot
	// unlisted is why they are not known, or nil.
	unlisted *failure
	// missing has what should be among them and is not, and for how long.
	missing map[string]time.Duration
	// held has the snapshots that a binding or a node class names; only looked up when one is to be deleted.
	held map[string]bool
	// unheld is why that is not known, or nil.
	unheld *failure
}

func (r *Reconciler) observe(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) *facts {
	m := r.memories.of(object.UID)
	f := &facts{
		now:        r.Clock.Now(),
		generation: object.Generation,
		status:     *object.Status.DeepCopy(),
		build:      r.observeBuild(object, m),
		failed:     m.failed,
	}
	if !f.build.running() {
		r.observeSnapshots(ctx, object, m, f)
	}
	f.settled = isSettled(f)
	if f.settled {
		m.resolution = nil // megabytes of manifests that nobody needs until the spec changes
	} else {
		r.observeImages(ctx, object, m, f)
	}
	if candidates := leftovers(f); len(candidates) > 0 {
		f.held, f.unheld = r.heldOf(ctx, candidates)
	}
	return f
}

// observeBuild also takes over how a failed build ended.
func (r *Reconciler) observeBuild(object *larderv1alpha1.ImageCacheSnapshot, m *memory) *buildView {
	view := r.Runner.look(object.UID)
	if view == nil || view.running() || view.Err == nil {
		return view
	}
	failed := buildFailure(view.Err)
	m.failed = newFailedAttempt(view.Build, view.generation, failed, view.Ended)
	if view.mayHideSnapshot(failed) {
		m.hiddenUntil = view.Ended.Add(ebs.AppearsWithin)
	}
	r.Runner.forget(object.UID)
	return nil
}

// isSettled holds for a current snapshot that does not exist for moments only: AWS may be wrong for so long.
func isSettled(f *facts) bool {
	ready := meta.FindStatusCondition(f.status.Conditions, larderv1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == f.generation &&
		f.status.ObservedGeneration == f.generation && f.status.SnapshotID != "" && f.status.ContentHash != "" && !f.gone(f.status.SnapshotID)
}

// observeImages resolves once for a generation, and anew for each attempt after a failed one: what failed it
// may be an image that the registry has replaced since.
func (r *Reconciler) observeImages(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, m *memory, f *facts) {
	known := m.resolution != nil && m.resolution.generation == object.Generation
	if known && !f.retryDue() {
		f.resolution = m.resolution
		return
	}
	if f.failed != nil && !f.retryDue() && f.failed.generation == f.generation {
		return
	}
	if m.refusal.holds(object.Generation, f.now) {
		f.unresolvable = m.refusal.failure
		return
	}
	f.resolution, f.unresolvable = r.resolve(ctx, object)
	m.resolution, m.refusal = f.resolution, nil
	if f.unresolvable != nil && f.unresolvable.needsPerson {
		m.refusal = &refusal{generation: object.Generation, failure: f.unresolvable, until: f.now.Add(slowRetry)}
	}
}

func (r *Reconciler) observeSnapshots(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, m *memory, f *facts) {
	owned, err := r.findOwned(ctx, object, f.status.SnapshotID, f.attempt().SnapshotID)
	if err != nil {
		f.unlisted = awsFailure(err)
		return
	}
	f.owned = owned
	since := map[string]time.Time{}
	for _, name := range f.expected() {
		if f.find(name) != nil {
			continue
		}
		since[name] = f.now
		if before, known := m.missing[name]; known {
			since[name] = before
		}
	}
	m.missing = since
	f.missing = map[string]time.Duration{}
	for name, at := range since {
		f.missing[name] = f.now.Sub(at)
	}
}

// findOwned looks by tags, and by id for what the tags do not show yet. Everything it returns carries the
// object's tags, so nothing else is ever deleted, whatever stands in a status.
func (r *Reconciler) findOwned(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, recorded ...string) ([]ebs.Snapshot, error) {
	tags := r.ownership(object)
	owned, err := r.Snapshots.Find(ctx, tags)
	if err != nil {
		return nil, err
	}
	for _, id := range recorded {
		if id == "" || slices.ContainsFunc(owned, func(s ebs.Snapshot) bool { return s.ID == id }) {
			continue
		}
		snapshot, err := r.Snapshots.Describe(ctx, id)
		if larderaws.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if hasTags(snapshot, tags) {
			owned = append(owned, snapshot)
		}
	}
	return owned, nil
}

func hasTags(snapshot ebs.Snapshot, tags map[string]string) bool {
	for key, value := range tags {
		if snapshot.Tags[key] != value {
			return false
		}
	}
	return true
}

// attempt is the one in progress or the last one, as far as it is known; never nil.
func (f *facts) attempt() *larderv1alpha1.BuildStatus {
	switch {
	case f.build != nil:
		return f.build.Build.DeepCopy()
	case f.failed != nil:
		return f.failed.build.DeepCopy()
	case f.status.Build != nil:
		return f.status.Build.DeepCopy()
	}
	return &larderv1alpha1.BuildStatus{}
}

// interrupted holds for an attempt that was under way when another process ended.
func (f *facts) interrupted() bool {
	step := f.attempt().Step
	return f.build == nil && (step == larderv1alpha1.BuildStarting || step == larderv1alpha1.BuildWriting)
}

// expected names what should exist in AWS: snapshots by their ids, and by its name the attempt that was
// interrupted, which may have got its snapshot without learning the id.
func (f *facts) expected() []string {
	var names []string
	attempt := f.attempt()
	if f.status.SnapshotID != "" {
		names = append(names, f.status.SnapshotID)
	}
	switch {
	case attempt.Step == larderv1alpha1.BuildCompleting:
		names = append(names, attempt.SnapshotID)
	case f.interrupted():
		names = append(names, attemptName(attempt))
	}
	return names
}

// find returns the owned snapshot with this id, or of this attempt.
func (f *facts) find(name string) *ebs.Snapshot {
	for i := range f.owned {
		snapshot := &f.owned[i]
		if snapshot.ID == name || tagName(snapshot) == name {
			return snapshot
		}
	}
	return nil
}

func attemptName(attempt *larderv1alpha1.BuildStatus) string {
	return fmt.Sprintf("revision %d, attempt %d", attempt.Revision, attempt.Attempt)
}

func tagName(snapshot *ebs.Snapshot) string {
	return attemptName(&larderv1alpha1.BuildStatus{
		Revision: numberTag(snapshot, ebs.TagRevision),
		Attempt:  numberTag(snapshot, ebs.TagAttempt),
	})
}

// numberTag is 0 for a tag that is not there, or that a person has spoilt.
func numberTag(snapshot *ebs.Snapshot, key string) int64 {
	number, err := strconv.ParseInt(snapshot.Tags[key], 10, 64)
	if err != nil || number < 0 {
		return 0
	}
	return number
}

// gone holds for what AWS has denied for as long as it can be wrong.
func (f *facts) gone(name string) bool {
	return f.missing[name] >= ebs.AppearsWithin
}

func (f *facts) retryDue() bool {
	return f.failed != nil && (f.failed.generation != f.generation || !f.now.Before(f.failed.retryAt))
}

// wanted is the hash of what the spec asks for, or empty when that is unknown.
func (f *facts) wanted() string {
	switch {
	case f.resolution != nil:
		return f.resolution.contentHash
	case f.settled:
		return f.status.ContentHash
	}
	return ""
}
