package ebs

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// sharesPerCall is how many accounts one call takes:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifySnapshotAttribute.html
const sharesPerCall = 500

// SharedWith returns the twelve-digit ids of the accounts that may use a snapshot of ours, in order.
func (c *Client) SharedWith(ctx context.Context, id string) ([]string, error) {
	answer, err := c.ec2.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{
		SnapshotId: aws.String(id),
		Attribute:  types.SnapshotAttributeNameCreateVolumePermission,
	})
	if err != nil {
		return nil, fmt.Errorf("asking whom snapshot %s is shared with: %w", id, err)
	}
	var accounts []string
	for _, permission := range answer.CreateVolumePermissions {
		// A permission of the group "all" has no account.
		if permission.UserId != nil {
			accounts = append(accounts, *permission.UserId)
		}
	}
	slices.Sort(accounts)
	return accounts, nil
}

// Share lets accounts use a snapshot of ours, and others no longer. To add one that may already, or to remove one
// that may not, is no error. Accounts are removed first: those that are to lose access lose it even if AWS refuses
// to add, as it does for a snapshot that is encrypted with the default key.
func (c *Client) Share(ctx context.Context, id string, add, remove []string) error {
	if err := c.modifyShares(ctx, id, types.OperationTypeRemove, remove); err != nil {
		return fmt.Errorf("ending the sharing of snapshot %s: %w", id, err)
	}
	if err := c.modifyShares(ctx, id, types.OperationTypeAdd, add); err != nil {
		return fmt.Errorf("sharing snapshot %s: %w", id, err)
	}
	return nil
}

func (c *Client) modifyShares(ctx context.Context, id string, operation types.OperationType, accounts []string) error {
	for some := range slices.Chunk(accounts, sharesPerCall) {
		_, err := c.ec2.ModifySnapshotAttribute(ctx, &ec2.ModifySnapshotAttributeInput{
			SnapshotId:    aws.String(id),
			Attribute:     types.SnapshotAttributeNameCreateVolumePermission,
			OperationType: operation,
			UserIds:       some,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
