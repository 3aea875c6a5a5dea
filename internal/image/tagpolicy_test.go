package image_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/larder-dev/larder/internal/image"
)

// The cases follow what Flux documents and tests of its ImagePolicy.
func TestTagPolicySelectsAsFlux(t *testing.T) {
	cases := map[string]struct {
		reason string
		policy image.TagPolicy
		tags   string
		want   string
	}{
		"highest in a range":   {"only the range's versions count", image.TagPolicy{SemVer: "1.0.x"}, "1.0.0 1.0.0.1 1.0.0p 1.0.1 1.2.0 0.1.0", "1.0.1"},
		"leading v":            {"the tag is given back as it is", image.TagPolicy{SemVer: "1.0.x"}, "v1.2.3 v1.0.0 v0.1.0", "v1.0.0"},
		"other letters":        {"b1 is no version", image.TagPolicy{SemVer: ">=1.0.0"}, "b9.9.9 1.0.1", "1.0.1"},
		"caret":                {"up to the next major version", image.TagPolicy{SemVer: "^1.2"}, "1.1.9 1.2.0 1.10.3 2.0.0", "1.10.3"},
		"tilde":                {"up to the next minor version", image.TagPolicy{SemVer: "~1.2.3"}, "1.2.2 1.2.30 1.2.4 1.3.0", "1.2.30"},
		"two bounds":           {"both hold", image.TagPolicy{SemVer: ">=1.0.0 <2.0.0"}, "0.9.0 1.9.0 2.0.0", "1.9.0"},
		"hyphen":               {"both ends belong to it", image.TagPolicy{SemVer: "1.2.0 - 1.4.0"}, "1.1.0 1.4.0 1.4.1", "1.4.0"},
		"alternatives":         {"either holds", image.TagPolicy{SemVer: "1.x || >=3.0.0"}, "1.9.0 2.5.0 3.0.0", "3.0.0"},
		"short versions":       {"1.2 is a moving tag, not a version", image.TagPolicy{SemVer: ">=1.0.0"}, "1 1.2 v2 1.1.0", "1.1.0"},
		"leading zeros":        {"they are not versions", image.TagPolicy{SemVer: ">=1.0.0"}, "1.02.0 1.1.0", "1.1.0"},
		"prereleases":          {"nobody asked for them", image.TagPolicy{SemVer: ">=1.0.0"}, "1.0.0 1.1.0-rc.1", "1.0.0"},
		"prereleases asked":    {"a range with one takes them", image.TagPolicy{SemVer: ">=1.0.0-0"}, "1.0.0 1.1.0-rc.1", "1.1.0-rc.1"},
		"order of prereleases": {"rc.10 is after rc.9, and before the release", image.TagPolicy{SemVer: ">=1.0.0-0"}, "1.0.0-rc.9 1.0.0-rc.10 1.0.0-alpha", "1.0.0-rc.10"},
		"prerelease's release": {"the release is after it", image.TagPolicy{SemVer: ">=1.0.0-rc.1"}, "1.0.0-rc.2 1.0.0", "1.0.0"},
		"same version twice":   {"without the v first", image.TagPolicy{SemVer: "1.x"}, "v1.0.0 1.0.0", "1.0.0"},
		"versions among names": {"names are passed over", image.TagPolicy{SemVer: "1.x"}, "latest 1.0.0 main", "1.0.0"},
		"very long numbers":    {"what does not fit is no version", image.TagPolicy{SemVer: ">=0.0.0"}, "99999999999999999999.0.0 1.0.0", "1.0.0"},

		"alphabetical":           {"the last letter", image.TagPolicy{Alphabetical: image.Ascending}, "none xenial yakkety zesty artful bionic", "zesty"},
		"alphabetical backwards": {"the first letter", image.TagPolicy{Alphabetical: image.Descending}, "none xenial yakkety zesty artful bionic", "artful"},
		"bytes":                  {"small letters are after capital ones", image.TagPolicy{Alphabetical: image.Ascending}, "Z a", "a"},
		"dates":                  {"they sort as text", image.TagPolicy{Alphabetical: image.Ascending}, "2026-01-31 2026-02-01 2025-12-31", "2026-02-01"},
		"signatures":             {"they are not images", image.TagPolicy{Alphabetical: image.Ascending}, "build sha256-ab.sig", "build"},

		"numerical":            {"9 is before 10", image.TagPolicy{Numerical: image.Ascending}, "9 10 1", "10"},
		"numerical backwards":  {"the least", image.TagPolicy{Numerical: image.Descending}, "9 10 1", "1"},
		"fractions":            {"they are numbers", image.TagPolicy{Numerical: image.Ascending}, "47.4 53.47 3.2", "53.47"},
		"times":                {"of builds, in seconds", image.TagPolicy{Numerical: image.Ascending}, "1606234201 1606364286 1606334092", "1606364286"},
		"beyond float64":       {"nanoseconds differ in digits that it does not hold", image.TagPolicy{Numerical: image.Ascending}, "1767323045123456781 1767323045123456789 1767323045123456785", "1767323045123456789"},
		"beyond, backwards":    {"these digits count there too", image.TagPolicy{Numerical: image.Descending}, "1767323045123456785 1767323045123456789", "1767323045123456785"},
		"same number twice":    {"one of them, always", image.TagPolicy{Numerical: image.Ascending}, "10 010 10.0", "10.0"},
		"signatures, numbers":  {"a signed image stays numerical", image.TagPolicy{Numerical: image.Ascending}, "7 sha256-ab.sig", "7"},
		"negative, from a tag": {"by an extract", image.TagPolicy{Numerical: image.Ascending, Pattern: "^b(?P<n>.*)$", Extract: "$n"}, "b-5 b-7", "b-5"},

		"filter":                  {"what does not match is not looked at", image.TagPolicy{Alphabetical: image.Ascending, Pattern: "^ver"}, "ver1 ver2 zeta", "ver2"},
		"filter somewhere":        {"a pattern is not anchored by itself", image.TagPolicy{Alphabetical: image.Ascending, Pattern: "er"}, "ver1 xerox zeta", "xerox"},
		"extract by name":         {"times behind a branch and a commit", image.TagPolicy{Numerical: image.Ascending, Pattern: "^main-[a-f0-9]+-(?P<ts>[0-9]+)", Extract: "$ts"}, "main-ff-1700000002 main-00-1700000010 dev-ff-1800000000", "main-00-1700000010"},
		"extract by number":       {"groups have numbers too", image.TagPolicy{Numerical: image.Ascending, Pattern: `ver(\d+)`, Extract: "$1"}, "ver9 ver10 rel99", "ver10"},
		"extract in braces":       {"where a letter follows", image.TagPolicy{Alphabetical: image.Ascending, Pattern: `^(\w)(\d)$`, Extract: "${2}x${1}"}, "a2 b1", "a2"},
		"extract versions":        {"behind a name", image.TagPolicy{SemVer: "^1.0", Pattern: `^alpine-(?P<v>.*)$`, Extract: "$v"}, "alpine-1.2.3 alpine-1.10.0 1.99.0", "alpine-1.10.0"},
		"extract of many groups":  {"dates turned round", image.TagPolicy{Numerical: image.Ascending, Pattern: `^(\d\d)\.(\d\d)\.(\d{4})$`, Extract: "$3$2$1"}, "31.12.2025 01.02.2026", "01.02.2026"},
		"same extract twice":      {"the last tag by name", image.TagPolicy{Numerical: image.Ascending, Pattern: `-(\d+)$`, Extract: "$1"}, "a-7 c-7 b-7", "c-7"},
		"same extract, backwards": {"the last tag by name, too", image.TagPolicy{Numerical: image.Descending, Pattern: `-(\d+)$`, Extract: "$1"}, "a-7 c-7 b-7", "c-7"},
		"numbers by a filter":     {"the filter leaves names out", image.TagPolicy{Numerical: image.Ascending, Pattern: `^\d+$`}, "latest 9 10", "10"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			tags := strings.Fields(test.tags)
			source := rand.New(rand.NewPCG(1, 2))
			for range 20 {
				got, err := test.policy.Select(tags)
				if err != nil || got != test.want {
					t.Fatalf("%s: of %v got %q, %v, want %q", test.reason, tags, got, err, test.want)
				}
				source.Shuffle(len(tags), func(i, j int) { tags[i], tags[j] = tags[j], tags[i] })
			}
		})
	}
}

