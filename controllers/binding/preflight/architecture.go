package preflight

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
)

const archLabel = "kubernetes.io/arch"

// architectures are those that Karpenter has nodes of: https://karpenter.sh/docs/concepts/nodepools/#architecture
var architectures = []string{"amd64", "arm64"}

// checkArchitectures compares the architectures that nodes can have with those whose images the snapshot holds.
func (i *inspection) checkArchitectures() {
	possible, known := i.architectures()
	if i.Snapshot.ID == "" || len(possible) == 0 {
		return
	}
	if i.Snapshot.Platforms == nil {
		i.warn(v1alpha1.ReasonNotChecked, "the architectures whose images snapshot %s holds are not known: make sure that "+
			"they are those of the nodes of EC2NodeClass %s", i.Snapshot.ID, i.class)
		return
	}
	held := heldArchitectures(i.Snapshot.Platforms)
	missing := slices.DeleteFunc(slices.Clone(possible), func(arch string) bool { return slices.Contains(held, arch) })
	switch {
	case len(missing) == 0:
	case !known:
		i.warn(v1alpha1.ReasonNotChecked, "snapshot %s holds no images for %s, and the AMIs of EC2NodeClass %s are not "+
			"resolved: make sure that its nodes have another architecture", i.Snapshot.ID, strings.Join(missing, ", "), i.class)
	case len(missing) == len(possible):
		i.block(v1alpha1.ReasonArchitectureMismatch, "snapshot %s holds images for %s, and the nodes of EC2NodeClass %s are %s: "+
			"add linux/%s to the platforms of the snapshot", i.Snapshot.ID, strings.Join(held, ", "), i.class,
			strings.Join(possible, ", "), missing[0])
	default:
		i.warn(v1alpha1.ReasonArchitectureMismatch, "snapshot %s holds no images for %s, which nodes of EC2NodeClass %s may be, "+
			"too: those pull all their images; add linux/%s to the platforms of the snapshot, or leave it out of "+
			"%s in the NodePools", i.Snapshot.ID, strings.Join(missing, ", "), i.class, missing[0], archLabel)
	}
}

// architectures returns those that nodes can have, and whether anything but Karpenter itself says so.
func (i *inspection) architectures() (possible []string, known bool) {
	possible = architectures
	if images := listAt(i.Class.Object, "status", "amis"); len(images) > 0 {
		known = true
		possible = union(images, func(image any) []string {
			fields, _ := image.(map[string]any)
			return narrow(architectures, listAt(fields, "requirements"), archLabel)
		})
	}
	if len(i.Pools) == 0 {
		return possible, known
	}
	byPools := union(i.Pools, func(pool *unstructured.Unstructured) []string { return allowedBy(pool, architectures, archLabel) })
	known = known || len(byPools) < len(architectures)
	return slices.DeleteFunc(slices.Clone(possible), func(arch string) bool { return !slices.Contains(byPools, arch) }), known
}

// union returns those architectures that one of the sources has, in a new list.
func union[T any](sources []T, of func(T) []string) []string {
	var all []string
	for _, source := range sources {
		all = append(all, of(source)...)
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

// heldArchitectures are the second parts of "linux/arm64/v8".
func heldArchitectures(platforms []string) []string {
	return union(platforms, func(platform string) []string {
		system, rest, _ := strings.Cut(platform, "/")
		arch, _, _ := strings.Cut(rest, "/")
		if system != "linux" {
			return nil
		}
		return []string{arch}
	})
}
