package fakeaws_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
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