func TestTagPolicyLeavesTheListAlone(t *testing.T) {
	tags := []string{"b", "c", "a"}
	if _, err := (image.TagPolicy{Alphabetical: image.Ascending}).Select(tags); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tags, []string{"b", "c", "a"}) {
		t.Errorf("the list became %v", tags)
	}
}

func TestTagPolicyThatFindsNothing(t *testing.T) {
	cases := map[string]struct {
		policy image.TagPolicy
		tags   string
		says   string
	}{
		"no tags":           {image.TagPolicy{Alphabetical: image.Ascending}, "", "0 tags, of which 0 passed"},
		"outside the range": {image.TagPolicy{SemVer: "^2"}, "1.0.0 latest", "2 tags, of which 2 passed"},
		"filter":            {image.TagPolicy{SemVer: "^1", Pattern: "^v"}, "1.0.0 1.1.0 latest", "3 tags, of which 0 passed"},
		"filter and range":  {image.TagPolicy{SemVer: "^2", Pattern: "^1"}, "1.0.0 1.1.0 latest", "3 tags, of which 2 passed"},
		"no number":         {image.TagPolicy{Numerical: image.Ascending}, "1 2 latest", `"latest" is not a number: leave such tags out by filterTags`},
		"not a number":      {image.TagPolicy{Numerical: image.Ascending}, "1 nan", `"nan" is not a number`},
		"too large":         {image.TagPolicy{Numerical: image.Ascending}, "1 1e400", `"1e400" is not a number`},
		"empty extract":     {image.TagPolicy{Numerical: image.Ascending, Pattern: "^v", Extract: "$ts"}, "v1", `"" is not a number`},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			got, err := test.policy.Select(strings.Fields(test.tags))
			if got != "" || image.ReasonOf(err) != image.NoTagMatches || !strings.Contains(err.Error(), test.says) ||
				!strings.HasPrefix(err.Error(), "no tag matches the tag policy: push one that does") {
				t.Errorf("got %q, %v, want %s saying %q", got, err, image.NoTagMatches, test.says)
			}
		})
	}
}

