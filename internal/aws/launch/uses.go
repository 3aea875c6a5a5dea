package launch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Use is a version of a launch template that instances may be launched with.
type Use struct {
	// Name is for people: "launch template lt-0123 (workers) version 3, default, named by Auto Scaling group workers".
	Name string
	// SnapshotIDs are the snapshots that its block devices are made of, sorted and at least one.
	SnapshotIDs []string
}

// SnapshotUses returns all versions of launch templates that are made of snapshots and in use: the latest and the
// default one of every template, and each that an Auto Scaling group names, in its launch template, its mixed
// instances policy, an override of that, or as what one of its instances was launched with. They are sorted by
// template and version.
//
// What a template or a version was, that is deleted while this reads, is not in the answer; after any other error
// there is no answer, and nobody may take a snapshot for unused.
func (c *Client) SnapshotUses(ctx context.Context) ([]Use, error) {
	// The groups come first: a version that becomes the latest one meanwhile is found after them.
	named, err := c.namedByGroups(ctx)
	if err != nil {
		return nil, err
	}
	found, err := c.latestAndDefault(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.read(ctx, named, found); err != nil {
		return nil, err
	}
	return found.uses(), nil
}

// inUse are versions of launch templates and why they are in use.
type inUse map[version]*reasons

// version names one of a launch template's versions.
type version struct {
	templateID string
	number     int64
}

type reasons struct {
	of  types.LaunchTemplateVersion
	why []string
}

func (u inUse) add(of types.LaunchTemplateVersion, why ...string) {
	key := version{aws.ToString(of.LaunchTemplateId), aws.ToInt64(of.VersionNumber)}
	if u[key] == nil {
		u[key] = &reasons{of: of}
	}
	u[key].why = append(u[key].why, why...)
}

func (u inUse) uses() []Use {
	var uses []Use
	for _, key := range slices.SortedFunc(maps.Keys(u), func(a, b version) int {
		return cmp.Or(cmp.Compare(a.templateID, b.templateID), cmp.Compare(a.number, b.number))
	}) {
		use := Use{SnapshotIDs: snapshotsOf(u[key].of)}
		if len(use.SnapshotIDs) == 0 {
			continue
		}
		use.Name = fmt.Sprintf("launch template %s (%s) version %d", key.templateID, aws.ToString(u[key].of.LaunchTemplateName), key.number)
		for _, why := range slices.Compact(slices.Sorted(slices.Values(u[key].why))) {
			use.Name += ", " + why
		}
		uses = append(uses, use)
	}
	return uses
}

func snapshotsOf(of types.LaunchTemplateVersion) []string {
	if of.LaunchTemplateData == nil {
		return nil
	}
	var ids []string
	for _, device := range of.LaunchTemplateData.BlockDeviceMappings {
		if device.Ebs != nil && strings.HasPrefix(aws.ToString(device.Ebs.SnapshotId), "snap-") {
			ids = append(ids, *device.Ebs.SnapshotId)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(ids)))
}
