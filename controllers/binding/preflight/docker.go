package preflight

import (
	"slices"

	"github.com/pelletier/go-toml/v2"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

// bootsImages tells whether nodes are to find images on the volume, and not files.
func (i *inspection) bootsImages() bool {
	return i.Runtime != amifamily.Docker && i.Snapshot.Format != v1alpha1.FormatFiles
}

// checkDockerDevice keeps Bottlerocket's own data volume, which has Docker's images and the settings of the host's
// containers, from being replaced by files.
func (i *inspection) checkDockerDevice() {
	if i.Family == amifamily.Bottlerocket && i.Device == amifamily.BottlerocketDataDevice {
		i.block(v1alpha1.ReasonDeviceUnlikeFamily, "%s is where Bottlerocket hosts keep everything that they write, and a volume of "+
			"files in its place would leave them without: delete this binding and make one for another device, for instance /dev/xvdf",
			i.Device)
	}
}

// checkDockerFormat refuses images: Docker keeps its own in another way than containerd does for Kubernetes.
func (i *inspection) checkDockerFormat() {
	switch i.Snapshot.Format {
	case v1alpha1.FormatFiles:
	case "":
		i.warn(v1alpha1.ReasonNotChecked, "the format of snapshot %s is not known: make sure that it is Files, since the nodes of %s "+
			"run Docker, which does not read a containerd store", i.Snapshot.ID, i.Words.Target)
	default:
		i.mismatch("the nodes of %s run Docker, and their Docker does not read a containerd store: use the format Files on a "+
			"data device", i.Words.Target)
	}
}

// checkDockerMounts only warns: where tasks look for their files is theirs to know.
func (i *inspection) checkDockerMounts() {
	if i.Family == amifamily.Bottlerocket {
		if !hasBootstrap(i.UserData) {
			i.warnFilesNotMounted("Bottlerocket mounts no volume but its own, unless a bootstrap container does")
		}
		return
	}
	parts, _ := splitUserData(i.UserData, func(string) bool { return false })
	var mounts []string
	for _, one := range parts {
		if script := one.mounts(i.Device); script != "" {
			mounts = append(mounts, script)
		}
	}
	if len(mounts) == 0 && !slices.ContainsFunc(parts, part.fetches) {
		i.warnFilesNotMounted("nothing else does, unless the AMI")
	}
	i.warnFormatting(mounts)
}

func (i *inspection) warnFilesNotMounted(why string) {
	i.warn(v1alpha1.ReasonDeviceNotMounted, "nothing that could be read in %s of %s mounts %s, and %s: make sure that something does, or "+
		"containers do not see the files on it", i.Words.UserData, i.Words.Target, i.Device, why)
}

// hasBootstrap tells whether Bottlerocket's settings run a container or commands at boot.
// https://bottlerocket.dev/en/os/latest/#/api/settings/bootstrap-containers/
func hasBootstrap(settings string) bool {
	var data struct {
		Settings struct {
			Containers map[string]any `toml:"bootstrap-containers"`
			Commands   map[string]any `toml:"bootstrap-commands"`
		} `toml:"settings"`
	}
	return toml.Unmarshal([]byte(settings), &data) == nil && len(data.Settings.Containers)+len(data.Settings.Commands) > 0
}
