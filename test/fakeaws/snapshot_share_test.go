package fakeaws_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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
