package ebs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

// hardlyAny gives as many tokens as there are workers, and then none for a thousand years.
const hardlyAny = 1e-11

// A wait that would outlast the context fails at once, so that these tests wait for nothing.
func TestEachPutNeedsAToken(t *testing.T) {
	cases := map[string]struct {
		reason  string
		blocks  int64
		faults  []fakeaws.Fault
		limited bool
	}{
		"as many as tokens": {
			reason: "nothing waits that needs not",
			blocks: 4,
		},
		"one more": {
			reason: "the account's quota is for all blocks",
			blocks: 5, limited: true,
		},
		"throttled": {
			reason: "AWS counts refused calls too",
			blocks: 1, limited: true,
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.Throttle}},
		},
		"repeated": {
			reason: "a block whose answer is lost is sent again, for a token of its own",
			blocks: 3,
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.LostResponse, Times: 1}},
		},
		"repeated too often": {
			reason: "with two answers lost, 3 blocks are 5 calls",
			blocks: 3, limited: true,
			faults: []fakeaws.Fault{{Action: "PutSnapshotBlock", Kind: fakeaws.LostResponse, Times: 2}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{}, ebs.Options{Workers: 4, PutsPerSecond: hardlyAny})
			for _, fault := range c.faults {
				s.Inject(fault)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			upload, err := s.client.Start(ctx, input)
			if err != nil {
				t.Fatal(err)
			}
			err = send(ctx, upload, c.blocks)
			if limited := err != nil && strings.Contains(err.Error(), "waiting for its turn"); limited != c.limited {
				t.Errorf("%s: error %v", c.reason, err)
			}
			if err := upload.Abort(ctx); err != nil {
				t.Fatal(err)
			}
			// One that fails cancels those beside it, which may not have been sent yet.
			if puts := s.Calls("PutSnapshotBlock"); puts > 4 || puts < 4 && !c.limited {
				t.Errorf("%s: %d calls with 4 tokens", c.reason, puts)
			}
		})
	}
}

func TestUploadsOfAClientShareItsTokens(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{Workers: 4, PutsPerSecond: hardlyAny})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for attempt, limited := range []bool{false, true} {
		in := input
		in.Attempt = attempt
		upload, err := s.client.Start(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(ctx, upload, 3); (err != nil) != limited {
			t.Errorf("upload %d of 3 blocks, with 4 tokens for both: %v", attempt, err)
		}
		if err := upload.Abort(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if puts := s.Calls("PutSnapshotBlock"); puts < 3 || puts > 4 {
		t.Errorf("%d calls with 4 tokens, of which the first upload takes 3", puts)
	}
}
