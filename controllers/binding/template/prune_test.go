package template

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// renewed has a person's version 1, and Larder's 2 to 5, each made of the one before.
func renewed(t *testing.T) *shelf {
	s := newShelf([]launch.Device{root()})
	number := int64(1)
	for _, id := range []string{"snap-1", "snap-2", "snap-3", "snap-4"} {
		step, problem := s.Read().With(s.want(number), binding.Snapshot{ID: id})
		if problem != nil {
			t.Fatal(problem)
		}
		number = s.publish(t, step)
	}
	return s
}

func TestPrunable(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(s *shelf)
		keep   []int64
		want   []int64
	}{
		"old ones":          {"the latest one launches", func(*shelf) {}, nil, []int64{2, 3, 4}},
		"kept":              {"a consumer may be on it, or go back to it", func(*shelf) {}, []int64{3, 5}, []int64{2, 4}},
		"default":           {"EC2 does not delete it", func(s *shelf) { s.Versions[0].Default, s.Versions[1].Default = false, true }, nil, []int64{3, 4}},
		"not ours any more": {"its devices contradict its description", func(s *shelf) { s.Versions[1].Devices = nil }, nil, []int64{3, 4}},
		"another binding's": {"only the binding knows who needs it", func(s *shelf) {
			s.Versions[1].Description = strings.ReplaceAll(s.Versions[1].Description, string(uid), string(otherUID))
		}, nil, []int64{3, 4}},
		"copied": {"it says what the copy's device was before", func(s *shelf) {
			s.add(launch.Version{Devices: s.Versions[2].Devices})
		}, nil, []int64{2, 4, 5}},
	}
	const larder, terraform = "arn:aws:sts::111122223333:assumed-role/larder/1", "arn:aws:iam::111122223333:role/terraform"
	copied := func(change func(*launch.Version)) func(s *shelf) {
		return func(s *shelf) {
			for i := range s.Versions {
				s.Versions[i].CreatedBy = larder
			}
			next := s.Versions[3]
			change(&next)
			s.add(next)
			s.add(launch.Version{Devices: []launch.Device{root()}}) // the latest
		}
	}
	for name, change := range map[string]func(*launch.Version){
		"by another principal": func(v *launch.Version) { v.CreatedBy = terraform },
		"with another image":   func(v *launch.Version) { v.ImageID = "ami-2" },
		"with more user data":  func(v *launch.Version) { v.UserData += " " },
	} {
		s := renewed(t)
		copied(change)(s)
		if h := s.Read(); h.IsOurs(uid, 6) || slices.Contains(h.Prunable(uid), 6) {
			t.Errorf("version 6 was made from a description of Larder's %s, and counts as Larder's", name)
		}
	}
	again := renewed(t)
	copied(func(v *launch.Version) { v.CreatedBy = "arn:aws:sts::111122223333:assumed-role/larder/2" })(again)
	if !again.Read().IsOurs(uid, 6) {
		t.Error("another try of the same, after a restart, does not count as Larder's")
	}
	for name, tc := range cases {
		s := renewed(t)
		tc.change(s)
		if diff := cmp.Diff(tc.want, s.Read().Prunable(uid, tc.keep...)); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, tc.reason, diff)
		}
	}
	if none := renewed(t).Read().Prunable("", 5); len(none) != 0 {
		t.Errorf("of no binding %v", none)
	}
}
