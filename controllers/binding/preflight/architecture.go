package preflight

import (
	"slices"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// checkArchitectures compares the architectures that nodes can have with those whose images the snapshot holds. Files are
// for any.
func (i *inspection) checkArchitectures() {
	if i.Snapshot.ID == "" || !i.bootsImages() || len(i.Architectures) == 0 {
		return
	}
	if i.Snapshot.Platforms == nil {
		i.warn(v1alpha1.ReasonNotChecked, "the architectures whose images snapshot %s holds are not known: make sure that "+
			"they are those of the nodes of %s", i.Snapshot.ID, i.Words.Target)
		return
	}
	held := heldArchitectures(i.Snapshot.Platforms)
	missing := slices.DeleteFunc(slices.Clone(i.Architectures), func(arch string) bool { return slices.Contains(held, arch) })
	switch {
	case len(missing) == 0:
	case !i.ArchitecturesKnown:
		i.warn(v1alpha1.ReasonNotChecked, "snapshot %s holds no images for %s, and the AMIs of %s are not "+
			"resolved: make sure that its nodes have another architecture", i.Snapshot.ID, strings.Join(missing, ", "), i.Words.Target)
	case len(missing) == len(i.Architectures):
		i.block(v1alpha1.ReasonArchitectureMismatch, "snapshot %s holds images for %s, and the nodes of %s are %s: "+
			"add linux/%s to the platforms of the snapshot", i.Snapshot.ID, strings.Join(held, ", "), i.Words.Target,
			strings.Join(i.Architectures, ", "), missing[0])
	default:
		i.warn(v1alpha1.ReasonArchitectureMismatch, "snapshot %s holds no images for %s, which nodes of %s may be, "+
			"too: those pull all their images; add linux/%s to the platforms of the snapshot, or leave it out of "+
			"%s", i.Snapshot.ID, strings.Join(missing, ", "), i.Words.Target, missing[0], i.Words.Architectures)
	}
}

// heldArchitectures are the second parts of "linux/arm64/v8".
func heldArchitectures(platforms []string) []string {
	var held []string
	for _, platform := range platforms {
		system, rest, _ := strings.Cut(platform, "/")
		arch, _, _ := strings.Cut(rest, "/")
		if system == "linux" {
			held = append(held, arch)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(held)))
}
