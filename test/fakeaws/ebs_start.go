package fakeaws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
)

// Limits of https://docs.aws.amazon.com/ebs/latest/APIReference/API_StartSnapshot.html
const (
	maxVolumeSize  = 65536 // GiB
	maxTags        = 50
	maxTagKey      = 127
	maxTagValue    = 255
	maxDescription = 255
	maxToken       = 64
	minIdleTimeout = 10 // minutes
	maxIdleTimeout = 60 // minutes, and the default
)

var tokenPattern = regexp.MustCompile(`^[\x21-\x7e]+$`)

// startedBy is what a client token stands for.
type startedBy struct {
	parameters string
	first      map[string]any
}

func (s *Server) startSnapshot(region string, in *ebs.StartSnapshotInput, _ []byte) (answer, error) {
	if err := checkStart(in); err != nil {
		return answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := aws.ToString(in.ClientToken)
	in.ClientToken = nil
	parameters, err := json.Marshal(in)
	if err != nil {
		return answer{}, fmt.Errorf("encoding the parameters of StartSnapshot: %w", err)
	}
	if before, ok := s.tokens[token]; ok {
		if before.parameters != string(parameters) {
			return answer{}, &apiError{status: http.StatusConflict, code: "ConflictException", message: "The request uses the same client token as a previous, but non-identical request."}
		}
		return jsonAnswer(before.first)
	}
	started, err := s.startedSnapshot(region, in)
	if err != nil {
		return answer{}, err
	}
	s.snapshots[started.id] = started
	first := s.describeStart(started)
	if token != "" {
		s.tokens[token] = startedBy{parameters: string(parameters), first: first}
	}
	return jsonAnswer(first)
}

func checkStart(in *ebs.StartSnapshotInput) error {
	size := aws.ToInt64(in.VolumeSize)
	switch timeout := aws.ToInt32(in.Timeout); {
	case size < 1 || size > maxVolumeSize:
		return validation("INVALID_VOLUME_SIZE", "The volume size %d is not within 1 and %d GiB.", size, maxVolumeSize)
	case in.Timeout != nil && (timeout < minIdleTimeout || timeout > maxIdleTimeout):
		return validation("INVALID_PARAMETER_VALUE", "The timeout %d is not within %d and %d minutes.", timeout, minIdleTimeout, maxIdleTimeout)
	case in.ClientToken != nil && (len(*in.ClientToken) > maxToken || !tokenPattern.MatchString(*in.ClientToken)):
		return validation("INVALID_PARAMETER_VALUE", "The client token must have 1 to %d ASCII characters.", maxToken)
	case len(aws.ToString(in.Description)) > maxDescription:
		return validation("INVALID_PARAMETER_VALUE", "The description has more than %d characters.", maxDescription)
	case in.ParentSnapshotId != nil && (in.Encrypted != nil || in.KmsKeyArn != nil):
		return validation("INVALID_PARAMETER_VALUE", "ParentSnapshotId cannot be specified with Encrypted or KmsKeyArn.")
	case in.KmsKeyArn != nil && !aws.ToBool(in.Encrypted):
		return validation("INVALID_PARAMETER_VALUE", "KmsKeyArn needs Encrypted.")
	case in.ParentSnapshotId != nil && !snapshotID.MatchString(*in.ParentSnapshotId):
		return validation("INVALID_SNAPSHOT_ID", "The parent snapshot ID %q is malformed.", *in.ParentSnapshotId)
	}
	return checkTags(in.Tags)
}

func checkTags(tags []types.Tag) error {
	if len(tags) > maxTags {
		return validation("INVALID_TAG", "%d tags are more than %d.", len(tags), maxTags)
	}
	seen := map[string]bool{}
	for _, tag := range tags {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "" || len(key) > maxTagKey || len(value) > maxTagValue:
			return validation("INVALID_TAG", "The tag %q is empty or too long.", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return validation("INVALID_TAG", "The tag key %q begins with the reserved prefix aws:.", key)
		case seen[key]:
			return validation("INVALID_TAG", "The tag key %q is there twice.", key)
		}
		seen[key] = true
	}
	return nil
}

// startedSnapshot is called with the lock held.
func (s *Server) startedSnapshot(region string, in *ebs.StartSnapshotInput) (*snapshot, error) {
	if in.KmsKeyArn != nil {
		if err := s.checkKey(region, *in.KmsKeyArn); err != nil {
			return nil, err
		}
	}
	started := s.newSnapshot(region)
	started.description = aws.ToString(in.Description)
	started.kmsKeyID = aws.ToString(in.KmsKeyArn)
	started.encrypted = aws.ToBool(in.Encrypted) || s.options.EncryptByDefault
	started.size = aws.ToInt64(in.VolumeSize)
	if in.Timeout != nil {
		started.idleTimeout = time.Duration(*in.Timeout) * time.Minute
	}
	for _, tag := range in.Tags {
		started.tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if in.ParentSnapshotId != nil {
		if err := s.inherit(started, *in.ParentSnapshotId); err != nil {
			return nil, err
		}
	}
	if started.encrypted && started.kmsKeyID == "" {
		started.kmsKeyID = s.defaultKey(region).ARN
	}
	return started, nil
}

// checkKey refuses what a snapshot cannot be encrypted with. Unlike EC2, this API takes nothing but a key's ARN.
func (s *Server) checkKey(region, arn string) error {
	key, ok := s.key(region, arn)
	switch {
	case !ok:
		return &apiError{status: http.StatusNotFound, code: "ResourceNotFoundException", reason: "DEPENDENCY_RESOURCE_NOT_FOUND", message: "The KMS key '" + arn + "' does not exist."}
	case key.ARN != arn:
		return validation("INVALID_CUSTOMER_KEY", "%q is not the ARN of a KMS key.", arn)
	case key.State != KeyEnabled:
		return validation("INVALID_CUSTOMER_KEY", "The KMS key %s is %s.", arn, key.State)
	}
	return nil
}

func (s *Server) inherit(child *snapshot, parentID string) error {
	parent, ok := s.visible(child.region, parentID)
	if !ok {
		return notFound(parentID)
	}
	state, _ := s.stateOf(parent)
	switch {
	case parent.owner != child.owner:
		return otherAccount(parentID)
	case state != stateCompleted:
		return validation("INVALID_SNAPSHOT_ID", "The parent snapshot %s is %s, not completed.", parentID, state)
	case parent.archived:
		return validation("INVALID_SNAPSHOT_ID", "The parent snapshot %s is archived.", parentID)
	case parent.size > child.size:
		return validation("INVALID_VOLUME_SIZE", "The parent snapshot %s has %d GiB, more than %d.", parentID, parent.size, child.size)
	case s.options.EncryptByDefault && !parent.encrypted:
		return validation("INVALID_PARAMETER_VALUE", "The account is enabled for encryption by default, and the parent snapshot %s is not encrypted.", parentID)
	}
	child.parentID = parent.id
	child.lineage = parent.lineage
	child.encrypted = parent.encrypted
	child.kmsKeyID = parent.kmsKeyID
	child.inherited = parent.contents()
	for _, sum := range child.inherited {
		s.blocks.share(sum)
	}
	return nil
}

func (s *Server) describeStart(started *snapshot) map[string]any {
	tags := []map[string]string{}
	for key, value := range started.tags {
		tags = append(tags, map[string]string{"Key": key, "Value": value})
	}
	fields := map[string]any{
		"SnapshotId": started.id,
		"OwnerId":    s.options.AccountID,
		"Status":     statePending,
		"StartTime":  epochSeconds(started.startedAt),
		"VolumeSize": started.size,
		"BlockSize":  blockSize,
		"Tags":       tags,
	}
	for name, value := range map[string]string{
		"Description":      started.description,
		"ParentSnapshotId": started.parentID,
		"KmsKeyArn":        started.kmsKeyID,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	return fields
}

func notFound(id string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "ResourceNotFoundException", reason: "SNAPSHOT_NOT_FOUND", message: "The snapshot '" + id + "' does not exist."}
}

func otherAccount(id string) *apiError {
	refusal := denied.of(restJSON, "The snapshot '%s' is of another account.", id)
	refusal.reason = "UNAUTHORIZED_ACCOUNT"
	return refusal
}

func epochSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
