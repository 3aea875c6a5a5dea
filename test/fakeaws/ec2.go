package fakeaws

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Limits of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Query-Requests.html
const (
	minSnapshotsPerPage = 5
	maxSnapshotsPerPage = 1000
)

type describeSnapshotsAnswer struct {
	XMLName   xml.Name         `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeSnapshotsResponse"`
	RequestID string           `xml:"requestId"`
	Snapshots []snapshotAnswer `xml:"snapshotSet>item"`
	NextToken string           `xml:"nextToken,omitempty"`
}

type snapshotAnswer struct {
	ID           string      `xml:"snapshotId"`
	VolumeID     string      `xml:"volumeId"`
	State        string      `xml:"status"`
	StateMessage string      `xml:"statusMessage,omitempty"`
	StartTime    string      `xml:"startTime"`
	Progress     string      `xml:"progress"`
	OwnerID      string      `xml:"ownerId"`
	VolumeSize   int64       `xml:"volumeSize"`
	Description  string      `xml:"description"`
	Encrypted    bool        `xml:"encrypted"`
	KMSKeyID     string      `xml:"kmsKeyId,omitempty"`
	StorageTier  string      `xml:"storageTier"`
	Tags         []tagAnswer `xml:"tagSet>item"`
}

type tagAnswer struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

// returnAnswer is the answer of the calls that return nothing else.
type returnAnswer struct {
	XMLName   xml.Name
	RequestID string `xml:"requestId"`
	Return    bool   `xml:"return"`
}

func done(action string) returnAnswer {
	name := xml.Name{Space: "http://ec2.amazonaws.com/doc/2016-11-15/", Local: action + "Response"}
	return returnAnswer{XMLName: name, RequestID: "fakeaws", Return: true}
}

func (s *Server) describeSnapshots(region string, in *ec2.DescribeSnapshotsInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	chosen, err := s.chosen(region, in)
	if err != nil {
		return nil, err
	}
	start := 0
	if in.NextToken != nil {
		given := parseToken(*in.NextToken)
		if given.Use != "describe" {
			return nil, ec2Error("InvalidNextToken", "The token '%s' is invalid.", *in.NextToken)
		}
		start = int(given.Index)
	}
	result := describeSnapshotsAnswer{RequestID: "fakeaws"}
	for _, one := range chosen {
		if one.number < start {
			continue
		}
		if in.MaxResults != nil && len(result.Snapshots) == int(*in.MaxResults) {
			result.NextToken = token{Use: "describe", Index: int32(one.number)}.String()
			break
		}
		result.Snapshots = append(result.Snapshots, s.describe(one))
	}
	return result, nil
}

// chosen returns the snapshots that the request is for, in the order of their starts.
func (s *Server) chosen(region string, in *ec2.DescribeSnapshotsInput) ([]*snapshot, error) {
	if in.MaxResults != nil && (*in.MaxResults < minSnapshotsPerPage || *in.MaxResults > maxSnapshotsPerPage) {
		return nil, ec2Error("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.", *in.MaxResults, minSnapshotsPerPage, maxSnapshotsPerPage)
	}
	if in.MaxResults != nil && len(in.SnapshotIds) > 0 {
		return nil, ec2Error("InvalidParameterCombination", "The parameter SnapshotIds cannot be used with the parameter MaxResults")
	}
	if len(in.RestorableByUserIds) > 0 {
		return nil, unmodelled("DescribeSnapshots: RestorableByUserIds")
	}
	if err := checkFilters(in.Filters); err != nil {
		return nil, err
	}
	for _, id := range in.SnapshotIds {
		if known, ok := s.snapshots[id]; ok && known.region == region && !s.accessible(known) {
			continue
		}
		if err := s.exists(region, id); err != nil {
			return nil, err
		}
	}
	var chosen []*snapshot
	for _, one := range s.inOrder() {
		if one.region != region || !s.accessible(one) {
			continue
		}
		owned := len(in.OwnerIds) == 0 || slices.Contains(in.OwnerIds, one.owner) || one.owner == s.options.AccountID && slices.Contains(in.OwnerIds, "self")
		asked := len(in.SnapshotIds) == 0 && one.hidden == 0 || slices.Contains(in.SnapshotIds, one.id)
		passes, err := s.passes(one, in.Filters)
		if err != nil {
			return nil, err
		}
		if owned && asked && passes {
			chosen = append(chosen, one)
		}
	}
	return chosen, nil
}

