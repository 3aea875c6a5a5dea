package preflight

import (
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// bottlerocketData are the settings that decide where images are kept:
// https://bottlerocket.dev/en/os/latest/#/api/settings/container-runtime/ and
// https://bottlerocket.dev/en/os/latest/#/api/settings/bootstrap-commands/. What bootstrap containers do is in their
// images, so that nothing can be said of it.
type bottlerocketData struct {
	Settings struct {
		BootstrapCommands map[string]struct {
			Commands [][]string `toml:"commands"`
			Mode     string     `toml:"mode"`
		} `toml:"bootstrap-commands"`
		ContainerRuntime struct {
			Snapshotter string `toml:"snapshotter"`
		} `toml:"container-runtime"`
	} `toml:"settings"`
}

// bindForKubelet gives the instance store to kubelet and to pods' logs, and leaves containerd where it is.
const bindForKubelet = `[settings.bootstrap-commands.instance-storage] commands = [["apiclient", "ephemeral-storage", "init"], ` +
	`["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/kubelet", "/var/log/pods"]], essential = true, mode = "always"`

func (i *inspection) checkBottlerocket() {
	if i.RAID0 {
		i.block(v1alpha1.ReasonInstanceStoreHides, "%s has %s RAID0, with which Bottlerocket "+
			"binds containerd's directory to the instance store, and the images on %s are never seen: remove %s, "+
			"and give only kubelet's and the pods' directories to the instance store, in %s: %s", i.Words.Target,
			i.Words.InstanceStorePolicy, i.Device, i.Words.InstanceStorePolicy, i.Words.UserData, bindForKubelet)
	}
	var data bottlerocketData
	if err := toml.Unmarshal([]byte(i.UserData), &data); err != nil {
		i.warnUnread("TOML of Bottlerocket's settings", "binds containerd's directory to the instance store or selects another "+
			"snapshotter than overlayfs")
		return
	}
	for _, bootstrap := range data.Settings.BootstrapCommands {
		if bootstrap.Mode != "off" && slices.ContainsFunc(bootstrap.Commands, bindsContainerd) {
			i.block(v1alpha1.ReasonInstanceStoreHides, "a bootstrap command in %s of %s binds containerd's "+
				"directory to the instance store, and the images on %s are never seen: bind only kubelet's and the pods' directories, "+
				"in %s: %s", i.Words.UserData, i.Words.Target, i.Device, i.Words.UserData, bindForKubelet)
		}
	}
	if snapshotter := data.Settings.ContainerRuntime.Snapshotter; snapshotter != "" && snapshotter != overlayfs {
		i.blockSnapshotter("sets settings.container-runtime.snapshotter, and not to overlayfs", "remove that setting")
	}
}

// bindsContainerd reads a command as Bottlerocket's apiclient does: a bind without directories binds all that it may.
func bindsContainerd(command []string) bool {
	at := slices.Index(command, "ephemeral-storage")
	if at < 0 || at+1 >= len(command) || command[at+1] != "bind" {
		return false
	}
	directories := slices.DeleteFunc(slices.Clone(command[at+2:]), func(word string) bool { return strings.HasPrefix(word, "-") })
	return len(directories) == 0 || slices.ContainsFunc(directories, hidesContainerd)
}
