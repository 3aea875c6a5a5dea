package fakeaws_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestShareRefuses(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	customer := a.AddKey(fakeaws.Key{ID: "c"})
	plain := a.AddSnapshot(fakeaws.Snapshot{SharedWith: []string{"777788889999"}})
	defaultKey := a.AddSnapshot(fakeaws.Snapshot{Encrypted: true})
	ownKey := a.AddSnapshot(fakeaws.Snapshot{Encrypted: true, KMSKeyID: customer})
	foreign := a.AddSnapshot(fakeaws.Snapshot{Owner: "444455556666", SharedWith: []string{"111122223333"}})
	var many []string
	for number := range 501 {
		many = append(many, fmt.Sprintf("%012d", number))
	}
	one := []types.CreateVolumePermission{{UserId: aws.String("444455556666")}}
	add := func(id string, accounts ...string) ec2.ModifySnapshotAttributeInput {
		return ec2.ModifySnapshotAttributeInput{SnapshotId: &id, OperationType: types.OperationTypeAdd, UserIds: accounts}
	}
	cases := map[string]struct {
		in   ec2.ModifySnapshotAttributeInput
		want string
	}{
		"the default key":   {add(defaultKey, "444455556666"), "OperationNotPermitted"},
		"a key of our own":  {add(ownKey, "444455556666"), ""},
		"eleven digits":     {add(plain, "44445555666"), "InvalidParameterValue"},
		"no digits":         {add(plain, "44445555666x"), "InvalidParameterValue"},
		"too many":          {add(plain, many...), "InvalidParameterValue"},
		"nobody":            {add(plain), "InvalidParameterCombination"},
		"unknown snapshot":  {add("snap-0", "444455556666"), "InvalidSnapshot.NotFound"},
		"another account's": {add(foreign, "444455556666"), "UnauthorizedOperation"},
		"no operation":      {ec2.ModifySnapshotAttributeInput{SnapshotId: &plain, UserIds: []string{"444455556666"}}, "InvalidParameterValue"},
		"product codes":     {ec2.ModifySnapshotAttributeInput{SnapshotId: &plain, Attribute: types.SnapshotAttributeNameProductCodes}, "InvalidParameterValue"},
		"add and remove": {ec2.ModifySnapshotAttributeInput{SnapshotId: &plain,
			CreateVolumePermission: &types.CreateVolumePermissionModifications{Add: one, Remove: one}}, "InvalidParameterCombination"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := a.ec2.ModifySnapshotAttribute(t.Context(), &c.in)
			if c.want != "" {
				wantError(t, err, c.want, "")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	got := map[string][]string{}
	for _, snapshot := range a.Snapshots() {
		got[snapshot.ID] = snapshot.SharedWith
	}
	want := map[string][]string{plain: {"777788889999"}, defaultKey: nil, ownKey: {"444455556666"}, foreign: {"111122223333"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
}

// TestASnapshotThatIsNotSharedIsNotThere: neither its contents nor that it exists, and of a shared one no tags.
func TestASnapshotThatIsNotSharedIsNotThere(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	tags := map[string]string{"team": "theirs"}
	shared := a.AddSnapshot(fakeaws.Snapshot{Owner: "444455556666", SharedWith: []string{"111122223333"}, Tags: tags})
	hidden := a.AddSnapshot(fakeaws.Snapshot{Owner: "444455556666", SharedWith: []string{"777788889999"}, Tags: tags})
	ids := func(in *ec2.DescribeSnapshotsInput) []string {
		t.Helper()
		out, err := a.ec2.DescribeSnapshots(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, one := range out.Snapshots {
			found = append(found, aws.ToString(one.SnapshotId))
			if len(one.Tags) > 0 {
				t.Errorf("another account's tags are shown: %+v", one.Tags)
			}
		}
		return found
	}
	for name, in := range map[string]*ec2.DescribeSnapshotsInput{
		"by id":    {SnapshotIds: []string{shared, hidden}},
		"by owner": {OwnerIds: []string{"444455556666"}},
		"all":      {},
	} {
		if diff := cmp.Diff([]string{shared}, ids(in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if found := ids(&ec2.DescribeSnapshotsInput{Filters: []types.Filter{tagged("team", "theirs")}}); len(found) > 0 {
		t.Errorf("found by tags that we do not see: %v", found)
	}
	_, err := a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &hidden})
	wantError(t, err, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
	_, err = a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &hidden})
	wantError(t, err, "InvalidSnapshot.NotFound", "")
}

func TestAnArchivedSnapshotIsOfNoUse(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.snapshot("", map[int32]byte{0: 1})
	if !a.Archive(id, true) {
		t.Fatal("the snapshot is unknown")
	}
	if one := describe(t, a.cfg, id); one.StorageTier != types.StorageTierArchive || one.State != types.SnapshotStateCompleted {
		t.Errorf("snapshot %+v", one)
	}
	_, err := a.ebs.ListSnapshotBlocks(t.Context(), &ebs.ListSnapshotBlocksInput{SnapshotId: &id})
	wantError(t, err, "ValidationException", "INVALID_SNAPSHOT_ID")
	_, err = a.ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: &id})
	wantError(t, err, "ValidationException", "INVALID_SNAPSHOT_ID")
	_, err = a.ec2.CopySnapshot(t.Context(), copyOf(id))
	wantError(t, err, "IncorrectState", "")
	out, err := a.ec2.EnableFastSnapshotRestores(t.Context(), &ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{"us-west-2a"}})
	if err != nil || len(out.Unsuccessful) != 1 {
		t.Errorf("fast restores: %+v, %v", out, err)
	}
	a.Archive(id, false)
	if got := a.contents(id); got[0] != 1 {
		t.Errorf("after its restore it has %v", got)
	}
}
