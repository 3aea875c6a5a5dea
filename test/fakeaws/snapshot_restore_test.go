package fakeaws_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ebs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/test/fakeaws"
)

// enable returns the codes of what could not be enabled, as "snapshot zone code".
func (a *account) enable(ids []string, zones ...string) []string {
	a.t.Helper()
	out, err := a.ec2.EnableFastSnapshotRestores(a.t.Context(), &ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: ids, AvailabilityZones: zones})
	if err != nil {
		a.t.Fatal(err)
	}
	var failed []string
	for _, item := range out.Unsuccessful {
		for _, zone := range item.FastSnapshotRestoreStateErrors {
			failed = append(failed, strings.Join([]string{*item.SnapshotId, *zone.AvailabilityZone, *zone.Error.Code}, " "))
		}
	}
	if got, want := len(out.Successful)+len(failed), len(ids)*len(zones); got != want {
		a.t.Errorf("%d items, want %d", got, want)
	}
	return failed
}

func (a *account) disable(id string, zones ...string) *ec2.DisableFastSnapshotRestoresOutput {
	a.t.Helper()
	out, err := a.ec2.DisableFastSnapshotRestores(a.t.Context(), &ec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: zones})
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// restores returns "snapshot zone state" of what passes the filters.
func (a *account) restores(filters ...types.Filter) []string {
	a.t.Helper()
	out, err := a.ec2.DescribeFastSnapshotRestores(a.t.Context(), &ec2.DescribeFastSnapshotRestoresInput{Filters: filters})
	if err != nil {
		a.t.Fatal(err)
	}
	var all []string
	for _, one := range out.FastSnapshotRestores {
		all = append(all, strings.Join([]string{*one.SnapshotId, *one.AvailabilityZone, string(one.State)}, " "))
	}
	return all
}

func TestRestoreStates(t *testing.T) {
	a := newAccount(t, fakeaws.Options{RestoreStep: time.Minute})
	id := a.AddSnapshot(fakeaws.Snapshot{})
	wantState := func(want string) {
		t.Helper()
		if diff := cmp.Diff([]string{id + " us-west-2a " + want}, a.restores()); diff != "" {
			t.Errorf("fast restores (-want +got):\n%s", diff)
		}
	}
	deleteRefused := func() {
		t.Helper()
		_, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id})
		wantError(t, err, "InvalidSnapshot.InUse", "")
	}
	for range 2 {
		a.enable([]string{id}, "us-west-2a")
		for _, state := range []string{"enabling", "optimizing", "enabled"} {
			wantState(state)
			deleteRefused()
			if failed := a.enable([]string{id}, "us-west-2a"); failed != nil {
				t.Errorf("enabling what is %s: %v", state, failed)
			}
			a.pass(time.Minute)
		}
		if out := a.disable(id, "us-west-2a"); len(out.Successful) != 1 || out.Successful[0].State != "disabling" {
			t.Errorf("disabling answers %+v", out)
		}
		wantState("disabling")
		deleteRefused()
		if failed := a.enable([]string{id}, "us-west-2a"); len(failed) != 1 || !strings.HasSuffix(failed[0], "IncorrectState") {
			t.Errorf("enabling what is disabling: %v", failed)
		}
		a.pass(time.Minute)
		wantState("disabled")
		if out := a.disable(id, "us-west-2a"); len(out.Unsuccessful) != 1 {
			t.Errorf("disabling what is disabled answers %+v", out)
		}
	}
	if _, err := a.ec2.DeleteSnapshot(t.Context(), &ec2.DeleteSnapshotInput{SnapshotId: &id}); err != nil {
		t.Errorf("deleting a snapshot whose fast restores are disabled: %v", err)
	}
	if left := a.restores(); left != nil {
		t.Errorf("%v of a deleted snapshot", left)
	}
}

