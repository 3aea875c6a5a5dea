package ebs_test

import (
	"crypto/sha256"
	"net/http"
	"testing"
	"time"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestFaultsAreSurvived(t *testing.T) {
	cases := map[string]struct {
		reason string
		server fakeaws.Options
		faults []fakeaws.Fault
	}{
		"throttle burst": {
			reason: "64 workers meet the account's rate limit together; that must slow down and not fail",
			faults: []fakeaws.Fault{
				{Action: "StartSnapshot", Kind: fakeaws.Throttle, Times: 3},
				{Action: "PutSnapshotBlock", Kind: fakeaws.Throttle, Times: 15},
				{Action: "CompleteSnapshot", Kind: fakeaws.Throttle, Times: 3},
				{Action: "ListSnapshotBlocks", Kind: fakeaws.Throttle, Times: 3},
				{Action: "GetSnapshotBlock", Kind: fakeaws.Throttle, Times: 3},
			},
		},
		"concurrency limit": {
			reason: "the SDK does not count this code among the throttles",
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.Error, Times: 2, Status: http.StatusBadRequest, Code: "ConcurrentLimitExceededException"}},
		},
		"server errors": {
			reason: "AWS asks to always retry a 5xx",
			faults: []fakeaws.Fault{
				{Action: "StartSnapshot", Kind: fakeaws.ServerError, Times: 2},
				{Action: "PutSnapshotBlock", Kind: fakeaws.ServerError, Times: 5},
				{Action: "CompleteSnapshot", Kind: fakeaws.ServerError, Times: 2},
				{Action: "GetSnapshotBlock", Kind: fakeaws.ServerError, Times: 2},
			},
		},
		"lost StartSnapshot answer": {
			reason: "the snapshot exists; the same token must find it",
			faults: []fakeaws.Fault{{Action: "StartSnapshot", Kind: fakeaws.LostResponse, Times: 1}},
		},
		"lost block answers": {
			reason: "a block is written again with the same content",
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.LostResponse, Times: 3}},
		},
		"lost CompleteSnapshot answer": {
			reason: "the snapshot is sealed; that AWS refuses to seal it again is no failure",
			faults: []fakeaws.Fault{{Action: "CompleteSnapshot", Kind: fakeaws.LostResponse, Times: 1}},
		},
		"stuck calls": {
			reason: "an attempt that never ends must be given up and made again",
			faults: []fakeaws.Fault{
				{Action: "PutSnapshotBlock", Kind: fakeaws.Stuck, Times: 1},
				{Action: "GetSnapshotBlock", Kind: fakeaws.Stuck, Times: 1},
			},
		},
		"damaged blocks": {
			reason: "the checksum of a block that is read must be verified, and the block asked for again",
			faults: []fakeaws.Fault{{Action: "GetSnapshotBlock", Kind: fakeaws.Corrupt, Times: 2}},
		},
		"not there yet": {
			reason: "a new snapshot may seem not to exist for two minutes",
			server: fakeaws.Options{HiddenCalls: 15},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.server, ebs.Options{Workers: 3, AttemptTimeout: time.Second})
			for _, fault := range c.faults {
				s.Inject(fault)
			}
			blocks := map[int64]byte{0: 1, 3: 2, 2047: 3}
			id := upload(t, s, blocks)
			checkBlocks(t, s, id, blocks)
			if snapshots := s.Snapshots(); len(snapshots) != 1 || snapshots[0].Written != 4 {
				t.Errorf("%s: %+v", c.reason, snapshots)
			}
		})
	}
}

func TestDeniedFailsAtOnce(t *testing.T) {
	cases := map[string]struct{ snapshots int }{
		"StartSnapshot":    {snapshots: 0},
		"PutSnapshotBlock": {snapshots: 1},
		"CompleteSnapshot": {snapshots: 1},
	}
	for action, c := range cases {
		t.Run(action, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{Denied: []string{action}}, ebs.Options{Workers: 1})
			err := func() error {
				upload, err := s.client.Start(t.Context(), input)
				if err != nil {
					return err
				}
				data := blockOf(1)
				if err := upload.WriteBlock(t.Context(), 0, data, sha256.Sum256(data)); err != nil {
					return err
				}
				return upload.Complete(t.Context())
			}()
			if !larderaws.IsAccessDenied(err) || larderaws.Classify(err) != larderaws.Stalled {
				t.Errorf("error %v is not one of access", err)
			}
			if calls := s.Calls(action); calls != 1 || s.waits.Load() != 0 {
				t.Errorf("%d calls and %d waits; no attempt after the first could succeed", calls, s.waits.Load())
			}
			if got := len(s.Snapshots()); got != c.snapshots {
				t.Errorf("%d snapshots, want %d", got, c.snapshots)
			}
		})
	}
}

func TestFirstFailureIsSticky(t *testing.T) {
	s := newStand(t, fakeaws.Options{Denied: []string{"PutSnapshotBlock"}}, ebs.Options{Workers: 1})
	upload := start(t, s)
	write(t, upload, 0, blockOf(1))
	data := blockOf(2)
	// With one worker the second block waits until the first has failed.
	err := upload.WriteBlock(t.Context(), 1, data, sha256.Sum256(data))
	if err == nil {
		err = upload.Complete(t.Context())
	}
	again := upload.Complete(t.Context())
	if !larderaws.IsAccessDenied(err) || !larderaws.IsAccessDenied(again) {
		t.Errorf("errors %v and %v, want the first block's", err, again)
	}
	if calls := s.Calls("CompleteSnapshot"); calls != 0 {
		t.Errorf("CompleteSnapshot was called %d times on a volume with a hole", calls)
	}
}

func TestRetriesEnd(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	s.Inject(fakeaws.Fault{Action: "StartSnapshot", Kind: fakeaws.Throttle})
	_, err := s.client.Start(t.Context(), input)
	if !larderaws.IsThrottled(err) || larderaws.Classify(err) != larderaws.Wait {
		t.Errorf("error %v is no throttle", err)
	}
	if calls := s.Calls("StartSnapshot"); calls != 25 {
		t.Errorf("%d attempts, want one at once and one every 5 s for 2 minutes", calls)
	}
}
