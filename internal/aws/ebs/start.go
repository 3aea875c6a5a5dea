package ebs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ebs/types"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// maxVolumeSize is in GiB: https://docs.aws.amazon.com/ebs/latest/APIReference/API_StartSnapshot.html
const maxVolumeSize = 65536

// StartInput says what snapshot to start. The same input starts the same snapshot, once: AWS knows it by a
// client token that is made of all of it.
type StartInput struct {
	// VolumeSize is the size of the volume in GiB, 1 to 65,536.
	VolumeSize int64
	// ParentSnapshotID names the snapshot of our account that this one is a child of: what is not written
	// reads as the parent's, and its encryption is the parent's too. Empty, what is not written is zeros.
	ParentSnapshotID string
	// KMSKeyARN is the ARN of the KMS key to encrypt with: this API takes no key id and no alias. Empty, the
	// account's setting decides. A parent must be encrypted with the same key.
	KMSKeyARN string `json:",omitempty"`
	// Tags are put on the snapshot in the call that makes it. AWS allows 50.
	Tags map[string]string
	// Description is free text.
	Description string
	// Attempt must be raised to start anew with otherwise equal input, since AWS remembers a token long after
	// its snapshot failed or was deleted.
	Attempt int
}

// clientToken returns 64 hexadecimal characters, the most that AWS allows.
// https://docs.aws.amazon.com/ebs/latest/userguide/ebs-direct-api-idempotency.html
func (i StartInput) clientToken() (string, error) {
	// encoding/json writes struct fields in order and map keys sorted.
	canonical, err := json.Marshal(i)
	if err != nil {
		return "", fmt.Errorf("encoding the parameters of a snapshot: %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// Start starts a snapshot, or finds the one that an earlier, interrupted Start of the same input made. The
// blocks are sent under ctx: when it ends, so does the upload. End every upload with Complete or Abort.
//
// A parent that is absent, not completed, larger, of another account, encrypted with another key than KMSKeyARN, or
// refused by AWS is an ErrParentUnusable. A key that cannot be used is an error for which IsKeyUnusable of
// internal/aws holds.
// After an error with IsOutcomeUnknown of internal/aws there may be a snapshot: Find it by its tags.
func (c *Client) Start(ctx context.Context, input StartInput) (*Upload, error) {
	if input.VolumeSize < 1 || input.VolumeSize > maxVolumeSize {
		return nil, fmt.Errorf("starting a snapshot of %d GiB: EBS volumes have 1 to %d GiB", input.VolumeSize, maxVolumeSize)
	}
	if input.ParentSnapshotID != "" {
		if err := c.checkParent(ctx, input); err != nil {
			return nil, fmt.Errorf("starting a child of snapshot %s: %w", input.ParentSnapshotID, err)
		}
	}
	token, err := input.clientToken()
	if err != nil {
		return nil, err
	}
	request := &ebs.StartSnapshotInput{
		VolumeSize:       aws.Int64(input.VolumeSize),
		ParentSnapshotId: optional(input.ParentSnapshotID),
		ClientToken:      aws.String(token),
		Description:      optional(input.Description),
	}
	if input.KMSKeyARN != "" && input.ParentSnapshotID == "" {
		request.Encrypted = aws.Bool(true)
		request.KmsKeyArn = aws.String(input.KMSKeyARN)
	}
	for _, key := range slices.Sorted(maps.Keys(input.Tags)) {
		request.Tags = append(request.Tags, types.Tag{Key: aws.String(key), Value: aws.String(input.Tags[key])})
	}
	retryer := c.patient(time.Time{})
	answer, err := c.ebs.StartSnapshot(ctx, request, func(o *ebs.Options) { o.Retryer = retryer })
	if larderaws.IsTokenConflict(err) {
		return nil, fmt.Errorf("starting a snapshot, attempt %d: its client token was used with other parameters; raise the attempt: %w", input.Attempt, err)
	}
	if input.ParentSnapshotID != "" && refusesParent(err) {
		return nil, fmt.Errorf("starting a child of snapshot %s: %w: %w", input.ParentSnapshotID, ErrParentUnusable, err)
	}
	if larderaws.IsKeyUnusable(err) {
		return nil, fmt.Errorf("starting a snapshot with KMS key %s: check that the key is of this Region and enabled: %w", input.KMSKeyARN, err)
	}
	if err != nil {
		return nil, fmt.Errorf("starting a snapshot of %d GiB: %w", input.VolumeSize, err)
	}
	if answer.Status != types.StatusPending {
		return nil, fmt.Errorf("starting a snapshot, attempt %d: that attempt already made %s, which is %s; use it, or raise the attempt",
			input.Attempt, aws.ToString(answer.SnapshotId), answer.Status)
	}
	return c.newUpload(ctx, aws.ToString(answer.SnapshotId), input.VolumeSize), nil
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return aws.String(text)
}
