package distribution

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/larder-dev/larder/internal/aws/ebs"
)

// Ways in which somebody else may have learnt of a snapshot, as they stand in the tag ebs.TagExposed.
const (
	exposedCopied    = "copied"
	exposedPublished = "published"
	exposedShared    = "shared"
)

const (
	// separator is between the parts of a tag's value; AWS takes it in tags, and no Region's name has it.
	separator = "+"
	// longestTagValue is what this package puts into one tag; AWS takes 256 characters.
	longestTagValue = 255
)

// CopiedTo returns the Regions, sorted, in which there may be copies of the home snapshot with these tags.
func CopiedTo(tags map[string]string) []string {
	var regions []string
	for number := 1; tags[copiedToKey(number)] != ""; number++ {
		regions = append(regions, split(tags[copiedToKey(number)])...)
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

// copiedToKey numbers the tags for Regions from 1: the names of all of them do not fit into one value.
func copiedToKey(number int) string {
	if number == 1 {
		return ebs.TagCopiedTo
	}
	return fmt.Sprintf("%s-%d", ebs.TagCopiedTo, number)
}

// exposure returns the tags to put on a home snapshot, so that they say these ways and Regions beside what they say
// already; empty if they say it all.
func exposure(tags map[string]string, ways, regions []string) map[string]string {
	changed := map[string]string{}
	before := split(tags[ebs.TagExposed])
	after := slices.Concat(before, ways)
	slices.Sort(after)
	if after = slices.Compact(after); len(after) > len(before) {
		changed[ebs.TagExposed] = strings.Join(after, separator)
	}
	known := CopiedTo(tags)
	for _, region := range slices.Compact(slices.Sorted(slices.Values(regions))) {
		if !slices.Contains(known, region) {
			known = append(known, region)
			addRegion(tags, changed, region)
		}
	}
	return changed
}

// addRegion puts a Region into the first tag that has room for it.
func addRegion(tags, changed map[string]string, region string) {
	for number := 1; ; number++ {
		key := copiedToKey(number)
		value := tags[key]
		if newer, ok := changed[key]; ok {
			value = newer
		}
		if value != "" {
			value += separator
		}
		if value += region; len(value) <= longestTagValue {
			changed[key] = value
			return
		}
	}
}

func wasShared(tags map[string]string) bool {
	return slices.Contains(split(tags[ebs.TagExposed]), exposedShared)
}

func split(value string) []string {
	if value == "" {
		return nil
	}
	return strings.Split(value, separator)
}

// identityPrefix begins the keys of Larder's own tags.
const identityPrefix = "larder.dev/"

// tagDisplayName is the tag that AWS shows as a snapshot's name.
const tagDisplayName = "Name"

// copyTags are those of a copy: what identifies its home snapshot, what the user wants on everything, and the home
// snapshot's id. What tells of the home snapshot's own life stays behind.
func copyTags(home ebs.Snapshot, wanted map[string]string) map[string]string {
	tags := map[string]string{}
	if name := home.Tags[tagDisplayName]; name != "" {
		tags[tagDisplayName] = name
	}
	maps.Copy(tags, wanted)
	for key, value := range home.Tags {
		own := key == ebs.TagExposed || key == ebs.TagSupersededAt || strings.HasPrefix(key, ebs.TagCopiedTo)
		if strings.HasPrefix(key, identityPrefix) && !own {
			tags[key] = value
		}
	}
	tags[ebs.TagSourceID] = home.ID
	return tags
}
