package ebs_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestShare(t *testing.T) {
	var many []string
	for number := range 501 {
		many = append(many, fmt.Sprintf("%012d", number))
	}
	cases := map[string]struct {
		reason      string
		before      []string
		add, remove []string
		fault       *fakeaws.Fault
		want        []string
		calls       int
	}{
		"nothing to do":  {"no call", []string{"444455556666"}, nil, nil, nil, []string{"444455556666"}, 0},
		"add":            {"one call", []string{"777788889999"}, []string{"444455556666"}, nil, nil, []string{"444455556666", "777788889999"}, 1},
		"add and remove": {"AWS takes one or the other in a call", []string{"777788889999"}, []string{"444455556666"}, []string{"777788889999"}, nil, []string{"444455556666"}, 2},
		"as it is":       {"what is so already is no error", []string{"444455556666"}, []string{"444455556666"}, []string{"777788889999"}, nil, []string{"444455556666"}, 2},
		"501 accounts":   {"a call takes 500", nil, many, nil, nil, many, 2},
		"throttled":      {"a refused call is made again", nil, []string{"444455556666"}, nil, &fakeaws.Fault{Kind: fakeaws.Throttle, Times: 2}, []string{"444455556666"}, 3},
		"answer lost":    {"sharing twice is sharing once", nil, []string{"444455556666"}, nil, &fakeaws.Fault{Kind: fakeaws.LostResponse, Times: 1}, []string{"444455556666"}, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{}, ebs.Options{})
			id := s.AddSnapshot(fakeaws.Snapshot{SharedWith: c.before})
			if c.fault != nil {
				c.fault.Action = "ModifySnapshotAttribute"
				s.Inject(*c.fault)
			}
			if err := s.client.Share(t.Context(), id, slices.Clone(c.add), slices.Clone(c.remove)); err != nil {
				t.Fatal(err)
			}
			got, err := s.client.SharedWith(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if calls := s.Calls("ModifySnapshotAttribute"); calls != c.calls {
				t.Errorf("%s: %d calls, want %d", c.reason, calls, c.calls)
			}
		})
	}
}

func TestShareRefused(t *testing.T) {
	s := newStand(t, fakeaws.Options{EncryptByDefault: true}, ebs.Options{})
	id := s.AddSnapshot(fakeaws.Snapshot{Encrypted: true, SharedWith: []string{"777788889999"}})
	err := s.client.Share(t.Context(), id, []string{"444455556666"}, []string{"777788889999"})
	if larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("the default key: %v", err)
	}
	if got, err := s.client.SharedWith(t.Context(), id); err != nil || got != nil {
		t.Errorf("an account that was to be removed may still use it: %v, %v", got, err)
	}
	if err := s.client.Share(t.Context(), id, []string{"none"}, nil); larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("no account id: %v", err)
	}
	if _, err := s.client.SharedWith(t.Context(), "snap-0123456789abcdef0"); !larderaws.IsNotFound(err) {
		t.Errorf("no snapshot: %v", err)
	}
}
