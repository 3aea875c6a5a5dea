package snapshot

import (
	"cmp"
	"context"
	"hash/fnv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

const (
	// defaultInterval is the API's default, for objects that did not pass through it.
	defaultInterval = 10 * time.Minute
	// longestWait bounds what a registry may ask for with Retry-After: Docker Hub's limits are of six hours.
	longestWait = 6 * time.Hour
)

// observeImages finds out what the references point at, if it is time to: for a new recipe at once and in full, for one
// that a snapshot serves once in an interval and by asking for digests only. An attempt that is under way is not
// disturbed by a tag that moves again, and after one that failed all is read anew, since what failed it may be an image
// that was replaced since.
func (r *Reconciler) observeImages(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, m *memory, f *facts) {
	afterBuild := max(m.checkDue.Sub(f.now), firstBackoff)
	if f.underWay() || f.failed.waits(f) {
		f.resolution, f.checkAfterBuild = m.resolved(f.recipe), afterBuild
		return
	}
	retry := f.failed != nil || f.requested
	if known := m.resolved(f.recipe); known != nil && !retry {
		if !f.serving() || known.contentHash != f.status.ContentHash {
			f.resolution, f.checkAfterBuild = known, afterBuild
			return
		}
		m.resolution = nil // megabytes of manifests that nobody needs until something changes
	}
	if !f.requested && m.refusal.holds(f.recipe, f.now) {
		f.unresolvable, f.nextCheck = m.refusal.failure, m.refusal.until.Sub(f.now)
		return
	}
	if f.serving() && !retry && f.now.Before(m.checkDue) {
		f.nextCheck = m.checkDue.Sub(f.now)
		return
	}
	r.ask(ctx, object, m, f)
}

// ask goes to the registries.
func (r *Reconciler) ask(ctx context.Context, object *larderv1alpha1.ImageCacheSnapshot, m *memory, f *facts) {
	moved := true
	resolver, err := r.Registries.Resolver(ctx, pullSecretsOf(object.Spec))
	failed := pullSecretFailure(err)
	if failed == nil && f.serving() && f.failed == nil {
		moved, failed = hasMoved(ctx, resolver, object)
	}
	if failed == nil && moved {
		f.resolution, failed = resolve(ctx, resolver, object)
	}
	f.unresolvable, m.resolution = failed, f.resolution
	f.asked = true
	if failed == nil {
		m.refusal = nil
		m.checkDue = f.now.Add(jitter(object.UID, f.now, intervalOf(object)))
		f.nextCheck = m.checkDue.Sub(f.now)
		return
	}
	times := int64(1)
	if m.refusal != nil && m.refusal.recipe == f.recipe {
		times = m.refusal.times + 1
	}
	f.nextCheck = askAgain(failed, times, intervalOf(object))
	m.refusal = &refusal{recipe: f.recipe, failure: failed, times: times, until: f.now.Add(f.nextCheck)}
}

// askAgain is the wait after references could not be resolved for so many times in a row. What needs a person is looked
// at no less often than what does not: the image may have been pushed meanwhile.
func askAgain(failed *failure, times int64, interval time.Duration) time.Duration {
	wait := min(slowRetry, interval)
	if !failed.needsPerson {
		wait = backoff(firstBackoff, longestBackoff, times)
	}
	return max(wait, min(failed.retryAfter, longestWait))
}

// intervalOf is how often an object's tags are resolved again.
func intervalOf(object *larderv1alpha1.ImageCacheSnapshot) time.Duration {
	return cmp.Or(object.Spec.Interval.Duration, defaultInterval)
}

// jitter spreads the checks of many objects: by how much, up to a tenth, one comes before the interval is over depends on
// the object and the time alone. None comes later, since a user counts on the interval.
func jitter(object types.UID, at time.Time, interval time.Duration) time.Duration {
	luck := fnv.New64a()
	// A hash never fails.
	_, _ = luck.Write([]byte(string(object) + at.UTC().Format(time.RFC3339Nano)))
	const parts = 1000
	return interval - interval/10*time.Duration(luck.Sum64()%parts)/parts
}

func pullSecretsOf(spec larderv1alpha1.ImageCacheSnapshotSpec) []string {
	names := make([]string, len(spec.ImagePullSecrets))
	for i, reference := range spec.ImagePullSecrets {
		names[i] = reference.Name
	}
	return names
}
