package preflight_test

import (
	"testing"

	"github.com/larder-dev/larder/controllers/binding/preflight"
)

func withUserData(userData string) func(*preflight.Input) {
	return func(in *preflight.Input) { in.UserData = userData }
}

func withRAID0(in *preflight.Input) { in.RAID0 = true }

// commands are the settings of one bootstrap command that makes an array of the instance store and then this.
func commands(mode, bind string) string {
	return `
[settings.kubernetes]
"max-pods" = 110

[settings.bootstrap-commands.instance-storage]
commands = [["apiclient", "ephemeral-storage", "init"], ` + bind + `]
essential = true
mode = "` + mode + `"
`
}

func TestBottlerocketUserData(t *testing.T) {
	run(t, map[string]row{
		"RAID0": {reason: "Karpenter binds containerd to the instance store", in: bottlerocket(), change: withRAID0,
			problem: "InstanceStoreHidesDevice", says: `"bind", "--dirs", "/var/lib/kubelet", "/var/log/pods"`},
		"a bare bind": {reason: "it binds all that it may", in: bottlerocket(),
			change:  withUserData(commands("always", `["apiclient", "ephemeral-storage", "bind"]`)),
			problem: "InstanceStoreHidesDevice", says: "a bootstrap command in spec.userData"},
		"a bind of containerd": {reason: "the cache is never seen", in: bottlerocket(),
			change:  withUserData(commands("once", `["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/kubelet", "/var/lib/containerd/"]`)),
			problem: "InstanceStoreHidesDevice", says: "bind only kubelet's"},
		"a bind of what is above": {reason: "containerd is below it", in: bottlerocket(),
			change:  withUserData(commands("always", `["apiclient", "--verbose", "ephemeral-storage", "bind", "--dirs", "/var/lib"]`)),
			problem: "InstanceStoreHidesDevice"},
		"a GPU pool's way out": {reason: "this is what the message recommends", in: bottlerocket(),
			change: withUserData(commands("always", `["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/kubelet", "/var/log/pods"]`))},
		"a bind that is off": {reason: "it does not run", in: bottlerocket(),
			change: withUserData(commands("off", `["apiclient", "ephemeral-storage", "bind"]`))},
		"other commands": {reason: "they bind nothing", in: bottlerocket(),
			change: withUserData(commands("always", `["apiclient", "ephemeral-storage"], ["apiclient", "set", "motd=bind"], []`))},
		"soci": {reason: "Bottlerocket empties containerd's directory for it", in: bottlerocket(),
			change:  withUserData("[settings.container-runtime]\nsnapshotter = \"soci\"\n"),
			problem: "SnapshotterUnsupported", says: "remove that setting"},
		"overlayfs by name": {reason: "it is the default", in: bottlerocket(),
			change: withUserData("[settings.container-runtime]\nsnapshotter = \"overlayfs\"\n")},
		"bootstrap containers": {reason: "what an image does cannot be known", in: bottlerocket(),
			change: withUserData("[settings.bootstrap-containers.raid]\nsource = \"registry.example/raid:v1\"\nmode = \"always\"\n")},
		"no TOML": {reason: "Karpenter says what is wrong with it", in: bottlerocket(), change: withUserData("#!/bin/bash\nreboot\n"),
			warnings: []string{"NotChecked"}, says: "cannot be read as TOML"},
		"settings of another shape": {reason: "what the node makes of them is not known", in: bottlerocket(),
			change:   withUserData("[settings.bootstrap-commands]\nx = 1\n"),
			warnings: []string{"NotChecked"}},
	})
}
