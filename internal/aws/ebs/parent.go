package ebs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// ErrParentUnusable says that a snapshot cannot be started as a child of this parent. The same content can still
// be built without one, and if the cause is not the parent, starting that says so.
var ErrParentUnusable = errors.New("the parent snapshot cannot be used")

// checkParent refuses a parent that AWS would refuse, and one from which it might make a child that is cut off:
// what AWS does with a parent larger than the child is not documented.
//
// Whether its encryption suits the account is left to AWS, since asking needs a permission of its own.
func (c *Client) checkParent(ctx context.Context, input StartInput) error {
	retryer := c.patient(time.Time{})
	answer, err := c.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{
		SnapshotIds: []string{input.ParentSnapshotID},
		// Leaves out snapshots that another account shares with ours: they may be read, but have no children here.
		OwnerIds: []string{"self"},
	}, func(o *ec2.Options) { o.Retryer = retryer })
	if larderaws.IsNotFound(err) {
		return fmt.Errorf("%w: %w", ErrParentUnusable, err)
	}
	if err != nil {
		return fmt.Errorf("describing the parent snapshot %s: %w", input.ParentSnapshotID, err)
	}
	if len(answer.Snapshots) == 0 {
		return fmt.Errorf("%w: it is not of this account", ErrParentUnusable)
	}
	parent := snapshotOf(answer.Snapshots[0])
	if parent.State != StateCompleted {
		return fmt.Errorf("%w: it is %s, not %s", ErrParentUnusable, parent.State, StateCompleted)
	}
	if input.KMSKeyARN != "" && parent.KMSKeyID != input.KMSKeyARN {
		return fmt.Errorf("%w: it is not encrypted with %s, which its child is to be", ErrParentUnusable, input.KMSKeyARN)
	}
	if parent.VolumeSize > input.VolumeSize {
		return fmt.Errorf("%w: it has %d GiB, more than the %d GiB of its child", ErrParentUnusable, parent.VolumeSize, input.VolumeSize)
	}
	return nil
}

// refusesParent tells whether StartSnapshot may have failed for its parent. An unencrypted one in an account
// that encrypts by default is a ValidationException
// (https://docs.aws.amazon.com/ebs/latest/userguide/ebsapis-using-encryption.html); a KMS key that we may not use
// is a denial of a dependency; a denial that gives no reason is of our own permissions.
func refusesParent(err error) bool {
	var invalid *types.ValidationException
	var denied *types.AccessDeniedException
	switch {
	case errors.As(err, &invalid), larderaws.IsNotFound(err), larderaws.IsKeyUnusable(err):
		return true
	case errors.As(err, &denied):
		return denied.Reason != ""
	default:
		return false
	}
}
