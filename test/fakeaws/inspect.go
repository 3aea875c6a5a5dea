package fakeaws

import (
	"maps"
	"slices"
	"time"
)

// Snapshot is what a test may want to know of one, or of one that it adds.
type Snapshot struct {
	ID       string
	ParentID string
	// CopiedFrom is the id of the snapshot that this one is a copy of.
	CopiedFrom string
	Region     string
	// Owner is an account id.
	Owner       string
	State       string
	Description string
	Tags        map[string]string
	StartTime   time.Time
	// VolumeSize is in GiB.
	VolumeSize int64
	Encrypted  bool
	// KMSKeyID is the key's ARN.
	KMSKeyID string
	// SharedWith are account ids in order. One of another Owner is known to us only if it is shared with us.
	SharedWith []string
	// Archived tells that it is in the archive tier.
	Archived bool
	// Written is the number of blocks that were put.
	Written int
}

// Snapshots returns all snapshots of all Regions in the order in which they were made, hidden ones too.
func (s *Server) Snapshots() []Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Snapshot
	for _, one := range s.inOrder() {
		state, _ := s.stateOf(one)
		all = append(all, Snapshot{
			ID:          one.id,
			ParentID:    one.parentID,
			CopiedFrom:  one.copiedFrom,
			Region:      one.region,
			Owner:       one.owner,
			State:       state,
			Description: one.description,
			Tags:        maps.Clone(one.tags),
			StartTime:   one.startedAt,
			VolumeSize:  one.size,
			Encrypted:   one.encrypted,
			KMSKeyID:    one.kmsKeyID,
			SharedWith:  slices.Sorted(maps.Keys(one.sharedWith)),
			Archived:    one.archived,
			Written:     len(one.written),
		})
	}
	return all
}

// AddSnapshot makes a completed snapshot without blocks and returns its id. Region, Owner, StartTime and VolumeSize
// default to the server's, our account, now and 1 GiB. Its ID, State, ParentID, CopiedFrom and Written are not the
// caller's to choose and are ignored.
func (s *Server) AddSnapshot(given Snapshot) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	region := given.Region
	if region == "" {
		region = s.options.Region
	}
	added := s.newSnapshot(region)
	added.hidden = 0
	added.size = max(1, given.VolumeSize)
	added.description = given.Description
	added.archived = given.Archived
	added.encrypted = given.Encrypted
	added.kmsKeyID = given.KMSKeyID
	if added.encrypted && added.kmsKeyID == "" {
		added.kmsKeyID = s.defaultKey(region).ARN
	}
	maps.Copy(added.tags, given.Tags)
	for _, account := range given.SharedWith {
		added.sharedWith[account] = true
	}
	if given.Owner != "" {
		added.owner = given.Owner
	}
	if !given.StartTime.IsZero() {
		added.startedAt = given.StartTime
	}
	added.sealedAt = added.startedAt
	s.snapshots[added.id] = added
	return added.id
}

// SetOwner makes a snapshot another account's, which shares it with ours.
func (s *Server) SetOwner(id, account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.snapshots[id]
	if ok {
		found.owner = account
		found.sharedWith[s.options.AccountID] = true
	}
	return ok
}

// Archive moves a snapshot to the archive tier, or back from there, at once.
func (s *Server) Archive(id string, archived bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.snapshots[id]
	if ok {
		found.archived = archived
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
