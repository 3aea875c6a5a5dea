package ebs_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func startTagged(t *testing.T, s *stand, attempt int, tags map[string]string) string {
	t.Helper()
	upload, err := s.client.Start(t.Context(), ebs.StartInput{VolumeSize: 1, Tags: tags, Attempt: attempt})
	if err != nil {
		t.Fatal(err)
	}
	return upload.SnapshotID
}

func TestFind(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	ours := startTagged(t, s, 1, map[string]string{ebs.TagClusterUID: "a*", ebs.TagRevision: "1"})
	second := startTagged(t, s, 2, map[string]string{ebs.TagClusterUID: "a*", ebs.TagRevision: "2"})
	other := startTagged(t, s, 3, map[string]string{ebs.TagClusterUID: "abc", ebs.TagRevision: "1"})
	backslash := startTagged(t, s, 4, map[string]string{ebs.TagClusterUID: `a\?`})
	startTagged(t, s, 5, nil)
	cases := map[string]struct {
		reason string
		tags   map[string]string
		want   []string
	}{
		"all of several":   {"a snapshot must carry every tag", map[string]string{ebs.TagClusterUID: "a*", ebs.TagRevision: "2"}, []string{second}},
		"a wildcard":       {"a value is literal, or another cluster's snapshots would seem ours", map[string]string{ebs.TagClusterUID: "a*"}, []string{ours, second}},
		"what it matches":  {"the other cluster finds its own", map[string]string{ebs.TagClusterUID: "abc"}, []string{other}},
		"escaped literals": {"a backslash and a question mark are text too", map[string]string{ebs.TagClusterUID: `a\?`}, []string{backslash}},
		"nothing":          {"no snapshot is no error", map[string]string{ebs.TagClusterUID: "b"}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := s.client.Find(t.Context(), c.tags)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, snapshot := range found {
				got = append(got, snapshot.ID)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestFindReadsAllPages(t *testing.T) {
	const many = 1003
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	for attempt := range many {
		startTagged(t, s, attempt, map[string]string{ebs.TagAttempt: fmt.Sprint(attempt), ebs.TagClusterUID: "cluster"})
	}
	found, err := s.client.Find(t.Context(), map[string]string{ebs.TagClusterUID: "cluster"})
	if err != nil {
		t.Fatal(err)
	}
	distinct := map[string]bool{}
	for _, snapshot := range found {
		distinct[snapshot.Tags[ebs.TagAttempt]] = true
	}
	if len(found) != many || len(distinct) != many || s.Calls("DescribeSnapshots") != 2 {
		t.Errorf("%d snapshots, %d distinct, in %d calls; want %d in 2", len(found), len(distinct), s.Calls("DescribeSnapshots"), many)
	}
}

func TestDescribe(t *testing.T) {
	s := newStand(t, fakeaws.Options{PendingFor: time.Minute, EncryptByDefault: true}, ebs.Options{})
	upload := start(t, s)
	write(t, upload, 0, blockOf(1))
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	check := func(want ebs.Snapshot) {
		t.Helper()
		got, err := s.client.Describe(t.Context(), upload.SnapshotID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Describe (-want +got):\n%s", diff)
		}
	}
	want := ebs.Snapshot{
		ID: upload.SnapshotID, State: ebs.StatePending, Progress: "0%", Description: input.Description, Tags: input.Tags, VolumeSize: 1,
		StartTime: epoch, Encrypted: true, KMSKeyID: "arn:aws:kms:us-west-2:111122223333:key/00000000-0000-0000-0000-000000000000", OwnerID: "111122223333",
	}
	check(want)
	s.clock.SetTime(epoch.Add(time.Minute))
	want.State, want.Progress = ebs.StateCompleted, "100%"
	check(want)
	s.Fail(upload.SnapshotID, "out of luck")
	want.State, want.StateMessage, want.Progress = ebs.StateError, "out of luck", "0%"
	check(want)
}

func TestDescribeNotFound(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	_, err := s.client.Describe(t.Context(), "snap-0123456789abcdef0")
	if !larderaws.IsNotFound(err) || !strings.Contains(err.Error(), "snap-0123456789abcdef0") {
		t.Errorf("error %v is no NotFound that names the snapshot", err)
	}
	if calls := s.Calls("DescribeSnapshots"); calls != 1 {
		t.Errorf("%d calls; a NotFound is an answer", calls)
	}
}

func TestDelete(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	id := upload(t, s, map[int64]byte{0: 1})
	s.Inject(fakeaws.Fault{Action: "DeleteSnapshot", Kind: fakeaws.Error, Times: 1, Status: http.StatusBadRequest, Code: "InvalidSnapshot.InUse",
		Message: "The snapshot is currently in use by ami-0123456789abcdef0"})
	if err := s.client.Delete(t.Context(), id); !larderaws.IsInUse(err) || !strings.Contains(err.Error(), "ami-0123456789abcdef0") {
		t.Errorf("error %v does not say which AMI uses the snapshot", err)
	}
	for range 2 {
		if err := s.client.Delete(t.Context(), id); err != nil {
			t.Errorf("deleting a snapshot, or one that is gone: %v", err)
		}
	}
	if left := s.Snapshots(); len(left) != 0 {
		t.Errorf("%+v is left", left)
	}
}

func TestControlCallsDoNotRetryForLong(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	s.Inject(fakeaws.Fault{Action: "DescribeSnapshots", Kind: fakeaws.Throttle})
	if _, err := s.client.Find(t.Context(), nil); !larderaws.IsThrottled(err) {
		t.Errorf("error %v is no throttle", err)
	}
	if calls := s.Calls("DescribeSnapshots"); calls != 4 {
		t.Errorf("%d attempts, want 4: a reconciler requeues", calls)
	}
}
