package fakeaws_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

func TestAddedSnapshotsAreAsIfMade(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	old := epoch.Add(-40 * 24 * time.Hour)
	want := fakeaws.Snapshot{
		Region: "eu-west-1", Owner: "444455556666", Tags: map[string]string{"a": "1"}, StartTime: old, VolumeSize: 20,
		Encrypted: true, KMSKeyID: "arn:aws:kms:eu-west-1:444455556666:key/k", Description: "old", SharedWith: []string{"111122223333", "777788889999"},
	}
	want.ID = a.AddSnapshot(want)
	want.State = "completed"
	if diff := cmp.Diff([]fakeaws.Snapshot{want}, a.Snapshots()); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
	got := describe(t, a.in("eu-west-1").cfg, want.ID)
	if !got.StartTime.Equal(old) || aws.ToInt32(got.VolumeSize) != 20 || aws.ToString(got.OwnerId) != "444455556666" {
		t.Errorf("DescribeSnapshots says %+v", got)
	}
	added := a.AddSnapshot(fakeaws.Snapshot{})
	if got := describe(t, a.cfg, added); got.State != types.SnapshotStateCompleted || !got.StartTime.Equal(epoch) || aws.ToString(got.OwnerId) != "111122223333" {
		t.Errorf("DescribeSnapshots says %+v", got)
	}
}

func TestMutatingCalls(t *testing.T) {
	a := newAccount(t, fakeaws.Options{Denied: []string{"DeleteSnapshot"}})
	id := a.snapshot("", map[int32]byte{0: 1})
	a.contents(id)
	a.state(id)
	a.restores()
	_, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
	wantError(t, err, "UnauthorizedOperation", "")
	want := map[string]int{"StartSnapshot": 1, "PutSnapshotBlock": 1, "CompleteSnapshot": 1, "DeleteSnapshot": 1}
	if diff := cmp.Diff(want, a.MutatingCalls()); diff != "" {
		t.Errorf("mutating calls (-want +got):\n%s", diff)
	}
}

// Every call that changes something has its effect although its answer is lost.
func TestLostResponsesOfSnapshotCalls(t *testing.T) {
	cases := map[string]struct {
		call func(*account, string) error
		had  func(*account, string) bool
	}{
		"CopySnapshot": {func(a *account, id string) error {
			_, err := a.ec2.CopySnapshot(a.t.Context(), copyOf(id))
			return err
		}, func(a *account, _ string) bool { return len(a.Snapshots()) == 2 }},
		"CreateTags": {func(a *account, id string) error {
			_, err := a.ec2.CreateTags(a.t.Context(), &ec2.CreateTagsInput{Resources: []string{id}, Tags: tagList("x", "1")})
			return err
		}, func(a *account, _ string) bool { return a.Snapshots()[0].Tags["x"] == "1" }},
		"DeleteTags": {func(a *account, id string) error {
			_, err := a.ec2.DeleteTags(a.t.Context(), &ec2.DeleteTagsInput{Resources: []string{id}})
			return err
		}, func(a *account, _ string) bool { return len(a.Snapshots()[0].Tags) == 0 }},
		"ModifySnapshotAttribute": {func(a *account, id string) error {
			_, err := a.ec2.ModifySnapshotAttribute(a.t.Context(), &ec2.ModifySnapshotAttributeInput{SnapshotId: &id, OperationType: types.OperationTypeAdd, UserIds: []string{"444455556666"}})
			return err
		}, func(a *account, _ string) bool { return len(a.Snapshots()[0].SharedWith) == 1 }},
		"EnableFastSnapshotRestores": {func(a *account, id string) error {
			_, err := a.ec2.EnableFastSnapshotRestores(a.t.Context(), &ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{"us-west-2b"}})
			return err
		}, func(a *account, id string) bool {
			return cmp.Equal(a.restores(), []string{id + " us-west-2a enabled", id + " us-west-2b enabled"})
		}},
		"DisableFastSnapshotRestores": {func(a *account, id string) error {
			_, err := a.ec2.DisableFastSnapshotRestores(a.t.Context(), &ec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{"us-west-2a"}})
			return err
		}, func(a *account, id string) bool {
			return cmp.Equal(a.restores(), []string{id + " us-west-2a disabled"})
		}},
	}
	for action, c := range cases {
		t.Run(action, func(t *testing.T) {
			a := newAccount(t, fakeaws.Options{})
			id := a.AddSnapshot(fakeaws.Snapshot{Tags: map[string]string{"a": "1"}})
			a.enable([]string{id}, "us-west-2a")
			a.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.Throttle, Times: 1})
			if err := c.call(a, id); statusOf(err) == 0 || c.had(a, id) {
				t.Errorf("a throttled call had an effect, or no answer: %v", err)
			}
			a.Inject(fakeaws.Fault{Action: action, Kind: fakeaws.LostResponse, Times: 1})
			if err := c.call(a, id); err == nil || statusOf(err) != 0 || !c.had(a, id) {
				t.Errorf("no effect, or an answer: %v", err)
			}
		})
	}
}

func TestSnapshotsOfARegionHaveParentsThere(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	parent := a.snapshot("", nil)
	_, err := a.in("eu-west-1").ebs.StartSnapshot(t.Context(), &ebs.StartSnapshotInput{VolumeSize: aws.Int64(1), ParentSnapshotId: &parent})
	wantError(t, err, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
}
