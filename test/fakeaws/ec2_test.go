package fakeaws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	ebstypes "github.com/aws/aws-sdk-go-v2/service/ebs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestDescribeSnapshotsFilters(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	start := func(name string, size int64) string {
		return a.start(&ebs.StartSnapshotInput{VolumeSize: &size, Description: aws.String("of " + name),
			Tags: []ebstypes.Tag{{Key: aws.String("Name"), Value: &name}}})
	}
	one, two, star := start("one", 1), start("two", 2), start("*", 1)
	bare := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	a.complete(one, 0)
	filter := func(name string, values ...string) types.Filter { return types.Filter{Name: &name, Values: values} }
	cases := map[string]struct {
		in   ec2.DescribeSnapshotsInput
		want []string
	}{
		"all of ours":       {ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}}, []string{one, two, star, bare}},
		"the account's":     {ec2.DescribeSnapshotsInput{OwnerIds: []string{"111122223333"}}, []string{one, two, star, bare}},
		"another owner":     {ec2.DescribeSnapshotsInput{OwnerIds: []string{"amazon"}}, nil},
		"one of two values": {ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("tag:Name", "one", "two")}}, []string{one, two}},
		"a wildcard":        {ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("tag:Name", "?*e")}}, []string{one}},
		"a literal star":    {ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("tag:Name", `\*`)}}, []string{star}},
		"any value":         {ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("tag-key", "Name")}}, []string{one, two, star}},
		"two filters":       {ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("tag-key", "Name"), filter("status", "completed")}}, []string{one}},
		"size":              {ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("volume-size", "2")}}, []string{two}},
		"description":       {ec2.DescribeSnapshotsInput{Filters: []types.Filter{filter("description", "of t*")}}, []string{two}},
		"by id":             {ec2.DescribeSnapshotsInput{SnapshotIds: []string{two, bare}}, []string{two, bare}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := a.ec2.DescribeSnapshots(t.Context(), &c.in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, snapshot := range out.Snapshots {
				got = append(got, *snapshot.SnapshotId)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("snapshots (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDescribeSnapshotsPages(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	for range 12 {
		a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	}
	seen := map[string]bool{}
	for pages := ec2.NewDescribeSnapshotsPaginator(a.ec2, &ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(5)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, snapshot := range page.Snapshots {
			seen[*snapshot.SnapshotId] = true
		}
	}
	if len(seen) != 12 || a.Calls("DescribeSnapshots") != 3 {
		t.Errorf("%d snapshots in %d pages, want 12 in 3", len(seen), a.Calls("DescribeSnapshots"))
	}
}

func TestEC2Refuses(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	many := []types.Filter{{Name: aws.String("snapshot-id"), Values: make([]string, 201)}}
	cases := map[string]struct {
		in   ec2.DescribeSnapshotsInput
		want string
	}{
		"page too small": {ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(4)}, "InvalidParameterValue"},
		"page too large": {ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(1001)}, "InvalidParameterValue"},
		"page of ids":    {ec2.DescribeSnapshotsInput{MaxResults: aws.Int32(5), SnapshotIds: []string{id}}, "InvalidParameterCombination"},
		"unknown id":     {ec2.DescribeSnapshotsInput{SnapshotIds: []string{id, "snap-0"}}, "InvalidSnapshot.NotFound"},
		"no id":          {ec2.DescribeSnapshotsInput{SnapshotIds: []string{"ami-0"}}, "InvalidSnapshotID.Malformed"},
		"dry run":        {ec2.DescribeSnapshotsInput{DryRun: aws.Bool(true)}, "DryRunOperation"},
		"many values":    {ec2.DescribeSnapshotsInput{Filters: many}, "FilterLimitExceeded"},
		"page token":     {ec2.DescribeSnapshotsInput{NextToken: aws.String("made up")}, "InvalidNextToken"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := a.ec2.DescribeSnapshots(t.Context(), &c.in)
			wantError(t, err, c.want, "")
		})
	}
	for range 2 {
		_, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
		if len(a.Snapshots()) != 0 {
			t.Fatal("DeleteSnapshot deleted nothing")
		}
		if a.Calls("DeleteSnapshot") == 2 {
			wantError(t, err, "InvalidSnapshot.NotFound", "")
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
