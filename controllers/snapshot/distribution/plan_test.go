package distribution

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

func TestExposureIsOnlyEverAddedTo(t *testing.T) {
	cases := map[string]struct {
		reason        string
		tags          map[string]string
		ways, regions []string
		want          map[string]string
	}{
		"first": {
			reason: "both are sorted", ways: []string{exposedShared, exposedCopied}, regions: []string{"us-west-2", "ap-south-1"},
			want: map[string]string{ebs.TagExposed: "copied+shared", ebs.TagCopiedTo: "ap-south-1+us-west-2"},
		},
		"another": {
			reason: "what is there stays, what comes is appended",
			tags:   map[string]string{ebs.TagExposed: "shared", ebs.TagCopiedTo: "us-west-2"},
			ways:   []string{exposedCopied}, regions: []string{"ap-south-1", "us-west-2"},
			want: map[string]string{ebs.TagExposed: "copied+shared", ebs.TagCopiedTo: "us-west-2+ap-south-1"},
		},
		"known": {
			reason: "a settled object writes nothing",
			tags:   map[string]string{ebs.TagExposed: "copied+published+shared", ebs.TagCopiedTo: "us-west-2"},
			ways:   []string{exposedPublished}, regions: []string{"us-west-2"},
			want: map[string]string{},
		},
		"no longer": {
			reason: "who has learnt of a snapshot does not forget it",
			tags:   map[string]string{ebs.TagExposed: "shared", ebs.TagCopiedTo: "us-west-2"},
			want:   map[string]string{},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, exposure(tc.tags, tc.ways, tc.regions)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestManyRegionsFitIntoTags: AWS takes 256 characters in a tag, and more Regions than that come together over time.
func TestManyRegionsFitIntoTags(t *testing.T) {
	tags := map[string]string{}
	var regions []string
	for i := range 60 {
		region := fmt.Sprintf("ap-southeast-%d", 10+i)
		regions = append(regions, region)
		for key, value := range exposure(tags, []string{exposedCopied}, []string{region}) {
			tags[key] = value
		}
	}
	for key, value := range tags {
		if len(value) > longestTagValue || len(key) > 127 {
			t.Errorf("tag %s has %d characters: %s", key, len(value), value)
		}
	}
	if diff := cmp.Diff(regions, CopiedTo(tags)); diff != "" {
		t.Errorf("what the collector reads (-want +got):\n%s", diff)
	}
	// With these, 30 of the user's and 14 others of Larder's there are 49, and AWS takes 50.
	if len(tags) > 5 || tags[ebs.TagExposed] == "" {
		t.Errorf("want few tags, and the snapshot exposed, got %v", tags)
	}
}

func TestCopyTags(t *testing.T) {
	home := ebs.Snapshot{ID: "snap-home", Tags: map[string]string{
		"Name": "inference", "aws:backup": "no", "owner": "somebody's own",
		ebs.TagClusterUID: "c", ebs.TagObjectUID: "o", ebs.TagRevision: "3", ebs.TagContentHash: "h", ebs.TagAttempt: "1", ebs.TagObjectName: "inference",
		ebs.TagFormat: "Bottlerocket", ebs.TagPlatforms: "linux/amd64", ebs.TagStoredBytes: "1",
		ebs.TagExposed: "copied", ebs.TagCopiedTo: "us-west-2", ebs.TagCopiedTo + "-2": "us-east-1", ebs.TagSupersededAt: "2026-01-01T00:00:00Z",
	}}
	want := map[string]string{
		"Name": "inference", "team": "ml",
		ebs.TagClusterUID: "c", ebs.TagObjectUID: "o", ebs.TagRevision: "3", ebs.TagContentHash: "h", ebs.TagAttempt: "1", ebs.TagObjectName: "inference",
		ebs.TagFormat: "Bottlerocket", ebs.TagPlatforms: "linux/amd64", ebs.TagStoredBytes: "1",
		ebs.TagSourceID: "snap-home",
	}
	if diff := cmp.Diff(want, copyTags(home, map[string]string{"team": "ml"})); diff != "" {
		t.Errorf("a copy is found and told apart by its home snapshot's identity (-want +got):\n%s", diff)
	}
}

func TestPlanSharing(t *testing.T) {
	cases := map[string]struct {
		reason                      string
		wanted, shared, add, remove []string
	}{
		"new":     {reason: "who is missing is added", wanted: []string{"1", "2"}, shared: []string{"2"}, add: []string{"1"}},
		"left":    {reason: "who left is removed", wanted: []string{"1"}, shared: []string{"1", "2"}, remove: []string{"2"}},
		"drift":   {reason: "somebody else's change is undone", wanted: []string{"1"}, shared: []string{"2"}, add: []string{"1"}, remove: []string{"2"}},
		"settled": {reason: "nothing is written", wanted: []string{"2", "1"}, shared: []string{"1", "2"}},
		"nobody":  {reason: "all are removed", shared: []string{"1"}, remove: []string{"1"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			add, remove := planSharing(tc.wanted, tc.shared)
			if strings.Join(add, " ") != strings.Join(tc.add, " ") || strings.Join(remove, " ") != strings.Join(tc.remove, " ") {
				t.Errorf("%s: want to add %v and remove %v, got %v and %v", tc.reason, tc.add, tc.remove, add, remove)
			}
		})
	}
}

func TestPlanRestores(t *testing.T) {
	restored := func(id, zone, state string) ebs.FastRestore {
		return ebs.FastRestore{SnapshotID: id, AvailabilityZone: zone, State: state}
	}
	cases := map[string]struct {
		reason          string
		wanted, marked  []string
		found           []ebs.FastRestore
		states          []string
		enable          []string
		disable         map[string][]string
		unmarked, ready bool
	}{
		"unmarked": {
			reason: "the zone must stand in the status before it costs anything",
			wanted: []string{"a"}, states: []string{"a disabled"}, unmarked: true,
		},
		"marked": {
			reason: "now it may be enabled",
			wanted: []string{"a"}, marked: []string{"a"}, states: []string{"a disabled"}, enable: []string{"a"},
		},
		"under way": {
			reason: "AWS needs time",
			wanted: []string{"a", "b"}, marked: []string{"a", "b"},
			found:  []ebs.FastRestore{restored("current", "a", "enabled"), restored("current", "b", "optimizing")},
			states: []string{"a enabled", "b optimizing"},
		},
		"being disabled": {
			reason: "AWS refuses to enable it until that is over",
			wanted: []string{"a"}, marked: []string{"a"}, found: []ebs.FastRestore{restored("current", "a", "disabling")},
			states: []string{"a disabling"},
		},
		"older one while the new one is not ready": {
			reason: "nodes still start from it",
			wanted: []string{"a", "b"}, marked: []string{"a", "b"},
			found: []ebs.FastRestore{restored("old", "a", "enabled"), restored("old", "b", "enabled"),
				restored("current", "a", "enabled"), restored("current", "b", "enabling")},
			states: []string{"a enabled", "b enabling"},
		},
		"older one when the new one is ready": {
			reason: "it would be paid for in vain",
			wanted: []string{"a"}, marked: []string{"a"},
			found:  []ebs.FastRestore{restored("old", "a", "enabled"), restored("current", "a", "enabled")},
			states: []string{"a enabled"}, disable: map[string][]string{"old": {"a"}}, ready: true,
		},
		"older one that never got enabled": {
			reason: "it takes a place of the quota and helps nobody",
			wanted: []string{"a"}, marked: []string{"a"},
			found:  []ebs.FastRestore{restored("old", "a", "optimizing"), restored("current", "a", "enabling")},
			states: []string{"a enabling"}, disable: map[string][]string{"old": {"a"}},
		},
		"a zone left": {
			reason: "in no revision it is wanted",
			wanted: []string{"a"}, marked: []string{"a", "b"},
			found: []ebs.FastRestore{restored("old", "b", "enabled"), restored("current", "a", "enabling"),
				restored("current", "b", "enabling")},
			states: []string{"a enabling"}, disable: map[string][]string{"old": {"b"}, "current": {"b"}},
		},
		"none wanted": {
			reason: "the status remembers what is not off yet",
			marked: []string{"a", "b", "c"},
			found: []ebs.FastRestore{restored("old", "a", "disabling"), restored("current", "b", "enabled"),
				restored("current", "c", "disabled")},
			states: []string{"a disabling", "b enabled"}, disable: map[string][]string{"current": {"b"}}, ready: true,
		},
		"all off": {
			reason: "nothing is remembered, so nothing is asked again",
			marked: []string{"a"}, found: []ebs.FastRestore{restored("current", "a", "disabled")}, ready: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := planRestores(restoreFacts{wanted: tc.wanted, marked: tc.marked, current: "current", found: tc.found})
			var states []string
			for _, one := range d.states {
				states = append(states, one.AvailabilityZone+" "+one.State)
			}
			if tc.disable == nil {
				tc.disable = map[string][]string{}
			}
			got := []any{states, d.enable, d.disable, d.unmarked, d.ready}
			want := []any{tc.states, tc.enable, tc.disable, tc.unmarked, tc.ready}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: states, enable, disable, unmarked, ready (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	named := places{Parameters: []string{"/a"}, ConfigMaps: []string{"one"}}
	wanted := wantedPlaces(publishTo("/b", "one"))
	spoilt := &larderv1alpha1.ImageCacheSnapshot{}
	spoilt.Annotations = map[string]string{AnnotationPublishedTo: `{"ssmParameters":["/a"]`}
	checks := map[string]struct{ want, got places }{
		"what is left":     {places{Parameters: []string{"/a"}}, named.without(wanted)},
		"what comes":       {places{Parameters: []string{"/b"}}, wanted.without(named)},
		"what stays":       {places{ConfigMaps: []string{"one"}}, wanted.both(named)},
		"all that may be":  {places{Parameters: []string{"/a", "/b"}, ConfigMaps: []string{"one"}}, named.with(wanted)},
		"a spec without":   {places{}, wantedPlaces(nil)},
		"spoilt by a hand": {places{}, namedPlaces(spoilt)},
	}
	for name, check := range checks {
		if !check.want.equal(check.got) {
			t.Errorf("%s: want %+v, got %+v", name, check.want, check.got)
		}
	}
}
