package preflight

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

const (
	gib = 1 << 30
	// fullPercent of a volume may hold images that kubelet cannot collect. It begins to collect others at 85 % of the
	// filesystem, and evicts pods at 15 % free space: what is left below that is all that nodes can pull beside them.
	// https://kubernetes.io/docs/concepts/architecture/garbage-collection/#containers-images
	fullPercent = 60
)

// checkRootSize keeps EC2 from refusing every launch: no volume is smaller than the snapshot it is made of.
func (i *inspection) checkRootSize() {
	for _, image := range i.AMIs {
		size := sizeGiB(ebsOf(i.find(image.RootDevice)))
		if size > 0 && size < image.RootGiB {
			i.block(v1alpha1.ReasonRootDeviceTooSmall, "the root device %s of EC2NodeClass %s has %d GiB, and its AMI %s needs "+
				"%d: raise its volumeSize in spec.blockDeviceMappings to %dGi or more",
				image.RootDevice, i.class, size, image.ID, image.RootGiB, image.RootGiB)
		}
	}
}

func (i *inspection) checkContents() {
	size := sizeGiB(ebsOf(i.Wanted))
	if size == 0 || i.Snapshot.StoredBytes*100 <= size*gib*fullPercent {
		return
	}
	i.warn(v1alpha1.ReasonContentsFillVolume, "the images of snapshot %s take %d GiB of the %d GiB of %s in EC2NodeClass %s, "+
		"and kubelet cannot collect them, so that little is left for what else nodes pull: set device.volumeSize to %dGi or more",
		i.Snapshot.ID, wholeGiB(i.Snapshot.StoredBytes), size, i.Device.Name, i.class, wholeGiB(i.Snapshot.StoredBytes*100/fullPercent))
}

func wholeGiB(bytes int64) int64 { return (bytes + gib - 1) / gib }

// sizeGiB returns a volume's size; 0 when it says none.
func sizeGiB(ebs map[string]any) int64 {
	text, _ := ebs["volumeSize"].(string)
	size, err := resource.ParseQuantity(text)
	if err != nil {
		return 0
	}
	return binding.WholeGiB(size)
}
