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

var zones = []string{"us-west-2b", "us-west-2a"}

// wantRestores compares the states of a snapshot's fast restores by zone.
func wantRestores(t *testing.T, s *stand, id string, want ...string) {
	t.Helper()
	restores, err := s.client.FastRestores(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range restores {
		if one.SnapshotID != id || !strings.HasPrefix(one.Reason, "Client.UserInitiated") {
			t.Errorf("fast restore %+v", one)
		}
		got = append(got, one.AvailabilityZone+" "+one.State)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fast restores (-want +got):\n%s", diff)
	}
}

func TestFastRestoreStates(t *testing.T) {
	s := newStand(t, fakeaws.Options{RestoreStep: time.Minute}, ebs.Options{})
	id := s.AddSnapshot(fakeaws.Snapshot{})
	pass := func() { s.clock.SetTime(s.clock.Now().Add(time.Minute)) }
	wantRestores(t, s, id)
	for _, state := range []string{ebs.FastRestoreEnabling, ebs.FastRestoreOptimizing, ebs.FastRestoreEnabled} {
		if err := s.client.EnableFastRestore(t.Context(), id, zones); err != nil {
			t.Errorf("enabling again what is %s: %v", state, err)
		}
		wantRestores(t, s, id, "us-west-2a "+state, "us-west-2b "+state)
		if err := s.client.Delete(t.Context(), id); !larderaws.IsInUse(err) {
			t.Errorf("deleting a snapshot with fast restores: %v", err)
		}
		pass()
	}
	for _, state := range []string{ebs.FastRestoreDisabling, ebs.FastRestoreDisabled} {
		for range 2 {
			if err := s.client.DisableFastRestore(t.Context(), id, zones[1:]); err != nil {
				t.Errorf("disabling again what is %s: %v", state, err)
			}
		}
		wantRestores(t, s, id, "us-west-2a "+state, "us-west-2b "+ebs.FastRestoreEnabled)
		pass()
	}
	if err := s.client.DisableFastRestore(t.Context(), id, []string{"us-west-2a", "us-west-2b", "us-west-2c"}); err != nil {
		t.Errorf("disabling one that is disabled, one that is enabled and one that never was: %v", err)
	}
	pass()
	if err := s.client.Delete(t.Context(), id); err != nil {
		t.Errorf("deleting it once all are disabled: %v", err)
	}
	if err := s.client.DisableFastRestore(t.Context(), id, zones); err != nil {
		t.Errorf("disabling those of a snapshot that is gone: %v", err)
	}
}

func TestFastRestoresOfManySnapshots(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	var ids []string
	for number := range 250 {
		ids = append(ids, s.AddSnapshot(fakeaws.Snapshot{}))
		if number%100 != 0 {
			continue
		}
		if err := s.client.EnableFastRestore(t.Context(), ids[number], zones); err != nil {
			t.Fatal(err)
		}
	}
	found, err := s.client.FastRestores(t.Context(), ids[1:])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range found {
		got = append(got, one.SnapshotID+" "+one.AvailabilityZone)
	}
	want := []string{ids[100] + " us-west-2a", ids[100] + " us-west-2b", ids[200] + " us-west-2a", ids[200] + " us-west-2b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fast restores (-want +got):\n%s", diff)
	}
	if found, err := s.client.FastRestores(t.Context(), nil); err != nil || found != nil || s.Calls("DescribeFastSnapshotRestores") != 2 {
		t.Errorf("of no snapshot: %v, %v, %d calls in all", found, err, s.Calls("DescribeFastSnapshotRestores"))
	}
}

func TestFastRestoreFaults(t *testing.T) {
	for _, kind := range []fakeaws.Kind{fakeaws.Throttle, fakeaws.ServerError, fakeaws.LostResponse} {
		t.Run(string(kind), func(t *testing.T) {
			s := newStand(t, fakeaws.Options{}, ebs.Options{})
			id := s.AddSnapshot(fakeaws.Snapshot{})
			for _, action := range []string{"EnableFastSnapshotRestores", "DisableFastSnapshotRestores", "DescribeFastSnapshotRestores"} {
				s.Inject(fakeaws.Fault{Action: action, Kind: kind, Times: 1})
			}
			if err := s.client.EnableFastRestore(t.Context(), id, zones); err != nil {
				t.Fatal(err)
			}
			wantRestores(t, s, id, "us-west-2a enabled", "us-west-2b enabled")
			if err := s.client.DisableFastRestore(t.Context(), id, zones); err != nil {
				t.Fatal(err)
			}
			wantRestores(t, s, id, "us-west-2a disabled", "us-west-2b disabled")
		})
	}
}

func TestFastRestoreRefused(t *testing.T) {
	s := newStand(t, fakeaws.Options{RestoreStep: time.Minute}, ebs.Options{})
	pending := start(t, s).SnapshotID
	var id string
	for range 6 {
		id = s.AddSnapshot(fakeaws.Snapshot{})
		if err := s.client.EnableFastRestore(t.Context(), id, zones); err != nil {
			if number := len(s.Snapshots()) - 1; number != 6 || larderaws.Classify(err) != larderaws.Stalled || !strings.Contains(err.Error(), "us-west-2b") {
				t.Errorf("snapshot %d: %v", number, err)
			}
		}
	}
	wantRestores(t, s, id)
	if err := s.client.EnableFastRestore(t.Context(), pending, zones); larderaws.Classify(err) != larderaws.Wait {
		t.Errorf("a pending snapshot: %v", err)
	}
	if err := s.client.EnableFastRestore(t.Context(), "snap-0123456789abcdef0", zones); !larderaws.IsNotFound(err) {
		t.Errorf("no snapshot: %v", err)
	}
	if err := s.client.EnableFastRestore(t.Context(), id, []string{"us-west-2z"}); larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("no zone: %v", err)
	}
	if err := s.client.EnableFastRestore(t.Context(), id, nil); err != nil {
		t.Errorf("in no zone: %v", err)
	}
}

func TestDisableFastRestoreDenied(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	id := s.AddSnapshot(fakeaws.Snapshot{})
	if err := s.client.EnableFastRestore(t.Context(), id, zones); err != nil {
		t.Fatal(err)
	}
	s.Inject(fakeaws.Fault{Action: "DisableFastSnapshotRestores", Kind: fakeaws.Denied})
	if err := s.client.DisableFastRestore(t.Context(), id, zones); !larderaws.IsAccessDenied(err) {
		t.Errorf("denied: %v", err)
	}
	s.Heal()
	s.Inject(fakeaws.Fault{Action: "DescribeFastSnapshotRestores", Kind: fakeaws.Error, Status: http.StatusBadRequest, Code: "InvalidParameterValue"})
	err := s.client.DisableFastRestore(t.Context(), id, []string{"us-west-2c"})
	if larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("a refusal that cannot be looked into is no success: %v", fmt.Sprint(err))
	}
}