func (s *Server) exists(region, id string) error {
	if !snapshotID.MatchString(id) {
		return ec2Error("InvalidSnapshotID.Malformed", "Invalid id: \"%s\" (expecting \"snap-...\")", id)
	}
	if _, ok := s.visible(region, id); !ok {
		return ec2Error("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
	}
	return nil
}

// ours returns a snapshot that the call may change.
func (s *Server) ours(region, id string) (*snapshot, error) {
	if err := s.exists(region, id); err != nil {
		return nil, err
	}
	if s.snapshots[id].owner != s.options.AccountID {
		return nil, denied.of(ec2Query, "The snapshot '%s' is of another account.", id)
	}
	return s.snapshots[id], nil
}

// passes tells whether a snapshot passes all filters: one of a filter's values must match.
func (s *Server) passes(one *snapshot, filters []types.Filter) (bool, error) {
	state, _ := s.stateOf(one)
	for _, filter := range filters {
		var values []string
		name := aws.ToString(filter.Name)
		switch key, isTag := strings.CutPrefix(name, "tag:"); {
		case isTag:
			if value, ok := one.tags[key]; ok && one.owner == s.options.AccountID {
				values = []string{value}
			}
		case name == "tag-key":
			if one.owner == s.options.AccountID {
				values = slices.Collect(maps.Keys(one.tags))
			}
		case name == "status":
			values = []string{state}
		case name == "snapshot-id":
			values = []string{one.id}
		case name == "owner-id":
			values = []string{one.owner}
		case name == "encrypted":
			values = []string{strconv.FormatBool(one.encrypted)}
		case name == "volume-size":
			values = []string{strconv.FormatInt(one.size, 10)}
		case name == "description":
			values = []string{one.description}
		default:
			return false, unmodelled("DescribeSnapshots: filter %s", name)
		}
		if !matches(filter, values...) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Server) describe(one *snapshot) snapshotAnswer {
	state, message := s.stateOf(one)
	progress := map[bool]string{true: "100%", false: "0%"}[state == stateCompleted]
	described := snapshotAnswer{
		ID: one.id,
		// What AWS gives for a snapshot that was made of no volume.
		VolumeID:     "vol-ffffffff",
		State:        state,
		StateMessage: message,
		StartTime:    one.startedAt.UTC().Format(time.RFC3339Nano),
		Progress:     progress,
		OwnerID:      one.owner,
		VolumeSize:   one.size,
		Description:  one.description,
		Encrypted:    one.encrypted,
		KMSKeyID:     one.kmsKeyID,
		StorageTier:  map[bool]string{true: "archive", false: "standard"}[one.archived],
	}
	if one.owner == s.options.AccountID {
		described.Tags = tagAnswers(one.tags)
	}
	return described
}

func (s *Server) deleteSnapshot(region string, in *ec2.DeleteSnapshotInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, err := s.ours(region, aws.ToString(in.SnapshotId))
	if err != nil {
		return nil, err
	}
	if zones := s.restoringZones(gone); len(zones) > 0 {
		return nil, ec2Error("InvalidSnapshot.InUse", "The snapshot %s is currently enabled for fast restores in %s. Fast snapshot restores must be disabled within all Availability Zones before the snapshot may be deleted.",
			gone.id, strings.Join(zones, ", "))
	}
	if err := s.forget(gone); err != nil {
		return nil, err
	}
	return done("DeleteSnapshot"), nil
}

func dryRun() *apiError {
	return &apiError{status: http.StatusPreconditionFailed, code: "DryRunOperation", message: "Request would have succeeded, but DryRun flag is set."}
}
