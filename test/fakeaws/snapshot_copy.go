package fakeaws

import (
	"encoding/xml"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxCopies is how many copies a Region takes at once:
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html
const maxCopies = 20

type copySnapshotAnswer struct {
	XMLName   xml.Name    `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ CopySnapshotResponse"`
	RequestID string      `xml:"requestId"`
	ID        string      `xml:"snapshotId"`
	Tags      []tagAnswer `xml:"tagSet>item"`
}

// copySnapshot makes a snapshot in the Region that is called. What is wrong with the source or with the key turns
// out while it copies: then the copy, which has an id and is described by then, ends in state error.
func (s *Server) copySnapshot(region string, in *ec2.CopySnapshotInput) (any, error) {
	if err := s.checkCopy(in); err != nil {
		return nil, err
	}
	tags, err := specifiedTags(in.TagSpecifications, types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copiesUnderWay(region) >= maxCopies {
		return nil, ec2Error("ResourceLimitExceeded", "Too many snapshot copies in progress. The limit is %d for this destination region.", maxCopies)
	}
	source, found := s.visible(aws.ToString(in.SourceRegion), aws.ToString(in.SourceSnapshotId))
	if found {
		if state, _ := s.stateOf(source); state != stateCompleted {
			return nil, ec2Error("IncorrectState", "Snapshot '%s' is not 'completed'.", source.id)
		}
		if source.archived {
			return nil, ec2Error("IncorrectState", "Snapshot '%s' is archived.", source.id)
		}
	}
	copied := s.newSnapshot(region)
	copied.description = aws.ToString(in.Description)
	copied.tags = tags
	copied.copiedFrom = aws.ToString(in.SourceSnapshotId)
	copied.sealedAt = copied.startedAt
	copied.storedIn = s.options.CopyFor
	copied.encrypted = aws.ToBool(in.Encrypted) || s.options.EncryptByDefault
	if found {
		copied.size = source.size
		copied.encrypted = copied.encrypted || source.encrypted
		copied.inherited = source.contents()
		for _, sum := range copied.inherited {
			s.blocks.share(sum)
		}
	}
	copied.endsIn = s.whyCopyFails(source, region, in)
	if copied.encrypted {
		copied.kmsKeyID = s.copyKey(region, in).ARN
	}
	s.snapshots[copied.id] = copied
	return copySnapshotAnswer{RequestID: "fakeaws", ID: copied.id, Tags: tagAnswers(tags)}, nil
}

// checkCopy refuses what the call itself refuses.
func (s *Server) checkCopy(in *ec2.CopySnapshotInput) error {
	source := aws.ToString(in.SourceRegion)
	switch {
	case in.CompletionDurationMinutes != nil || in.DestinationAvailabilityZone != nil || in.DestinationOutpostArn != nil:
		return unmodelled("CopySnapshot: time-based, or to a Local Zone or an Outpost")
	case aws.ToBool(in.DryRun):
		return dryRun()
	case source == "" || in.SourceSnapshotId == nil:
		return ec2Error("MissingParameter", "The request must contain the parameters SourceRegion and SourceSnapshotId")
	case !s.enabled(source):
		return ec2Error("InvalidParameterValue", "Value (%s) for parameter sourceRegion is invalid.", source)
	case !snapshotID.MatchString(*in.SourceSnapshotId):
		return ec2Error("InvalidParameterValue", "Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", *in.SourceSnapshotId)
	case len(aws.ToString(in.Description)) > maxDescription:
		return ec2Error("InvalidParameterValue", "The description has more than %d characters.", maxDescription)
	case in.Encrypted != nil && !*in.Encrypted:
		return ec2Error("InvalidParameterValue", "Value (false) for parameter encrypted is invalid.")
	case in.KmsKeyId != nil && in.Encrypted == nil:
		return ec2Error("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	return nil
}

func (s *Server) copiesUnderWay(region string) int {
	count := 0
	for _, one := range s.snapshots {
		if state, _ := s.stateOf(one); one.region == region && one.copiedFrom != "" && state == statePending {
			count++
		}
	}
	return count
}

// whyCopyFails returns the message of the state that the copy ends in, empty for a copy that completes.
func (s *Server) whyCopyFails(source *snapshot, region string, in *ec2.CopySnapshotInput) string {
	key := s.copyKey(region, in)
	switch {
	case source == nil:
		return "The source snapshot '" + *in.SourceSnapshotId + "' does not exist in " + *in.SourceRegion + "."
	case source.encrypted && !presigned(region, in):
		return "The source snapshot is encrypted, and PresignedUrl does not ask its Region for this copy."
	case in.KmsKeyId != nil && key.State != KeyEnabled:
		return "Given key ID is not accessible"
	default:
		return ""
	}
}

// copyKey returns the key that a copy is encrypted with. One that does not exist has the name that was given as
// its ARN, and no state.
func (s *Server) copyKey(region string, in *ec2.CopySnapshotInput) Key {
	if in.KmsKeyId == nil {
		return s.defaultKey(region)
	}
	if key, ok := s.key(region, *in.KmsKeyId); ok {
		return key
	}
	return Key{ARN: *in.KmsKeyId}
}

// presigned tells whether the request carries a call that its sender makes of the source Region for this copy.
func presigned(region string, in *ec2.CopySnapshotInput) bool {
	given, err := url.Parse(aws.ToString(in.PresignedUrl))
	if err != nil {
		return false
	}
	query := given.Query()
	scope := strings.Split(query.Get("X-Amz-Credential"), "/")
	return query.Get("Action") == "CopySnapshot" &&
		query.Get("SourceRegion") == *in.SourceRegion &&
		query.Get("SourceSnapshotId") == *in.SourceSnapshotId &&
		query.Get("DestinationRegion") == region &&
		len(scope) == 5 && scope[0] == AccessKeyID && scope[2] == *in.SourceRegion
}
