package ebs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	larderaws "github.com/larder-dev/larder/internal/aws"
)

// States of a snapshot, as DescribeSnapshots names them. There are more, for archived snapshots.
const (
	StatePending   = string(types.SnapshotStatePending)
	StateCompleted = string(types.SnapshotStateCompleted)
	StateError     = string(types.SnapshotStateError)
)

// Snapshot is what AWS says of a snapshot.
type Snapshot struct {
	ID string
	// State is a State constant; only a completed snapshot can be read or made a volume of.
	State string
	// StateMessage says why the state is error, when AWS does.
	StateMessage string
	// Progress is a percentage with its sign, like "99%".
	Progress    string
	Description string
	Tags        map[string]string
	// VolumeSize is the size of the volume in GiB.
	VolumeSize int64
	StartTime  time.Time
	Encrypted  bool
	KMSKeyID   string
	// OwnerID is the twelve-digit id of the account that owns it.
	OwnerID string
	// Archived tells that it is in the archive tier: no volume can be made of it until it is restored.
	Archived bool
}

// Find returns our account's snapshots that carry all of these tags, the oldest first. The list is eventually
// consistent: a snapshot of the last AppearsWithin may be absent.
func (c *Client) Find(ctx context.Context, tags map[string]string) ([]Snapshot, error) {
	input := &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(1000)}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		input.Filters = append(input.Filters, types.Filter{
			Name:   aws.String("tag:" + key),
			Values: []string{literal.Replace(tags[key])},
		})
	}
	var found []Snapshot
	for pages := ec2.NewDescribeSnapshotsPaginator(c.ec2, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("finding snapshots by their tags: %w", err)
		}
		for _, snapshot := range page.Snapshots {
			found = append(found, snapshotOf(snapshot))
		}
	}
	slices.SortFunc(found, func(a, b Snapshot) int {
		if order := a.StartTime.Compare(b.StartTime); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	return found, nil
}

// literal makes a filter value match itself only: EC2 filters know wildcards.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

// Describe returns one snapshot, or an error for which IsNotFound of internal/aws holds.
func (c *Client) Describe(ctx context.Context, id string) (Snapshot, error) {
	answer, err := c.ec2.DescribeSnapshots(ctx, &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err == nil && len(answer.Snapshots) == 0 {
		// The documented answer for a snapshot that exists but that we may not see.
		err = &smithy.GenericAPIError{Code: "InvalidSnapshot.NotFound", Message: "The snapshot is not visible to this account."}
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("describing snapshot %s: %w", id, err)
	}
	return snapshotOf(answer.Snapshots[0]), nil
}

// Delete deletes a snapshot; one that does not exist is no error. A snapshot that an AMI is made of, or that has fast
// restores, stays, with an error for which IsInUse of internal/aws holds.
func (c *Client) Delete(ctx context.Context, id string) error {
	_, err := c.ec2.DeleteSnapshot(ctx, &ec2.DeleteSnapshotInput{SnapshotId: aws.String(id)})
	return deleteError(id, err)
}

func deleteError(id string, err error) error {
	switch {
	case err == nil, larderaws.IsNotFound(err):
		return nil
	case larderaws.IsInUse(err):
		return fmt.Errorf("deleting snapshot %s, which is in use (deregister its AMIs and disable its fast restores first): %w", id, err)
	default:
		return fmt.Errorf("deleting snapshot %s: %w", id, err)
	}
}

func snapshotOf(s types.Snapshot) Snapshot {
	tags := make(map[string]string, len(s.Tags))
	for _, tag := range s.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return Snapshot{
		ID:           aws.ToString(s.SnapshotId),
		State:        string(s.State),
		StateMessage: aws.ToString(s.StateMessage),
		Progress:     aws.ToString(s.Progress),
		Description:  aws.ToString(s.Description),
		Tags:         tags,
		VolumeSize:   int64(aws.ToInt32(s.VolumeSize)),
		StartTime:    aws.ToTime(s.StartTime),
		Encrypted:    aws.ToBool(s.Encrypted),
		KMSKeyID:     aws.ToString(s.KmsKeyId),
		OwnerID:      aws.ToString(s.OwnerId),
		Archived:     s.StorageTier == types.StorageTierArchive,
	}
}
