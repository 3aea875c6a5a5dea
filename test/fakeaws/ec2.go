package fakeaws

import (
	"encoding/xml"
	"maps"
	"net/http"
	"regexp"
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

type deleteSnapshotAnswer struct {
	XMLName   xml.Name `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DeleteSnapshotResponse"`
	RequestID string   `xml:"requestId"`
	Return    bool     `xml:"return"`
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
	for _, id := range in.SnapshotIds {
		if err := s.exists(region, id); err != nil {
			return nil, err
		}
	}
	var chosen []*snapshot
	for _, one := range s.inOrder() {
		if one.region != region {
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

// passes tells whether a snapshot passes all filters: one of a filter's values must match.
func (s *Server) passes(one *snapshot, filters []types.Filter) (bool, error) {
	state, _ := s.stateOf(one)
	for _, filter := range filters {
		var values []string
		name := aws.ToString(filter.Name)
		switch key, isTag := strings.CutPrefix(name, "tag:"); {
		case isTag:
			if value, ok := one.tags[key]; ok {
				values = []string{value}
			}
		case name == "tag-key":
			values = slices.Collect(maps.Keys(one.tags))
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
		if !slices.ContainsFunc(filter.Values, func(pattern string) bool {
			return slices.ContainsFunc(values, wildcard(pattern).MatchString)
		}) {
			return false, nil
		}
	}
	return true, nil
}

// wildcard reads a filter's value: * is any text, ? any character, a backslash takes the next one literally.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
func wildcard(pattern string) *regexp.Regexp {
	var expression strings.Builder
	expression.WriteString(`(?s)^`)
	escaped := false
	for _, character := range pattern {
		switch {
		case escaped:
			expression.WriteString(regexp.QuoteMeta(string(character)))
			escaped = false
		case character == '\\':
			escaped = true
		case character == '*':
			expression.WriteString(`.*`)
		case character == '?':
			expression.WriteString(`.`)
		default:
			expression.WriteString(regexp.QuoteMeta(string(character)))
		}
	}
	expression.WriteString(`$`)
	return regexp.MustCompile(expression.String())
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
		StorageTier:  "standard",
	}
	for _, key := range slices.Sorted(maps.Keys(one.tags)) {
		described.Tags = append(described.Tags, tagAnswer{Key: key, Value: one.tags[key]})
	}
	return described
}

func (s *Server) deleteSnapshot(region string, in *ec2.DeleteSnapshotInput) (any, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := aws.ToString(in.SnapshotId)
	if err := s.exists(region, id); err != nil {
		return nil, err
	}
	if s.snapshots[id].owner != s.options.AccountID {
		return nil, denied.of(ec2Query, "The snapshot '%s' is of another account.", id)
	}
	if err := s.forget(s.snapshots[id]); err != nil {
		return nil, err
	}
	return deleteSnapshotAnswer{RequestID: "fakeaws", Return: true}, nil
}

func dryRun() *apiError {
	return &apiError{status: http.StatusPreconditionFailed, code: "DryRunOperation", message: "Request would have succeeded, but DryRun flag is set."}
}
