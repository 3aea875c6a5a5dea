package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// wantedPlatform is one platform that nodes have.
type wantedPlatform struct {
	// name is as it was asked for.
	name string
	// match prefers what containerd on such a node would, and accepts what it would run: 386 on amd64, say.
	match platforms.MatchComparer
}

func parsePlatforms(wanted []string) ([]wantedPlatform, error) {
	if len(wanted) == 0 {
		return nil, errors.New("no platform is wanted: name at least one, such as linux/amd64")
	}
	parsed := make([]wantedPlatform, 0, len(wanted))
	for _, text := range wanted {
		platform, err := platforms.Parse(text)
		// Without the slash, the library fills in the other half from the machine that it runs on.
		if err != nil || !strings.Contains(text, "/") {
			return nil, fmt.Errorf("platform %q is not valid: write os/architecture[/variant], such as linux/amd64", text)
		}
		parsed = append(parsed, wantedPlatform{name: text, match: platforms.Only(platform)})
	}
	return parsed, nil
}

// candidates orders an index's entries as containerd does: those whose platform matches, the best first, then
// those that name none and have to be read. It looks at the first only, and so must we.
func candidates(entries []ocispec.Descriptor, match platforms.MatchComparer) []ocispec.Descriptor {
	fitting := slices.DeleteFunc(slices.Clone(entries), func(entry ocispec.Descriptor) bool {
		return entry.Platform != nil && !match.Match(*entry.Platform)
	})
	slices.SortStableFunc(fitting, func(a, b ocispec.Descriptor) int {
		switch {
		case a.Platform == nil && b.Platform == nil:
			return 0
		case a.Platform == nil:
			return 1
		case b.Platform == nil:
			return -1
		case match.Less(*a.Platform, *b.Platform):
			return -1
		case match.Less(*b.Platform, *a.Platform):
			return 1
		}
		return 0
	})
	return fitting
}

func platformName(platform ocispec.Platform) string {
	return platforms.Format(platforms.Normalize(platform))
}
