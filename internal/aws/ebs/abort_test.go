package ebs_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestAbortLeavesNoSnapshot(t *testing.T) {
	cases := map[string]struct {
		reason string
		server fakeaws.Options
		faults []fakeaws.Fault
	}{
		"puts stuck": {
			reason: "what is in flight must end first, and quickly",
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.Stuck}},
		},
		"snapshot not there yet": {
			reason: "a NotFound right after the start is not believed, or the snapshot would stay for ever",
			server: fakeaws.Options{HiddenCalls: 6},
		},
		"throttled": {
			reason: "nobody comes back for a half-written snapshot",
			faults: []fakeaws.Fault{{Action: "DeleteSnapshot", Kind: fakeaws.Throttle, Times: 8}},
		},
		"lost answer": {
			reason: "the second attempt meets a snapshot that is gone",
			faults: []fakeaws.Fault{{Action: "DeleteSnapshot", Kind: fakeaws.LostResponse, Times: 1}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, c.server, ebs.Options{Workers: 2})
			for _, fault := range c.faults {
				s.Inject(fault)
			}
			ctx, cancel := context.WithCancel(t.Context())
			upload, err := s.client.Start(ctx, input)
			if err != nil {
				t.Fatal(err)
			}
			write(t, upload, 0, blockOf(1))
			cancel()
			data := blockOf(2)
			if err := upload.WriteBlock(t.Context(), 1, data, sha256.Sum256(data)); !errors.Is(err, context.Canceled) {
				t.Errorf("writing after the cancellation: %v", err)
			}
			if err := upload.Complete(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("completing after the cancellation: %v", err)
			}
			if err := upload.Abort(ctx); err != nil {
				t.Fatal(err)
			}
			if left := s.Snapshots(); len(left) != 0 {
				t.Errorf("%s: %+v is left", c.reason, left)
			}
		})
	}
}

func TestAbortAfterCompleteKeepsTheSnapshot(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	upload := start(t, s)
	write(t, upload, 0, blockOf(1))
	if err := upload.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := upload.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := s.Snapshots(); len(left) != 1 || left[0].State != ebs.StateCompleted {
		t.Errorf("after Complete and Abort: %+v", left)
	}
}

func TestAbortAfterFailedCompleteDeletes(t *testing.T) {
	s := newStand(t, fakeaws.Options{Denied: []string{"CompleteSnapshot"}}, ebs.Options{})
	upload := start(t, s)
	write(t, upload, 0, blockOf(1))
	if err := upload.Complete(t.Context()); err == nil {
		t.Fatal("Complete succeeded without permission")
	}
	if err := upload.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := s.Snapshots(); len(left) != 0 {
		t.Errorf("%+v is left", left)
	}
}

// A second StartSnapshot with the token of an attempt that is over answers with what that one made.
func TestStartDoesNotResumeAFinishedAttempt(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	first := start(t, s)
	if err := first.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	burnt := start(t, s)
	write(t, burnt, 0, blockOf(1))
	if err := burnt.Complete(t.Context()); err == nil {
		t.Error("blocks were written to a snapshot that is gone")
	}
	raised := input
	raised.Attempt++
	anew, err := s.client.Start(t.Context(), raised)
	if err != nil {
		t.Fatal(err)
	}
	if anew.SnapshotID == first.SnapshotID {
		t.Errorf("a raised attempt got the deleted %s", first.SnapshotID)
	}
}
