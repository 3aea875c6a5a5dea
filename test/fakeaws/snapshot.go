package fakeaws

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"slices"
	"time"
)

// States of a snapshot.
//
//	StartSnapshot ──> pending ── CompleteSnapshot ──> pending (sealed) ── Options.PendingFor ──> completed
//	                     │                               │
//	                     └── idle for too long ──> error <── wrong count or checksum
const (
	statePending   = "pending"
	stateCompleted = "completed"
	stateError     = "error"
)

var snapshotID = regexp.MustCompile(`^snap-[0-9a-f]+$`)

// snapshot is guarded by Server.mu.
type snapshot struct {
	id          string
	number      int
	region      string
	owner       string
	parentID    string
	lineage     string
	description string
	kmsKeyID    string
	encrypted   bool
	tags        map[string]string
	// size is in GiB.
	size      int64
	startedAt time.Time
	// touchedAt is when it was started or last written.
	touchedAt   time.Time
	idleTimeout time.Duration
	// sealedAt is zero until CompleteSnapshot.
	sealedAt time.Time
	// failure is why it is in state error.
	failure string
	// hidden is how many more calls are told that it does not exist.
	hidden int
	// inherited are the parent's blocks, written those put since.
	inherited, written map[int32]digest
}

func (s *Server) stateOf(snapshot *snapshot) (state, message string) {
	now := s.options.Clock.Now()
	switch {
	case snapshot.failure != "":
		return stateError, snapshot.failure
	case snapshot.sealedAt.IsZero() && now.Sub(snapshot.touchedAt) > snapshot.idleTimeout:
		return stateError, "The snapshot was idle for longer than its timeout."
	case !snapshot.sealedAt.IsZero() && !now.Before(snapshot.sealedAt.Add(s.options.PendingFor)):
		return stateCompleted, ""
	default:
		return statePending, ""
	}
}

// contents are the blocks that a volume made of the snapshot has.
func (snapshot *snapshot) contents() map[int32]digest {
	all := maps.Clone(snapshot.inherited)
	maps.Copy(all, snapshot.written)
	return all
}

func (snapshot *snapshot) block(index int32) (digest, bool) {
	if sum, ok := snapshot.written[index]; ok {
		return sum, true
	}
	sum, ok := snapshot.inherited[index]
	return sum, ok
}

func (snapshot *snapshot) blockCount() int64 { return snapshot.size * (1 << 30 / blockSize) }

// visible returns a snapshot of a Region unless it is absent or too new to be seen.
func (s *Server) visible(region, id string) (*snapshot, bool) {
	found, ok := s.snapshots[id]
	if !ok || found.region != region {
		return nil, false
	}
	if found.hidden > 0 {
		found.hidden--
		return nil, false
	}
	return found, true
}

// inOrder returns the snapshots in the order of their starts.
func (s *Server) inOrder() []*snapshot {
	return slices.SortedFunc(maps.Values(s.snapshots), func(a, b *snapshot) int { return cmp.Compare(a.number, b.number) })
}

// forget deletes a snapshot and what no other one holds of it.
func (s *Server) forget(gone *snapshot) error {
	delete(s.snapshots, gone.id)
	var failures []error
	for _, blocks := range []map[int32]digest{gone.inherited, gone.written} {
		for _, sum := range blocks {
			failures = append(failures, s.blocks.release(sum))
		}
	}
	return errors.Join(failures...)
}

// Snapshot is what a test may want to know of one.
type Snapshot struct {
	ID       string
	Region   string
	ParentID string
	State    string
	Tags     map[string]string
	// VolumeSize is in GiB.
	VolumeSize int64
	Encrypted  bool
	// Written is the number of blocks that were put.
	Written int
}

// Snapshots returns all snapshots in the order of their starts, hidden ones too.
func (s *Server) Snapshots() []Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Snapshot
	for _, one := range s.inOrder() {
		state, _ := s.stateOf(one)
		all = append(all, Snapshot{
			ID:         one.id,
			Region:     one.region,
			ParentID:   one.parentID,
			State:      state,
			Tags:       maps.Clone(one.tags),
			VolumeSize: one.size,
			Encrypted:  one.encrypted,
			Written:    len(one.written),
		})
	}
	return all
}

// SetOwner makes a snapshot another account's, which shares it with ours.
func (s *Server) SetOwner(id, account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.snapshots[id]
	if ok {
		found.owner = account
	}
	return ok
}

// Fail puts a snapshot into state error, as AWS does when it cannot store one.
func (s *Server) Fail(id, message string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.snapshots[id]
	if ok {
		found.failure = message
	}
	return ok
}
