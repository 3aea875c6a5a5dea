package volumesnapshot

import (
	"fmt"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// checkFormat keeps pods from a volume that kubelet cannot mount. A volume of the format Containerd has a filesystem
// without partitions, so a pod can read it, and a containerd of the pod's own can use it; but it is not what most expect.
func checkFormat(snapshot binding.Snapshot) (*binding.Problem, []binding.Warning) {
	switch snapshot.Format {
	case v1alpha1.FormatFiles:
		return nil, nil
	case v1alpha1.FormatBottlerocket:
		return &binding.Problem{
			Reason: v1alpha1.ReasonFormatMismatch, Stalled: true,
			Message: fmt.Sprintf("snapshot %s has the format Bottlerocket: it has a partition table, and kubelet mounts a volume as "+
				"one filesystem: name a snapshot of the format Files in spec.snapshot", snapshot.ID),
		}, nil
	case v1alpha1.FormatContainerd:
		return nil, []binding.Warning{{
			Reason: v1alpha1.ReasonFormatMismatch,
			Message: fmt.Sprintf("snapshot %s has the format Containerd: a pod finds containerd's own store on it, of use to a "+
				"containerd in the pod alone; for the files of images name a snapshot of the format Files", snapshot.ID),
		}}
	default:
		return nil, []binding.Warning{{
			Reason: v1alpha1.ReasonNotChecked,
			Message: fmt.Sprintf("the format of snapshot %s is not known: make sure that it holds one filesystem without a partition "+
				"table, as the format Files does", snapshot.ID),
		}}
	}
}
