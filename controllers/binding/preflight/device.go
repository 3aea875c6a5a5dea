package preflight

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

func (i *inspection) checkDuplicates() {
	same := 0
	for _, device := range i.devices {
		if device["deviceName"] == i.Device.Name {
			same++
		}
	}
	if same > 1 {
		i.block(v1alpha1.ReasonDeviceDuplicated, "EC2NodeClass %s lists %s %d times in spec.blockDeviceMappings, and EC2 "+
			"takes one: remove the others", i.class, i.Device.Name, same)
	}
}

func (i *inspection) checkRoot() {
	if slices.Contains(i.rootDevices(), i.Device.Name) {
		i.block(v1alpha1.ReasonDeviceInvalid, "%s is the root device of %s nodes, which boot from it: name the data device "+
			"in spec.target.ec2NodeClass.device, /dev/xvdb for Bottlerocket", i.Device.Name, i.family)
	}
}

// rootDevices are those that the class's nodes boot from, as far as that is known.
func (i *inspection) rootDevices() []string {
	var names []string
	if root := amifamily.RootDevice(i.family); root != "" {
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
	if current := i.find(i.Device.Name); current != nil && ebsOf(current) == nil {
		i.block(v1alpha1.ReasonDeviceInvalid, "%s of EC2NodeClass %s has no ebs, so it is no volume that a snapshot could "+
			"fill: remove it from spec.blockDeviceMappings, or name another device", i.Device.Name, i.class)
	}
}

// checkList keeps the first device of a list from replacing a root device that Larder cannot write.
func (i *inspection) checkList() {
	if len(i.devices) == 0 && amifamily.DefaultDevices(i.family) == nil {
		i.block(v1alpha1.ReasonDeviceInvalid, "EC2NodeClass %s has no spec.blockDeviceMappings, and a list with %s alone "+
			"would replace the root device that Karpenter adds for family %s: add the root device to "+
			"spec.blockDeviceMappings first", i.class, i.Device.Name, i.family)
	}
}

// checkFamily asks whether nodes look for their images on this device. Bottlerocket finds its data partition by its name,
// and with two volumes that have one the AMI's own empty one may win.
func (i *inspection) checkFamily() {
	switch {
	case i.family == amifamily.Bottlerocket && i.Device.Name != amifamily.BottlerocketDataDevice:
		i.block(v1alpha1.ReasonDeviceUnlikeFamily, "%s is not where Bottlerocket nodes keep images, and a second data "+
			"partition beside that of %s makes them choose one of the two at random: delete this binding and make one for %s",
			i.Device.Name, amifamily.BottlerocketDataDevice, amifamily.BottlerocketDataDevice)
	case i.family == amifamily.Custom || i.family == amifamily.Unknown:
		i.warn(v1alpha1.ReasonNotChecked, "EC2NodeClass %s has the AMI family %s, so nobody but its AMI knows whether %s "+
			"is where containerd keeps its images: try it on a node", i.class, i.family, i.Device.Name)
	}
}

// find returns the class's device of that name, nil when there is none.
func (i *inspection) find(name string) map[string]any {
	for _, device := range i.devices {
		if device["deviceName"] == name {
			return device
		}
	}
	return nil
}

func devicesOf(class *unstructured.Unstructured) []map[string]any {
	spec, _ := class.Object["spec"].(map[string]any)
	list, _ := spec["blockDeviceMappings"].([]any)
	var devices []map[string]any
	for _, entry := range list {
		if device, isObject := entry.(map[string]any); isObject {
			devices = append(devices, device)
		}
	}
	return devices
}

func ebsOf(device map[string]any) map[string]any {
	ebs, _ := device["ebs"].(map[string]any)
	return ebs
}
