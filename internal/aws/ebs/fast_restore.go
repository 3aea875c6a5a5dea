package ebs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// States of a fast restore. It is paid for in all but FastRestoreDisabled.
// https://docs.aws.amazon.com/ebs/latest/userguide/view-fsr-enabled-snapshots.html
const (
	FastRestoreEnabling   = string(types.FastSnapshotRestoreStateCodeEnabling)
	FastRestoreOptimizing = string(types.FastSnapshotRestoreStateCodeOptimizing)
	FastRestoreEnabled    = string(types.FastSnapshotRestoreStateCodeEnabled)
	FastRestoreDisabling  = string(types.FastSnapshotRestoreStateCodeDisabling)
	FastRestoreDisabled   = string(types.FastSnapshotRestoreStateCodeDisabled)
)

const (
	// filterValues is how many values EC2 takes in one filter:
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
	filterValues = 200
	// restoresPerPage is the most that DescribeFastSnapshotRestores takes.
	restoresPerPage = 200
)

// FastRestore is the fast snapshot restore of one snapshot in one zone.
type FastRestore struct {
	SnapshotID       string
	AvailabilityZone string
	// State is a FastRestore constant.
	State string
	// Reason is why it came into that state, in AWS's words.
	Reason string
}

// FastRestores returns those of these snapshots, in the order of the snapshots' ids and the zones. One that was
// disabled may still be there, or not.
func (c *Client) FastRestores(ctx context.Context, ids []string) ([]FastRestore, error) {
	var found []FastRestore
	for some := range slices.Chunk(ids, filterValues) {
		pages := ec2.NewDescribeFastSnapshotRestoresPaginator(c.ec2, &ec2.DescribeFastSnapshotRestoresInput{
			Filters:    []types.Filter{{Name: aws.String("snapshot-id"), Values: some}},
			MaxResults: aws.Int32(restoresPerPage),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("describing the fast restores of %d snapshots: %w", len(ids), err)
			}
			for _, item := range page.FastSnapshotRestores {
				found = append(found, FastRestore{
					SnapshotID:       aws.ToString(item.SnapshotId),
					AvailabilityZone: aws.ToString(item.AvailabilityZone),
					State:            string(item.State),
					Reason:           aws.ToString(item.StateTransitionReason),
				})
			}
		}
	}
	slices.SortFunc(found, func(a, b FastRestore) int {
		return cmp.Or(strings.Compare(a.SnapshotID, b.SnapshotID), strings.Compare(a.AvailabilityZone, b.AvailabilityZone))
	})
	return found, nil
}

// EnableFastRestore begins to make a completed snapshot's fast restores ready in these zones; FastRestores says when
// they are. A zone that AWS refuses is an error with AWS's code, while the others are under way.
func (c *Client) EnableFastRestore(ctx context.Context, id string, zones []string) error {
	if len(zones) == 0 {
		return nil
	}
	answer, err := c.ec2.EnableFastSnapshotRestores(ctx, &ec2.EnableFastSnapshotRestoresInput{
		SourceSnapshotIds: []string{id},
		AvailabilityZones: zones,
	})
	if err != nil {
		return fmt.Errorf("enabling fast restores of snapshot %s: %w", id, err)
	}
	var refused []error
	for _, item := range answer.Unsuccessful {
		for _, zone := range item.FastSnapshotRestoreStateErrors {
			refusal := types.EnableFastSnapshotRestoreStateError{}
			if zone.Error != nil {
				refusal = *zone.Error
			}
			refused = append(refused, fmt.Errorf("enabling fast restores of snapshot %s in %s: %w",
				id, aws.ToString(zone.AvailabilityZone), itemError(refusal.Code, refusal.Message)))
		}
	}
	return errors.Join(refused...)
}

// DisableFastRestore begins to end a snapshot's fast restores in these zones. Where they are off already, or the
// snapshot is gone, that is no error.
func (c *Client) DisableFastRestore(ctx context.Context, id string, zones []string) error {
	if len(zones) == 0 {
		return nil
	}
	answer, err := c.ec2.DisableFastSnapshotRestores(ctx, &ec2.DisableFastSnapshotRestoresInput{
		SourceSnapshotIds: []string{id},
		AvailabilityZones: zones,
	})
	if err != nil {
		return fmt.Errorf("disabling fast restores of snapshot %s: %w", id, err)
	}
	refused := map[string]error{}
	for _, item := range answer.Unsuccessful {
		for _, zone := range item.FastSnapshotRestoreStateErrors {
			refusal := types.DisableFastSnapshotRestoreStateError{}
			if zone.Error != nil {
				refusal = *zone.Error
			}
			refused[aws.ToString(zone.AvailabilityZone)] = fmt.Errorf("disabling fast restores of snapshot %s in %s: %w",
				id, aws.ToString(zone.AvailabilityZone), itemError(refusal.Code, refusal.Message))
		}
	}
	return c.stillOn(ctx, id, refused)
}

// stillOn returns the refusals of the zones where fast restores are on. AWS does not document what code it has for
// those where they were off, so the state decides.
func (c *Client) stillOn(ctx context.Context, id string, refused map[string]error) error {
	if len(refused) == 0 {
		return nil
	}
	restores, err := c.FastRestores(ctx, []string{id})
	if err != nil {
		return err
	}
	var failures []error
	for _, one := range restores {
		if one.State != FastRestoreDisabling && one.State != FastRestoreDisabled && refused[one.AvailabilityZone] != nil {
			failures = append(failures, refused[one.AvailabilityZone])
		}
	}
	return errors.Join(failures...)
}

func itemError(code, message *string) error {
	return &smithy.GenericAPIError{Code: aws.ToString(code), Message: aws.ToString(message)}
}