func TestInvalidTagPolicies(t *testing.T) {
	long := strings.Repeat("a", 257)
	cases := map[string]struct {
		policy image.TagPolicy
		says   string
	}{
		"nothing":            {image.TagPolicy{}, "exactly one of"},
		"filter alone":       {image.TagPolicy{Pattern: "^v"}, "exactly one of"},
		"two":                {image.TagPolicy{SemVer: "1.x", Numerical: image.Ascending}, "exactly one of"},
		"not a range":        {image.TagPolicy{SemVer: "1.0.0p"}, `"1.0.0p" is not a range`},
		"letter for a range": {image.TagPolicy{SemVer: "a"}, "write one such as"},
		"long range":         {image.TagPolicy{SemVer: strings.Repeat(">=1.0.0,", 100) + ">1.0.0"}, "is not a range"},
		"order":              {image.TagPolicy{Alphabetical: "up"}, "write asc or desc"},
		"Flux's capitals":    {image.TagPolicy{Numerical: "ASC"}, "write asc or desc"},
		"pattern":            {image.TagPolicy{SemVer: "1.x", Pattern: "("}, "no Go regular expression"},
		"look-ahead":         {image.TagPolicy{SemVer: "1.x", Pattern: "a(?=b)"}, "no Go regular expression"},
		"repeated too often": {image.TagPolicy{SemVer: "1.x", Pattern: "((a{100}){100}){100}"}, "no Go regular expression"},
		"long pattern":       {image.TagPolicy{SemVer: "1.x", Pattern: long}, "256 bytes"},
		"long extract":       {image.TagPolicy{SemVer: "1.x", Pattern: "a", Extract: long}, "256 bytes"},
		"extract alone":      {image.TagPolicy{SemVer: "1.x", Extract: "$1"}, "no pattern to extract from"},
	}
	for title, test := range cases {
		t.Run(title, func(t *testing.T) {
			_, err := test.policy.Select([]string{"1.0.0"})
			if image.ReasonOf(err) != image.InvalidTagPolicy || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 500 {
				t.Errorf("got %v, want %s saying %q", err, image.InvalidTagPolicy, test.says)
			}
		})
	}
}
