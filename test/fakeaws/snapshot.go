package fakeaws

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"
)

// States of a snapshot.
//
//	StartSnapshot ──> pending ── CompleteSnapshot ──> pending (sealed) ── Options.PendingFor ──> completed
//	                     │                               │                                          ▲
//	                     └── idle for too long ──> error <── wrong count or checksum                │
//	                                                 ▲                                              │
//	                                                 └── no source, no key ── pending ── Options.CopyFor
//	                                                                             ▲
//	                                                                CopySnapshot ┘
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
	// sealedAt is zero until CompleteSnapshot, and for a copy its start.
	sealedAt time.Time
	// storedIn is how long it stays pending once it is sealed.
	storedIn time.Duration
	// endsIn is the failure that turns out when it is stored, empty if it completes.
	endsIn string
	// copiedFrom is the id of the snapshot that it is a copy of.
	copiedFrom string
	// sharedWith are accounts that may use it.
	sharedWith map[string]bool
	// restores are its fast snapshot restores by their zones.
	restores map[string]restore
	// archived is in a tier that no volume is made from.
	archived bool
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
	case !snapshot.sealedAt.IsZero() && !now.Before(snapshot.sealedAt.Add(snapshot.storedIn)):
		if snapshot.endsIn != "" {
			return stateError, snapshot.endsIn
		}
		return stateCompleted, ""
	default:
		return statePending, ""
	}
}

// newSnapshot returns a pending one of our account without contents. It is called with the lock held.
func (s *Server) newSnapshot(region string) *snapshot {
	s.started++
	now := s.options.Clock.Now()
	id := fmt.Sprintf("snap-%017x", s.started)
	return &snapshot{
		id:          id,
		number:      s.started,
		lineage:     id,
		region:      region,
		owner:       s.options.AccountID,
		tags:        map[string]string{},
		sharedWith:  map[string]bool{},
		restores:    map[string]restore{},
		startedAt:   now,
		touchedAt:   now,
		idleTimeout: maxIdleTimeout * time.Minute,
		hidden:      s.options.HiddenCalls,
		inherited:   map[int32]digest{},
		written:     map[int32]digest{},
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

// accessible tells whether our account owns a snapshot, or has it shared with it.
func (s *Server) accessible(one *snapshot) bool {
	return one.owner == s.options.AccountID || one.sharedWith[s.options.AccountID]
}

// visible returns a snapshot of a Region unless it is absent, another account's, or too new to be seen.
func (s *Server) visible(region, id string) (*snapshot, bool) {
	found, ok := s.snapshots[id]
	if !ok || found.region != region || !s.accessible(found) {
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

// forget deletes a snapshot and what no other one holds of it. A copy that is under way fails for want of it.
func (s *Server) forget(gone *snapshot) error {
	for _, one := range s.snapshots {
		if state, _ := s.stateOf(one); one.copiedFrom == gone.id && state == statePending {
			one.endsIn = "The source snapshot '" + gone.id + "' was deleted."
		}
	}
	delete(s.snapshots, gone.id)
	var failures []error
	for _, blocks := range []map[int32]digest{gone.inherited, gone.written} {
		for _, sum := range blocks {
			failures = append(failures, s.blocks.release(sum))
		}
	}
	return errors.Join(failures...)
}
