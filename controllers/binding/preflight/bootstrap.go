package preflight

import (
	"path"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

const (
	// containerdRoot is where containerd keeps images on the nodes of every family.
	containerdRoot = "/var/lib/containerd"
	// overlayfs is the snapshotter that volumes are made for.
	overlayfs = "overlayfs"
	// raid0 is nodeadm's name of one array of all instance stores, and the one instanceStorePolicy of Karpenter.
	raid0 = "RAID0"
)

// checkBootstrap asks what nodes do with their disks when they start: by Karpenter's instanceStorePolicy, and by their
// user data, which every family reads in its own way.
func (i *inspection) checkBootstrap() {
	if i.Runtime == amifamily.Docker {
		i.checkDockerMounts()
		return
	}
	switch i.Family {
	case amifamily.Bottlerocket:
		i.checkBottlerocket()
	case amifamily.AL2023:
		i.checkNodeadm()
	case amifamily.AL2:
		i.checkAL2()
	case amifamily.Custom, amifamily.Unknown:
		i.checkCustom()
	}
}

func (i *inspection) blockSnapshotter(what, remedy string) {
	i.block(v1alpha1.ReasonSnapshotterUnsupported, "%s of %s %s, and the images on %s are unpacked for "+
		"the snapshotter overlayfs, so that nodes would pull them all again: %s", i.Words.UserData, i.Words.Target, what, i.Device, remedy)
}

// warnUnread does not say what the parser said: it quotes what it does not understand.
func (i *inspection) warnUnread(expected, unseen string) {
	i.warn(v1alpha1.ReasonNotChecked, "%s of %s cannot be read as %s: make sure that nothing in it %s",
		i.Words.UserData, i.Words.Target, expected, unseen)
}

// hidesContainerd tells whether something mounted over a directory hides containerd's, or a part of it.
func hidesContainerd(directory string) bool {
	directory = path.Clean(directory)
	return directory == "/" || directory == containerdRoot ||
		strings.HasPrefix(containerdRoot, directory+"/") || strings.HasPrefix(directory, containerdRoot+"/")
}
