package snapshot

import (
	"context"
	"time"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// facts are what a pass has observed; plan decides on nothing else.
type facts struct {
	now    time.Time
	status larderv1alpha1.ImageCacheSnapshotStatus

	// recipe is the hash of what the spec asks for, and images is how many images that are.
	recipe string
	images int
	// kmsKeyID is spec.encryption's, or empty.
	kmsKeyID string
	// pin is spec.revision, 0 without one.
	pin       int64
	suspended bool
	// requested means that the annotation asks for a look at the registries.
	requested bool

	// build is this process's, or nil.
	build *buildView
	// failed is the last attempt, if it failed.
	failed *failedAttempt

	// resolution is nil when the references could not be resolved, or need not be.
	resolution   *resolution
	unresolvable *failure
	// asked means that registries were asked in this pass, and nextCheck is after what time they are again; 0 when
	// something else comes first.
	asked     bool
	nextCheck time.Duration
	// checkAfterBuild is the same for a pass that finds a build done: registries were left alone meanwhile, and the
	// interval has gone on.
	checkAfterBuild time.Duration

	// owned are the object's snapshots in AWS, the oldest first; not looked up while a build runs.
	owned []ebs.Snapshot
	// unlisted is why they are not known, or nil.
	unlisted *failure
	// missing has what should be among them and is not, and for how long.
	missing map[string]time.Duration
	// held has the snapshots that someone names; only looked up when one is to be deleted.
	held map[string]bool
	// unheld is why that is not known, or nil.
	unheld *failure
}

func (r *Reconciler) observe(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot) *facts {
	m := r.memories.of(object.UID)
	f := r.newFacts(object, m)
	if f.suspended {
		return f
	}
	if !f.build.running() {
		r.observeSnapshots(ctx, object, m, f)
	}
	if f.pin == 0 {
		r.observeImages(ctx, object, m, f)
	}
	if candidates := leftovers(f); len(candidates) > 0 {
		f.held, f.unheld = r.heldOf(ctx, object, candidates)
	}
	return f
}

// newFacts has what is known without asking anyone.
func (r *Reconciler) newFacts(object *larderv1alpha1.ImageCacheSnapshot, m *memory) *facts {
	f := &facts{
		now:       r.Clock.Now(),
		status:    *object.Status.DeepCopy(),
		recipe:    recipeHash(object.Spec),
		images:    len(object.Spec.Images),
		kmsKeyID:  newRecipe(object.Spec).KMSKeyID,
		suspended: object.Spec.Suspend,
		build:     r.observeBuild(object, m),
	}
	if object.Spec.Revision != nil {
		f.pin = *object.Spec.Revision
	}
	request := requestOf(object)
	f.requested = request != "" && request != f.status.LastHandledReconcileAt
	if m.failed == nil && f.build == nil {
		m.failed = recordedFailure(f.status.Build, f.recipe)
	}
	f.failed = m.failed
	return f
}

// requestOf is the value of the annotation that asks for a look at the registries, as far as a status takes it.
func requestOf(object *larderv1alpha1.ImageCacheSnapshot) string {
	const longest = 256
	return message.Clip(object.Annotations[larderv1alpha1.AnnotationReconcileRequestedAt], longest)
}

// observeBuild also takes over how a failed build ended.
func (r *Reconciler) observeBuild(object *larderv1alpha1.ImageCacheSnapshot, m *memory) *buildView {
	view := r.Runner.look(object.UID)
	if view == nil || view.running() || view.Err == nil {
		return view
	}
	m.failed = newFailedAttempt(view.Build, buildFailure(view.Err), view.Ended)
	r.Runner.forget(object.UID)
	return nil
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

// serving holds for a current snapshot that was made by the spec's recipe, whatever tags point at by now. One that does
// not exist for moments only is one: AWS may be wrong for so long.
func (f *facts) serving() bool {
	return f.status.RecipeHash == f.recipe && f.status.SnapshotID != "" && f.status.ContentHash != "" && !f.lostCurrent()
}

// lostCurrent holds when the current snapshot is no more, or of no use any more.
func (f *facts) lostCurrent() bool {
	if f.status.SnapshotID == "" {
		return false
	}
	current := f.find(f.status.SnapshotID)
	return current == nil && f.gone(f.status.SnapshotID) || current != nil && current.State == ebs.StateError
}

// underWay holds for an attempt by the spec's recipe that runs, or that EBS completes.
func (f *facts) underWay() bool {
	attempt := f.attempt()
	return attempt.RecipeHash == f.recipe && (f.build.running() || attempt.Step == larderv1alpha1.BuildCompleting)
}

// waits holds for a failed attempt that must not be repeated yet.
func (a *failedAttempt) waits(f *facts) bool {
	return a != nil && a.build.RecipeHash == f.recipe && !f.requested && f.now.Before(a.retryAt)
}

// lastRevision is the highest number of a revision that was ever current, as far as it is known.
func (f *facts) lastRevision() int64 {
	last := max(f.status.Revision, f.status.LatestRevision)
	for _, one := range f.status.Revisions {
		last = max(last, one.Number)
	}
	return last
}

// wanted is the hash of what is to be on the volume, or empty when that is unknown.
func (f *facts) wanted() string {
	switch {
	case f.pin > 0:
		return ""
	case f.underWay():
		return f.attempt().ContentHash
	case f.resolution != nil:
		return f.resolution.contentHash
	case f.failed.waits(f):
		return f.failed.build.ContentHash
	case f.serving():
		return f.status.ContentHash
	}
	return ""
}
