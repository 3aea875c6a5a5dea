package fakeaws_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
)

var snapshotRows = []row{
	{
		name: "snapshots are found by their tags",
		check: func(t *testing.T, cfg aws.Config) {
			one := seed(t, cfg, map[string]string{"team": "a", "n": "1"})
			two := seed(t, cfg, map[string]string{"team": "a", "n": "2"})
			seed(t, cfg, map[string]string{"team": "b", "n": "1"})
			wantFound(t, cfg, []string{one, two}, tagged("team", "a"))
			wantFound(t, cfg, []string{two}, tagged("team", "a"), tagged("n", "2"))
			wantFound(t, cfg, nil, tagged("team", "c"))
		},
	},
	{
		name: "a snapshot belongs to its Region",
		check: func(t *testing.T, cfg aws.Config) {
			id := seed(t, cfg, map[string]string{"team": "a"})
			cfg.Region = "eu-west-1"
			wantFound(t, cfg, nil, tagged("team", "a"))
			_, err := ec2.NewFromConfig(cfg).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
			wantError(t, err, "InvalidSnapshot.NotFound", "")
			_, err = ec2.NewFromConfig(cfg).DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
			wantError(t, err, "InvalidSnapshot.NotFound", "")
		},
	},
	{
		name:        "a snapshot is in the standard tier and ours",
		motoDiffers: "it does not tell the tier",
		check: func(t *testing.T, cfg aws.Config) {
			caller, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if one := describe(t, cfg, seed(t, cfg, nil)); one.StorageTier != types.StorageTierStandard || aws.ToString(one.OwnerId) != aws.ToString(caller.Account) {
				t.Errorf("snapshot %+v of the account %s", one, aws.ToString(caller.Account))
			}
		},
	},
	{
		name: "a tag is overwritten, and deleted by its key or by its key and value",
		check: func(t *testing.T, cfg aws.Config) {
			client := ec2.NewFromConfig(cfg)
			id := seed(t, cfg, map[string]string{"a": "1", "b": "1", "c": "1"})
			_, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList("a", "2", "d", "1")})
			if err != nil {
				t.Fatal(err)
			}
			wantTags(t, cfg, id, map[string]string{"a": "2", "b": "1", "c": "1", "d": "1"})
			_, err = client.DeleteTags(t.Context(), &ec2.DeleteTagsInput{Resources: []string{id}, Tags: append(tagList("a", "2", "c", "other"), types.Tag{Key: aws.String("b")})})
			if err != nil {
				t.Fatal(err)
			}
			wantTags(t, cfg, id, map[string]string{"c": "1", "d": "1"})
		},
	},
	{
		name:        "tags of AWS's own are refused",
		motoDiffers: "it takes them",
		check: func(t *testing.T, cfg aws.Config) {
			client := ec2.NewFromConfig(cfg)
			id := seed(t, cfg, nil)
			_, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList("aws:x", "1")})
			wantError(t, err, "InvalidParameterValue", "")
			wantTags(t, cfg, id, map[string]string{})
		},
	},
	{
		name: "tags of no resource are refused",
		check: func(t *testing.T, cfg aws.Config) {
			_, err := ec2.NewFromConfig(cfg).CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{"snap-0123456789abcdef0"}, Tags: tagList("x", "1")})
			wantError(t, err, "InvalidSnapshot.NotFound", "")
		},
	},
	{
		name: "a snapshot has up to 50 tags",
		check: func(t *testing.T, cfg aws.Config) {
			client := ec2.NewFromConfig(cfg)
			full := map[string]string{}
			for number := range 50 {
				full[fmt.Sprint(number)] = ""
			}
			id := seed(t, cfg, full)
			_, err := client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList("50", "")})
			wantError(t, err, "TagLimitExceeded", "")
			if _, err = client.CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList("49", "overwritten")}); err != nil {
				t.Error(err)
			}
			full["49"] = "overwritten"
			wantTags(t, cfg, id, full)
		},
	},
	{
		name: "every call makes a copy, in the Region that is called, with the tags of the call",
		check: func(t *testing.T, cfg aws.Config) {
			source := seed(t, cfg, map[string]string{"of": "the source"})
			from := cfg.Region
			cfg.Region = "eu-west-1"
			copySource := func() string {
				out, err := ec2.NewFromConfig(cfg).CopySnapshot(t.Context(), &ec2.CopySnapshotInput{
					SourceRegion: &from, SourceSnapshotId: &source, Description: aws.String("a copy"),
					TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: tagList("of", "the copy")}},
				})
				if err != nil {
					t.Fatal(err)
				}
				return *out.SnapshotId
			}
			copies := []string{copySource(), copySource()}
			wantFound(t, cfg, copies, tagged("of", "the copy"))
			for _, id := range copies {
				one := describe(t, cfg, id)
				if one.State != types.SnapshotStateCompleted || aws.ToInt32(one.VolumeSize) != 1 || aws.ToString(one.Description) != "a copy" {
					t.Errorf("the copy is %+v", one)
				}
				wantTags(t, cfg, id, map[string]string{"of": "the copy"})
			}
			cfg.Region = from
			wantFound(t, cfg, []string{source}, tagged("of", "*"))
		},
	},
	{
		name: "a snapshot is shared with accounts and no longer shared",
		check: func(t *testing.T, cfg aws.Config) {
			id := seed(t, cfg, nil)
			wantShared(t, cfg, id)
			modify(t, cfg, id, ec2.ModifySnapshotAttributeInput{OperationType: types.OperationTypeAdd, UserIds: []string{"444455556666", "777788889999"}})
			wantShared(t, cfg, id, "444455556666", "777788889999")
			modify(t, cfg, id, ec2.ModifySnapshotAttributeInput{OperationType: types.OperationTypeRemove, UserIds: []string{"444455556666"}})
			wantShared(t, cfg, id, "777788889999")
		},
	},
	{
		name:        "a snapshot's permissions are modified by the other form of the call",
		motoDiffers: "it mixes up what is added and removed",
		check: func(t *testing.T, cfg aws.Config) {
			id := seed(t, cfg, nil)
			permissions := func(accounts ...string) (all []types.CreateVolumePermission) {
				for _, account := range accounts {
					all = append(all, types.CreateVolumePermission{UserId: aws.String(account)})
				}
				return all
			}
			modify(t, cfg, id, ec2.ModifySnapshotAttributeInput{CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: permissions("444455556666", "777788889999")}})
			modify(t, cfg, id, ec2.ModifySnapshotAttributeInput{CreateVolumePermission: &types.CreateVolumePermissionModifications{Remove: permissions("777788889999")}})
			wantShared(t, cfg, id, "444455556666")
		},
	},
	{
		name:        "Regions are told with whether the account enabled them",
		motoDiffers: "all are enabled",
		check: func(t *testing.T, cfg aws.Config) {
			wantRegions(t, cfg, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(true)}, map[string]string{"us-east-1": "opt-in-not-required", "af-south-1": "not-opted-in"})
			wantRegions(t, cfg, &ec2.DescribeRegionsInput{}, map[string]string{"us-east-1": "opt-in-not-required", "af-south-1": ""})
		},
	},
	{
		name: "a Region is asked for by name",
		check: func(t *testing.T, cfg aws.Config) {
			wantRegions(t, cfg, &ec2.DescribeRegionsInput{RegionNames: []string{"eu-west-1"}}, map[string]string{"eu-west-1": "opt-in-not-required", "us-east-1": ""})
		},
	},
	{
		name:        "a disabled Region is asked for by name",
		motoDiffers: "all are enabled",
		check: func(t *testing.T, cfg aws.Config) {
			wantRegions(t, cfg, &ec2.DescribeRegionsInput{RegionNames: []string{"af-south-1"}}, map[string]string{"af-south-1": "not-opted-in"})
		},
	},
	{
		name:        "an unknown Region is refused",
		motoDiffers: "it answers with no Region",
		check: func(t *testing.T, cfg aws.Config) {
			_, err := ec2.NewFromConfig(cfg).DescribeRegions(t.Context(), &ec2.DescribeRegionsInput{RegionNames: []string{"us-west-9"}})
			wantError(t, err, "InvalidParameterValue", "")
		},
	},
}

