package preflight

import (
	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

// checkFormat keeps nodes from booting with a volume that is no use to them. Worse than that, Bottlerocket mounts its
// data partition by its name, and a volume of the format Containerd has none.
func (i *inspection) checkFormat() {
	if i.Snapshot.ID == "" {
		return
	}
	format, fitting := i.Snapshot.Format, formatFor(i.Family)
	switch {
	case i.Runtime == amifamily.Docker && !amifamily.IsWindows(i.Family):
		i.checkDockerFormat()
	case amifamily.IsWindows(i.Family):
		i.mismatch("its images are for Linux, and the nodes of %s run Windows: bind a %s of a Linux family", i.Words.Target, i.Words.Kind)
	case format == v1alpha1.FormatFiles && i.Runtime == amifamily.UnknownRuntime:
		i.warn(v1alpha1.ReasonNotChecked, "what runs containers on the nodes of %s cannot be seen, and snapshot %s has the format "+
			"Files, which holds no images that the containerd of a Kubernetes node could run: make sure that they are hosts of Docker",
			i.Words.Target, i.Snapshot.ID)
	case format == v1alpha1.FormatFiles:
		i.mismatch("it holds no images that the containerd of a node could run: name a snapshot of the format "+
			"%s in spec.snapshot", fitting)
	case format == v1alpha1.FormatContainerd && i.Family == amifamily.Bottlerocket:
		i.mismatch("it has no partitions, and the nodes of %s are Bottlerocket, which keeps its data in one: "+
			"name a snapshot of the format Bottlerocket in spec.snapshot", i.Words.Target)
	case format == v1alpha1.FormatBottlerocket && fitting == string(v1alpha1.FormatContainerd):
		i.mismatch("it has a partition table, which nodes of the family %s cannot mount over /var/lib/containerd: name a "+
			"snapshot of the format Containerd in spec.snapshot", i.Family)
	case format == "":
		i.warn(v1alpha1.ReasonNotChecked, "the format of snapshot %s is not known: make sure that it is %s, which the "+
			"nodes of %s need", i.Snapshot.ID, fitting, i.Words.Target)
	}
}

func (i *inspection) mismatch(why string, args ...any) {
	words := append([]any{i.Snapshot.ID, i.Snapshot.Format}, args...)
	i.block(v1alpha1.ReasonFormatMismatch, "snapshot %s has the format %s: "+why, words...)
}

// formatFor returns the format that a family's nodes can use, in words.
func formatFor(family string) string {
	switch family {
	case amifamily.Bottlerocket:
		return string(v1alpha1.FormatBottlerocket)
	case amifamily.AL2023, amifamily.AL2:
		return string(v1alpha1.FormatContainerd)
	default:
		return "Bottlerocket or Containerd"
	}
}
