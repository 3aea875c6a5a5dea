package preflight

import (
	"slices"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

func (i *inspection) checkDuplicates() {
	same := 0
	for _, device := range i.Devices {
		if device.Name == i.Device {
			same++
		}
	}
	if same > 1 {
		i.block(v1alpha1.ReasonDeviceDuplicated, "%s lists %s %d times in %s, and EC2 takes one: remove the others",
			i.Words.Target, i.Device, same, i.Words.List)
	}
}

func (i *inspection) checkRoot() {
	if slices.Contains(i.rootDevices(), i.Device) {
		i.block(v1alpha1.ReasonDeviceInvalid, "%s is the root device of %s nodes, which boot from it: name the data device "+
			"in %s, /dev/xvdb for Bottlerocket", i.Device, i.Family, i.Words.Device)
	}
}

// rootDevices are those that the nodes boot from, as far as that is known.
func (i *inspection) rootDevices() []string {
	var names []string
	if root := amifamily.RootDevice(i.Family); root != "" {
		names = append(names, root)
	}
	for _, image := range i.AMIs {
		if image.RootDevice != "" && !slices.Contains(names, image.RootDevice) {
			names = append(names, image.RootDevice)
		}
	}
	return names
}

// checkVolume refuses a mapping of an instance store volume.
func (i *inspection) checkVolume() {
	if current := i.find(i.Device); current.Name != "" && !current.EBS {
		i.block(v1alpha1.ReasonDeviceInvalid, "%s of %s has no ebs, so it is no volume that a snapshot could fill: remove it "+
			"from %s, or name another device", i.Device, i.Words.Target, i.Words.List)
	}
}

// checkList keeps the first device of a list from replacing a root device that Larder cannot write.
func (i *inspection) checkList() {
	if len(i.Devices) == 0 && i.RootAddedBy != "" {
		i.block(v1alpha1.ReasonDeviceInvalid, "%s has no %s, and a list with %s alone would replace the root device that %s "+
			"adds for family %s: add the root device to %s first",
			i.Words.Target, i.Words.List, i.Device, i.RootAddedBy, i.Family, i.Words.List)
	}
}

// checkFamily asks whether nodes look for their images on this device. Bottlerocket finds its data partition by its name,
// and with two volumes that have one the AMI's own empty one may win.
func (i *inspection) checkFamily() {
	switch {
	case i.Runtime == amifamily.Docker:
		i.checkDockerDevice()
	case i.Family == amifamily.Bottlerocket && i.Device != amifamily.BottlerocketDataDevice:
		i.block(v1alpha1.ReasonDeviceUnlikeFamily, "%s is not where Bottlerocket nodes keep images, and a second data "+
			"partition beside that of %s makes them choose one of the two at random: delete this binding and make one for %s",
			i.Device, amifamily.BottlerocketDataDevice, amifamily.BottlerocketDataDevice)
	case i.Family == amifamily.Custom || i.Family == amifamily.Unknown:
		i.warn(v1alpha1.ReasonNotChecked, "%s has the AMI family %s, so nobody but its AMI knows whether %s "+
			"is where containerd keeps its images: try it on a node", i.Words.Target, i.Family, i.Device)
	}
}

// find returns the target's device of that name, without a name when there is none.
func (i *inspection) find(name string) Device {
	for _, device := range i.Devices {
		if device.Name == name {
			return device
		}
	}
	return Device{}
}