func TestRestoreItemsFailByThemselves(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	pending := a.start(&ebs.StartSnapshotInput{VolumeSize: aws.Int64(1)})
	var six []string
	for range 6 {
		six = append(six, a.AddSnapshot(fakeaws.Snapshot{}))
	}
	elsewhere := a.AddSnapshot(fakeaws.Snapshot{Region: "eu-west-1"})
	failed := a.enable(append([]string{pending, "snap-0", elsewhere}, six...), "us-west-2a", "us-west-2b")
	want := []string{
		pending + " us-west-2a IncorrectState", pending + " us-west-2b IncorrectState",
		"snap-0 us-west-2a InvalidSnapshot.NotFound", "snap-0 us-west-2b InvalidSnapshot.NotFound",
		elsewhere + " us-west-2a InvalidSnapshot.NotFound", elsewhere + " us-west-2b InvalidSnapshot.NotFound",
		six[5] + " us-west-2a FastSnapshotRestoreLimitExceeded", six[5] + " us-west-2b FastSnapshotRestoreLimitExceeded",
	}
	if diff := cmp.Diff(want, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if failed := a.in("eu-west-1").enable([]string{elsewhere}, "eu-west-1a"); failed != nil {
		t.Errorf("the quota is a Region's: %v", failed)
	}
}

func TestRestoresAreFiltered(t *testing.T) {
	a := newAccount(t, fakeaws.Options{RestoreStep: time.Minute})
	one, two := a.AddSnapshot(fakeaws.Snapshot{}), a.AddSnapshot(fakeaws.Snapshot{})
	a.enable([]string{one}, "us-west-2a", "us-west-2b")
	a.pass(2 * time.Minute)
	a.enable([]string{two}, "us-west-2b")
	filter := func(name string, values ...string) types.Filter { return types.Filter{Name: &name, Values: values} }
	cases := map[string]struct {
		filters []types.Filter
		want    []string
	}{
		"snapshot":    {[]types.Filter{filter("snapshot-id", one)}, []string{one + " us-west-2a enabled", one + " us-west-2b enabled"}},
		"zone":        {[]types.Filter{filter("availability-zone", "us-west-2b")}, []string{one + " us-west-2b enabled", two + " us-west-2b enabling"}},
		"state":       {[]types.Filter{filter("state", "enabling", "optimizing")}, []string{two + " us-west-2b enabling"}},
		"owner":       {[]types.Filter{filter("owner-id", "444455556666")}, nil},
		"two filters": {[]types.Filter{filter("snapshot-id", one, two), filter("availability-zone", "us-west-2a")}, []string{one + " us-west-2a enabled"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, a.restores(c.filters...)); diff != "" {
				t.Errorf("fast restores (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRestoresPages(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.AddSnapshot(fakeaws.Snapshot{})
	a.enable([]string{id}, "us-west-2a", "us-west-2b", "us-west-2c")
	seen := map[string]bool{}
	for pages := ec2.NewDescribeFastSnapshotRestoresPaginator(a.ec2, &ec2.DescribeFastSnapshotRestoresInput{MaxResults: aws.Int32(2)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.FastSnapshotRestores {
			seen[*one.AvailabilityZone] = true
		}
	}
	if len(seen) != 3 || a.Calls("DescribeFastSnapshotRestores") != 2 {
		t.Errorf("%d zones in %d pages, want 3 in 2", len(seen), a.Calls("DescribeFastSnapshotRestores"))
	}
}

func TestRestoreCallsAreRefused(t *testing.T) {
	a := newAccount(t, fakeaws.Options{})
	id := a.AddSnapshot(fakeaws.Snapshot{})
	many := make([]string, 11)
	for i := range many {
		many[i] = id
	}
	cases := map[string]struct {
		in   ec2.EnableFastSnapshotRestoresInput
		want string
	}{
		"unknown zone":       {ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{"us-west-2a", "us-west-2z"}}, "InvalidParameterValue"},
		"another Region's":   {ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{"eu-west-1a"}}, "InvalidParameterValue"},
		"no zone":            {ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{}}, "MissingParameter"},
		"too many snapshots": {ec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: many, AvailabilityZones: []string{"us-west-2a"}}, "InvalidRequest"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := a.ec2.EnableFastSnapshotRestores(t.Context(), &c.in)
			wantError(t, err, c.want, "")
		})
	}
	if got := a.restores(); got != nil {
		t.Errorf("%v by refused calls", got)
	}
}
