package fakeaws

import (
	"encoding/xml"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const (
	// maxRestored is how many snapshots of a Region can have fast restores:
	// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html
	maxRestored = 5
	// maxRestoredAtOnce is how many snapshots one call takes: https://github.com/pingcap/tidb/issues/48505
	maxRestoredAtOnce = 10
	// maxRestoresPerPage is the SDK model's.
	maxRestoresPerPage = 200
)

// restore is a snapshot's fast snapshot restore in one zone. Each arrow but the calls takes Options.RestoreStep:
//
//	Enable ──> enabling ──> optimizing ──> enabled
//	   ▲           │             │            │
//	   │           └─────────────┴────────────┴── Disable ──> disabling ──> disabled
//	   └───────────────────────────────────────────────────────────────────────┘
type restore struct {
	enabledAt time.Time
	// disabledAt is zero for one that is not.
	disabledAt time.Time
}

func (s *Server) restoreState(r restore) types.FastSnapshotRestoreStateCode {
	now, step := s.options.Clock.Now(), s.options.RestoreStep
	switch {
	case !r.disabledAt.IsZero() && now.Before(r.disabledAt.Add(step)):
		return types.FastSnapshotRestoreStateCodeDisabling
	case !r.disabledAt.IsZero():
		return types.FastSnapshotRestoreStateCodeDisabled
	case now.Before(r.enabledAt.Add(step)):
		return types.FastSnapshotRestoreStateCodeEnabling
	case now.Before(r.enabledAt.Add(2 * step)):
		return types.FastSnapshotRestoreStateCodeOptimizing
	default:
		return types.FastSnapshotRestoreStateCodeEnabled
	}
}

// restoringZones are those where a snapshot's fast restores are anything but disabled.
func (s *Server) restoringZones(snapshot *snapshot) []string {
	var zones []string
	for _, zone := range slices.Sorted(maps.Keys(snapshot.restores)) {
		if s.restoreState(snapshot.restores[zone]) != types.FastSnapshotRestoreStateCodeDisabled {
			zones = append(zones, zone)
		}
	}
	return zones
}

func zonesOf(region string) []string { return []string{region + "a", region + "b", region + "c"} }

type restoreAnswer struct {
	SnapshotID string `xml:"snapshotId"`
	Zone       string `xml:"availabilityZone"`
	State      string `xml:"state"`
	Reason     string `xml:"stateTransitionReason"`
	OwnerID    string `xml:"ownerId"`
}

type restoreErrorAnswer struct {
	SnapshotID string             `xml:"snapshotId"`
	Errors     []restoreZoneError `xml:"fastSnapshotRestoreStateErrorSet>item"`
}

type restoreZoneError struct {
	Zone    string `xml:"availabilityZone"`
	Code    string `xml:"error>code"`
	Message string `xml:"error>message"`
}

// switchRestoresAnswer is what enabling and disabling return.
type switchRestoresAnswer struct {
	XMLName      xml.Name
	RequestID    string               `xml:"requestId"`
	Successful   []restoreAnswer      `xml:"successful>item"`
	Unsuccessful []restoreErrorAnswer `xml:"unsuccessful>item"`
}

func (s *Server) enableFastSnapshotRestores(region string, in *ec2.EnableFastSnapshotRestoresInput) (any, error) {
	if in.AvailabilityZoneIds != nil {
		return nil, unmodelled("EnableFastSnapshotRestores: zone ids")
	}
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	return s.switchRestores("EnableFastSnapshotRestores", region, in.SourceSnapshotIds, in.AvailabilityZones, s.enableRestore)
}

func (s *Server) disableFastSnapshotRestores(region string, in *ec2.DisableFastSnapshotRestoresInput) (any, error) {
	if in.AvailabilityZoneIds != nil {
		return nil, unmodelled("DisableFastSnapshotRestores: zone ids")
	}
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	return s.switchRestores("DisableFastSnapshotRestores", region, in.SourceSnapshotIds, in.AvailabilityZones, s.disableRestore)
}

// switchRestores refuses the whole call for its zones, and else switches what it can: every snapshot and zone
// succeeds or fails by itself.
func (s *Server) switchRestores(action, region string, ids, zones []string, one func(*snapshot, string) *apiError) (any, error) {
	if len(ids) == 0 || len(zones) == 0 {
		return nil, ec2Error("MissingParameter", "The request must contain the parameters SourceSnapshotIds and AvailabilityZones")
	}
	if len(ids) > maxRestoredAtOnce {
		return nil, ec2Error("InvalidRequest", "Number of values of parameter SourceSnapshotIds must be less than or equal to %d.", maxRestoredAtOnce)
	}
	for _, zone := range zones {
		if !slices.Contains(zonesOf(region), zone) {
			return nil, ec2Error("InvalidParameterValue", "Invalid availability zone: [%s]", zone)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	result := switchRestoresAnswer{XMLName: done(action).XMLName, RequestID: "fakeaws"}
	for _, id := range ids {
		target, found := s.visible(region, id)
		var errors []restoreZoneError
		for _, zone := range zones {
			refusal := ec2Error("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
			if found {
				refusal = one(target, zone)
			}
			if refusal != nil {
				errors = append(errors, restoreZoneError{Zone: zone, Code: refusal.code, Message: refusal.message})
				continue
			}
			result.Successful = append(result.Successful, s.describeRestore(target, zone))
		}
		if len(errors) > 0 {
			result.Unsuccessful = append(result.Unsuccessful, restoreErrorAnswer{SnapshotID: id, Errors: errors})
		}
	}
	return result, nil
}

func (s *Server) enableRestore(target *snapshot, zone string) *apiError {
	if state, _ := s.stateOf(target); state != stateCompleted {
		return ec2Error("IncorrectState", "Snapshot '%s' is not 'completed'.", target.id)
	}
	if target.archived {
		return ec2Error("IncorrectState", "Snapshot '%s' is archived.", target.id)
	}
	if before, ok := target.restores[zone]; ok {
		switch s.restoreState(before) {
		case types.FastSnapshotRestoreStateCodeDisabled:
		case types.FastSnapshotRestoreStateCodeDisabling:
			return ec2Error("IncorrectState", "Fast snapshot restore of '%s' is being disabled in %s.", target.id, zone)
		default:
			return nil
		}
	}
	restored := 0
	for _, other := range s.snapshots {
		if other != target && other.region == target.region && len(s.restoringZones(other)) > 0 {
			restored++
		}
	}
	if restored >= maxRestored {
		return ec2Error("FastSnapshotRestoreLimitExceeded", "The limit of %d snapshots with fast snapshot restore is reached.", maxRestored)
	}
	target.restores[zone] = restore{enabledAt: s.options.Clock.Now()}
	return nil
}

func (s *Server) disableRestore(target *snapshot, zone string) *apiError {
	before, ok := target.restores[zone]
	if !ok || !before.disabledAt.IsZero() {
		return ec2Error("IncorrectState", "Fast snapshot restore of '%s' is not enabled in %s.", target.id, zone)
	}
	before.disabledAt = s.options.Clock.Now()
	target.restores[zone] = before
	return nil
}

type describeRestoresAnswer struct {
	XMLName   xml.Name        `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeFastSnapshotRestoresResponse"`
	RequestID string          `xml:"requestId"`
	Restores  []restoreAnswer `xml:"fastSnapshotRestoreSet>item"`
	NextToken string          `xml:"nextToken,omitempty"`
}

func (s *Server) describeFastSnapshotRestores(region string, in *ec2.DescribeFastSnapshotRestoresInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	size := maxRestoresPerPage
	if in.MaxResults != nil {
		size = int(*in.MaxResults)
	}
	if size < 1 || size > maxRestoresPerPage {
		return nil, ec2Error("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between 1 and %d.", size, maxRestoresPerPage)
	}
	start := 0
	if in.NextToken != nil {
		given := parseToken(*in.NextToken)
		if given.Use != "restores" {
			return nil, ec2Error("InvalidNextToken", "The token '%s' is invalid.", *in.NextToken)
		}
		start = int(given.Index)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	chosen, err := s.chosenRestores(region, in.Filters)
	if err != nil {
		return nil, err
	}
	chosen = chosen[min(start, len(chosen)):]
	result := describeRestoresAnswer{RequestID: "fakeaws", Restores: chosen}
	if len(chosen) > size {
		result.Restores = chosen[:size]
		result.NextToken = token{Use: "restores", Index: int32(start + size)}.String()
	}
	return result, nil
}

// chosenRestores are those that pass all filters, in the order of the snapshots' starts and of the zones.
func (s *Server) chosenRestores(region string, filters []types.Filter) ([]restoreAnswer, error) {
	if err := checkFilters(filters); err != nil {
		return nil, err
	}
	var chosen []restoreAnswer
	for _, one := range s.inOrder() {
		if one.region != region {
			continue
		}
		for _, zone := range slices.Sorted(maps.Keys(one.restores)) {
			described := s.describeRestore(one, zone)
			passes, err := described.passes(filters)
			if err != nil {
				return nil, err
			}
			if passes {
				chosen = append(chosen, described)
			}
		}
	}
	return chosen, nil
}

func (r restoreAnswer) passes(filters []types.Filter) (bool, error) {
	for _, filter := range filters {
		value := ""
		switch name := aws.ToString(filter.Name); name {
		case "snapshot-id":
			value = r.SnapshotID
		case "availability-zone":
			value = r.Zone
		case "state":
			value = r.State
		case "owner-id":
			value = r.OwnerID
		default:
			return false, unmodelled("DescribeFastSnapshotRestores: filter %s", name)
		}
		if !matches(filter, value) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Server) describeRestore(one *snapshot, zone string) restoreAnswer {
	state := s.restoreState(one.restores[zone])
	reason := "Client.UserInitiated - Lifecycle state transition"
	if state == types.FastSnapshotRestoreStateCodeEnabling || state == types.FastSnapshotRestoreStateCodeDisabling {
		reason = "Client.UserInitiated"
	}
	return restoreAnswer{SnapshotID: one.id, Zone: zone, State: string(state), Reason: reason, OwnerID: s.options.AccountID}
}
