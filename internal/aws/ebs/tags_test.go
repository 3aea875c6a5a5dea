package ebs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

func TestTag(t *testing.T) {
	cases := map[string]struct {
		reason string
		fault  *fakeaws.Fault
		calls  int
	}{
		"at once":         {"one call tags", nil, 1},
		"after throttles": {"a refused call is made again", &fakeaws.Fault{Kind: fakeaws.Throttle, Times: 2}, 3},
		"answer lost":     {"the same tags again are the same tags", &fakeaws.Fault{Kind: fakeaws.LostResponse, Times: 1}, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, fakeaws.Options{}, ebs.Options{})
			id := s.AddSnapshot(fakeaws.Snapshot{Tags: map[string]string{ebs.TagRevision: "1", ebs.TagCopiedTo: "us-east-1"}})
			if c.fault != nil {
				c.fault.Action = "CreateTags"
				s.Inject(*c.fault)
			}
			added := map[string]string{ebs.TagCopiedTo: "us-east-1 eu-west-1", ebs.TagExposed: "copied", ebs.TagSupersededAt: "2026-01-01T00:00:00Z"}
			if err := s.client.Tag(t.Context(), id, added); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{ebs.TagRevision: "1", ebs.TagCopiedTo: "us-east-1 eu-west-1", ebs.TagExposed: "copied", ebs.TagSupersededAt: "2026-01-01T00:00:00Z"}
			if diff := cmp.Diff(want, s.Snapshots()[0].Tags); diff != "" {
				t.Errorf("%s: tags (-want +got):\n%s", c.reason, diff)
			}
			if calls := s.Calls("CreateTags"); calls != c.calls {
				t.Errorf("%s: %d calls, want %d", c.reason, calls, c.calls)
			}
		})
	}
}

func TestTagRefused(t *testing.T) {
	s := newStand(t, fakeaws.Options{}, ebs.Options{})
	id := s.AddSnapshot(fakeaws.Snapshot{})
	if err := s.client.Tag(t.Context(), id, nil); err != nil || s.Calls("CreateTags") != 0 {
		t.Errorf("no tags: %d calls, %v", s.Calls("CreateTags"), err)
	}
	many := map[string]string{}
	for number := range 51 {
		many[fmt.Sprint(number)] = ""
	}
	if err := s.client.Tag(t.Context(), id, many); larderaws.Classify(err) != larderaws.Stalled || !strings.Contains(err.Error(), id) {
		t.Errorf("51 tags: %v", err)
	}
	if err := s.client.Tag(t.Context(), "snap-0123456789abcdef0", many); larderaws.Classify(err) != larderaws.Stalled {
		t.Errorf("51 tags on nothing: %v", err)
	}
	if err := s.client.Tag(t.Context(), "snap-0123456789abcdef0", map[string]string{"x": ""}); !larderaws.IsNotFound(err) {
		t.Errorf("no snapshot: %v", err)
	}
}

func TestContentsComeBackFromTags(t *testing.T) {
	var many []string
	for number := range 60 {
		many = append(many, fmt.Sprintf("linux/arm/v%d", number))
	}
	cases := map[string]struct {
		reason string
		given  ebs.Contents
		tags   map[string]string
		want   ebs.Contents
	}{
		"all": {"platforms are in order, each once",
			ebs.Contents{Format: "Bottlerocket", Platforms: []string{"linux/arm64", "linux/amd64", "linux/arm64"}, StoredBytes: 1 << 40},
			map[string]string{"larder.dev/format": "Bottlerocket", "larder.dev/platforms": "linux/amd64 linux/arm64", "larder.dev/stored-bytes": "1099511627776"},
			ebs.Contents{Format: "Bottlerocket", Platforms: []string{"linux/amd64", "linux/arm64"}, StoredBytes: 1 << 40}},
		"more platforms than a tag holds": {"some of them would be a lie", ebs.Contents{Format: "Files", Platforms: many},
			map[string]string{"larder.dev/format": "Files"}, ebs.Contents{Format: "Files"}},
		"nothing": {"what is not known has no tag", ebs.Contents{}, map[string]string{}, ebs.Contents{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tags := c.given.Tags()
			if diff := cmp.Diff(c.tags, tags); diff != "" {
				t.Errorf("%s: tags (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.want, ebs.ContentsOf(tags)); diff != "" {
				t.Errorf("%s: contents (-want +got):\n%s", c.reason, diff)
			}
		})
	}
	spoilt := map[string]string{ebs.TagPlatforms: "  ", ebs.TagStoredBytes: "-1"}
	if diff := cmp.Diff(ebs.Contents{}, ebs.ContentsOf(spoilt)); diff != "" {
		t.Errorf("tags that a person spoilt (-want +got):\n%s", diff)
	}
}
