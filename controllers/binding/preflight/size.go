package preflight

import (
	"github.com/larder-dev/larder/api/v1alpha1"
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
		size := i.find(image.RootDevice).SizeGiB
		if size > 0 && size < image.RootGiB {
			i.block(v1alpha1.ReasonRootDeviceTooSmall, "the root device %s of %s has %d GiB, and its AMI %s needs "+
				"%d: raise its volumeSize in %s to %dGi or more",
				image.RootDevice, i.Words.Target, size, image.ID, image.RootGiB, i.Words.List, image.RootGiB)
		}
	}
}

// checkContents leaves room for the images that nodes pull beside those of the snapshot. Files have no such company.
func (i *inspection) checkContents() {
	size := i.Wanted.SizeGiB
	if size == 0 || !i.bootsImages() || i.Snapshot.StoredBytes*100 <= size*gib*fullPercent {
		return
	}
	i.warn(v1alpha1.ReasonContentsFillVolume, "the images of snapshot %s take %d GiB of the %d GiB of %s in %s, "+
		"and kubelet cannot collect them, so that little is left for what else nodes pull: set device.volumeSize to %dGi or more",
		i.Snapshot.ID, wholeGiB(i.Snapshot.StoredBytes), size, i.Device, i.Words.Target, wholeGiB(i.Snapshot.StoredBytes*100/fullPercent))
}

func wholeGiB(bytes int64) int64 { return (bytes + gib - 1) / gib }
