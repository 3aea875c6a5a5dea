package snapshot

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
)

// memory is what one pass keeps for the next of the same object. Losing it in a crash costs time and nothing
// else: what matters is in the object's status and in the tags of its snapshots.
type memory struct {
	// resolution is of the recipe that it names, or nil.
	resolution *resolution
	// refusal is why the references could not be resolved, or nil.
	refusal *refusal
	// checkDue is when tags are resolved again; zero for at once.
	checkDue time.Time
	// failed is the last attempt, if it failed.
	failed *failedAttempt
	// missing has what should exist in AWS and does not, and since when.
	missing map[string]time.Time
	// progressAt is when progress was last reported.
	progressAt time.Time
}

// resolved returns what is known of a recipe, or nil.
func (m *memory) resolved(recipe string) *resolution {
	if m.resolution == nil || m.resolution.recipe != recipe {
		return nil
	}
	return m.resolution
}

// refusal spares registries the same question at every pass.
type refusal struct {
	recipe  string
	failure *failure
	// times counts how often in a row the recipe could not be resolved.
	times int64
	until time.Time
}

func (r *refusal) holds(recipe string, now time.Time) bool {
	return r != nil && r.recipe == recipe && now.Before(r.until)
}

// failedAttempt is an attempt that ended without a snapshot. A change of the spec is tried at once.
type failedAttempt struct {
	build   larderv1alpha1.BuildStatus
	failure *failure
	retryAt time.Time
}

// memories are those of all objects. Each object's own is used by one pass at a time.
type memories struct {
	mu  sync.Mutex
	all map[types.UID]*memory
}

func (m *memories) of(uid types.UID) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[types.UID]*memory{}
	}
	if m.all[uid] == nil {
		m.all[uid] = &memory{}
	}
	return m.all[uid]
}

func (m *memories) drop(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, uid)
}
