package snapshot

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	larderaws "github.com/larder-dev/larder/internal/aws"
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
	return clipTo(object.Annotations[larderv1alpha1.AnnotationReconcileRequestedAt], longest)
}

// heldOf returns which of the snapshots someone names beside their own object. When that cannot be found out, it is all
// of them.
func (r *Reconciler) heldOf(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, snapshots []ebs.Snapshot) (map[string]bool, *failure) {
	users, err := r.References.List(ctx, r.Templates)
	held := map[string]bool{}
	for _, snapshot := range snapshots {
		held[snapshot.ID] = err != nil || len(users.Without(object.Name).Of(snapshot.ID)) > 0
	}
	if err != nil {
		return held, referencesFailure(err)
	}
	return held, nil
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

func (r *Reconciler) observeSnapshots(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, m *memory, f *facts) {
	recorded := []string{f.status.SnapshotID, f.attempt().SnapshotID}
	for _, made := range f.status.Revisions {
		recorded = append(recorded, made.SnapshotID)
	}
	owned, err := r.findOwned(ctx, object, recorded)
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
func (r *Reconciler) findOwned(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, recorded []string) ([]ebs.Snapshot, error) {
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
	return withoutLikenesses(owned, recorded), nil
}

// withoutLikenesses leaves out copies that a person made with all our tags: an attempt makes one snapshot at most, which
// was there before any copy of it, and is the one that was recorded.
func withoutLikenesses(owned []ebs.Snapshot, recorded []string) []ebs.Snapshot {
	first := map[string]string{}
	for _, snapshot := range owned {
		name := tagName(&snapshot)
		if _, known := first[name]; !known || slices.Contains(recorded, snapshot.ID) {
			first[name] = snapshot.ID
		}
	}
	return slices.DeleteFunc(owned, func(s ebs.Snapshot) bool { return first[tagName(&s)] != s.ID })
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

// mayHideAttempt holds for an interrupted attempt whose snapshot is not there, although AWS may have it.
func (f *facts) mayHideAttempt() bool {
	name := attemptName(f.attempt())
	return f.interrupted() && f.find(name) == nil && !f.gone(name)
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
