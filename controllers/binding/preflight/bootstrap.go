package preflight

import (
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

const (
	// containerdRoot is where containerd keeps images on the nodes of every family.
	containerdRoot = "/var/lib/containerd"
	// overlayfs is the snapshotter that volumes are made for.
	overlayfs = "overlayfs"
	// raid0 is the one instanceStorePolicy of Karpenter.
	raid0 = "RAID0"
)

// checkBootstrap asks what nodes do with their disks when they start: by the class's instanceStorePolicy, and by its user
// data, which every family reads in its own way.
func (i *inspection) checkBootstrap() {
	userData, _, _ := unstructured.NestedString(i.Class.Object, "spec", "userData")
	switch i.family {
	case amifamily.Bottlerocket:
		i.checkBottlerocket(userData)
	case amifamily.AL2023:
		i.checkNodeadm(userData)
	case amifamily.AL2:
		i.checkAL2(userData)
	case amifamily.Custom, amifamily.Unknown:
		i.checkCustom(userData)
	}
}

func (i *inspection) hasRAID0() bool {
	policy, _, _ := unstructured.NestedString(i.Class.Object, "spec", "instanceStorePolicy")
	return policy == raid0
}

func (i *inspection) blockSnapshotter(what, remedy string) {
	i.block(v1alpha1.ReasonSnapshotterUnsupported, "spec.userData of EC2NodeClass %s %s, and the images on %s are unpacked for "+
		"the snapshotter overlayfs, so that nodes would pull them all again: %s", i.class, what, i.Device.Name, remedy)
}

// warnUnread does not say what the parser said: it quotes what it does not understand.
func (i *inspection) warnUnread(expected, unseen string) {
	i.warn(v1alpha1.ReasonNotChecked, "spec.userData of EC2NodeClass %s cannot be read as %s: make sure that nothing in it %s",
		i.class, expected, unseen)
}

// hidesContainerd tells whether something mounted over a directory hides containerd's, or a part of it.
func hidesContainerd(directory string) bool {
	directory = path.Clean(directory)
	return directory == "/" || directory == containerdRoot ||
		strings.HasPrefix(containerdRoot, directory+"/") || strings.HasPrefix(directory, containerdRoot+"/")
}