// tagList takes keys and values in turn.
func tagList(pairs ...string) (tags []types.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, types.Tag{Key: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return tags
}

func describe(t *testing.T, cfg aws.Config, id string) types.Snapshot {
	t.Helper()
	out, err := ec2.NewFromConfig(cfg).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	return out.Snapshots[0]
}

func wantTags(t *testing.T, cfg aws.Config, id string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, tag := range describe(t, cfg, id).Tags {
		got[*tag.Key] = *tag.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func modify(t *testing.T, cfg aws.Config, id string, in ec2.ModifySnapshotAttributeInput) {
	t.Helper()
	in.SnapshotId, in.Attribute = &id, types.SnapshotAttributeNameCreateVolumePermission
	if _, err := ec2.NewFromConfig(cfg).ModifySnapshotAttribute(t.Context(), &in); err != nil {
		t.Fatal(err)
	}
}

func wantShared(t *testing.T, cfg aws.Config, id string, want ...string) {
	t.Helper()
	out, err := ec2.NewFromConfig(cfg).DescribeSnapshotAttribute(t.Context(), &ec2.DescribeSnapshotAttributeInput{SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, permission := range out.CreateVolumePermissions {
		got = append(got, *permission.UserId)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
}

// wantRegions compares the statuses of these Regions, empty for one that must be absent.
func wantRegions(t *testing.T, cfg aws.Config, in *ec2.DescribeRegionsInput, want map[string]string) {
	t.Helper()
	out, err := ec2.NewFromConfig(cfg).DescribeRegions(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name := range want {
		got[name] = ""
	}
	for _, region := range out.Regions {
		if _, ok := want[*region.RegionName]; ok {
			got[*region.RegionName] = *region.OptInStatus
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Regions (-want +got):\n%s", diff)
	}
}

// seed makes a completed snapshot of 1 GiB without blocks.
func seed(t *testing.T, cfg aws.Config, tags map[string]string) string {
	t.Helper()
	client := ebs.NewFromConfig(cfg)
	in := &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		in.Tags = append(in.Tags, ebstypes.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	started, err := client.StartSnapshot(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CompleteSnapshot(t.Context(), &ebs.CompleteSnapshotInput{SnapshotId: started.SnapshotId, ChangedBlocksCount: aws.Int32(0)})
	if err != nil {
		t.Fatal(err)
	}
	return *started.SnapshotId
}

func tagged(key, value string) types.Filter {
	return types.Filter{Name: aws.String("tag:" + key), Values: []string{value}}
}

// wantFound compares the ids of what passes the filters, in any order.
func wantFound(t *testing.T, cfg aws.Config, want []string, filters ...types.Filter) {
	t.Helper()
	out, err := ec2.NewFromConfig(cfg).DescribeSnapshots(t.Context(), &ec2.DescribeSnapshotsInput{Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, snapshot := range out.Snapshots {
		got = append(got, *snapshot.SnapshotId)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}
