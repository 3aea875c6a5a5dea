package ebs

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// CopyInput says what to copy and how the copy is to be.
type CopyInput struct {
	// SourceRegion is where the source is, which must be completed.
	SourceRegion string
	// SourceID is the id of the snapshot to copy, "snap-" and hexadecimal digits.
	SourceID string
	// KMSKeyID names a KMS key of the Client's Region, by its id, ARN, alias or alias's ARN, to encrypt the copy
	// with. Empty, a copy is encrypted as its source, if it is or the account's setting wants it, with the default key.
	KMSKeyID string
	// Description is free text, up to 255 characters.
	Description string
	// Tags are put on the copy in the call that makes it; it gets none of its source's. They are how it is found.
	Tags map[string]string
}

// Copy starts a copy in the Client's own Region and returns its id. It is pending for minutes; a key that cannot be
// used or a source that is not there may turn out only then, when it ends in StateError.
//
// The call has no client token: made twice, it makes two copies. So it is not repeated after an attempt that may
// have had an effect. Find by the tags before calling it at all, and after an error with IsOutcomeUnknown of
// internal/aws not before AppearsWithin has passed: until then a copy may exist that is not listed.
func (c *Client) Copy(ctx context.Context, input CopyInput) (snapshotID string, err error) {
	request := &ec2.CopySnapshotInput{
		SourceRegion:     aws.String(input.SourceRegion),
		SourceSnapshotId: aws.String(input.SourceID),
		Description:      optional(input.Description),
		KmsKeyId:         optional(input.KMSKeyID),
	}
	if input.KMSKeyID != "" {
		request.Encrypted = aws.Bool(true)
	}
	if len(input.Tags) > 0 {
		request.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: ec2Tags(input.Tags)}}
	}
	answer, err := c.ec2.CopySnapshot(ctx, request, func(o *ec2.Options) { o.Retryer = cautiousRetryer{c.retryer} })
	if err != nil {
		return "", fmt.Errorf("copying snapshot %s from %s to %s: %w", input.SourceID, input.SourceRegion, c.ec2.Options().Region, err)
	}
	return aws.ToString(answer.SnapshotId), nil
}
