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
	// resolution is of the generation that it names, or nil.
	resolution *resolution
	// refusal is why the references could not be resolved, if that needs a person.
	refusal *refusal
	// failed is the last attempt, if it failed.
	failed *failedAttempt
	// missing has what should exist in AWS and does not, and since when.
	missing map[string]time.Time
	// hiddenUntil is when the last snapshot becomes visible that a cancelled build may have started without
	// learning its id.
	hiddenUntil time.Time
	// progressAt is when progress was last reported.
	progressAt time.Time
}

// refusal spares registries the same question at every pass.
type refusal struct {
	generation int64
	failure    *failure
	until      time.Time
}

func (r *refusal) holds(generation int64, now time.Time) bool {
	return r != nil && r.generation == generation && now.Before(r.until)
}

// failedAttempt is an attempt that ended without a snapshot.
type failedAttempt struct {
	build larderv1alpha1.BuildStatus
	// generation is that of the spec it was for: a change of the spec is tried at once.
	generation int64
	failure    *failure
	retryAt    time.Time
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
