package preflight_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/larder-dev/larder/controllers/binding/preflight"
)

const mountScript = "#!/bin/bash\nmount /dev/xvdb /var/lib/containerd\n"

// archive is a MIME archive of documents, each with its header lines before its first empty line.
func archive(documents ...string) string {
	text := "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"//\"\n\n"
	for _, document := range documents {
		text += "--//\n" + document + "\n"
	}
	return text + "--//--\n"
}

func script(text string) string {
	return "Content-Type: text/x-shellscript; charset=\"us-ascii\"\n\n" + text
}

func config(spec string) string {
	return "Content-Type: application/node.eks.aws\n\n---\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: " + spec
}

func TestAL2023UserData(t *testing.T) {
	mounted := script(mountScript)
	const keep = "{instance: {localStorage: {strategy: RAID0, disabledMounts: [Containerd, PodLogs]}}}"
	run(t, map[string]row{
		"RAID0": {reason: "Karpenter has nodeadm copy containerd's directory to the instance store", in: al2023(t), change: withRAID0,
			problem: "InstanceStoreHidesDevice", says: "disabledMounts is [Containerd]"},
		"RAID0 without containerd": {reason: "the NodeConfigs of all parts are merged", in: al2023(t),
			change: func(in *preflight.Input) {
				withRAID0(in)
				in.UserData = archive(config("{instance: {localStorage: {disabledMounts: [Containerd]}}}"), mounted)
			}},
		"RAID0 by user data": {reason: "nodeadm does the same without Karpenter", in: al2023(t),
			change:  withUserData(archive(config("{instance: {localStorage: {strategy: RAID0}}}"), mounted)),
			problem: "InstanceStoreHidesDevice"},
		"RAID10 that keeps pods' logs": {reason: "containerd is bound all the same", in: al2023(t),
			change:  withUserData(archive(config("{instance: {localStorage: {strategy: RAID10, disabledMounts: [PodLogs]}}}"), mounted)),
			problem: "InstanceStoreHidesDevice"},
		"RAID0 by user data, without containerd": {reason: "the way out", in: al2023(t), change: withUserData(archive(mounted, config(keep)))},
		"disks that are mounted one by one": {reason: "none of them over containerd", in: al2023(t),
			change: withUserData(archive(mounted, config("{instance: {localStorage: {strategy: Mount}}}")))},
		"nodeadm's volumes over containerd": {reason: "it copies the AMI's directory over the databases", in: al2023(t),
			change:  withUserData(archive(mounted, config("{instance: {storage: {volumes: [{device: /dev/xvdb, mountTargets: [/var/lib/kubelet, /var/lib/containerd]}]}}}"))),
			problem: "InstanceStoreHidesDevice", says: "copies the AMI's own images over those"},
		"nodeadm's volumes elsewhere": {reason: "they are not ours", in: al2023(t),
			change: withUserData(archive(mounted, config("{instance: {storage: {volumes: [{device: /dev/xvdc, mountTargets: [/var/lib/kubelet]}]}}}")))},
		"FastImagePull": {reason: "it selects soci", in: al2023(t), change: withUserData(archive(mounted, config("{featureGates: {FastImagePull: true}}"))),
			problem: "SnapshotterUnsupported", says: "remove that feature gate"},
		"FastImagePull, taken back": {reason: "the last NodeConfig wins", in: al2023(t),
			change: withUserData(archive(mounted, config("{featureGates: {FastImagePull: true}}"), config("{featureGates: {FastImagePull: false}}")))},
		"containerd's own configuration": {reason: "it selects the snapshotter too", in: al2023(t),
			change:  withUserData(archive(mounted, config(`{containerd: {config: "[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'nydus'\n"}}`))),
			problem: "SnapshotterUnsupported", says: "spec.containerd.config"},
		"containerd's own configuration, of something else": {reason: "overlayfs stays", in: al2023(t),
			change: withUserData(archive(mounted, config(`{containerd: {config: "[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'overlayfs'\ndiscard_unpacked_layers = true\n"}}`)))},
		"a NodeConfig that is no YAML": {reason: "nodeadm says what is wrong with it", in: al2023(t),
			change:   withUserData(archive(mounted, config("{"))),
			warnings: []string{"NotChecked"}, says: "cannot be read as a script, a NodeConfig or a MIME archive"},
		"an archive that is cut short": {reason: "what was read of it counts", in: al2023(t),
			change:   withUserData(strings.TrimSuffix(archive(mounted), "--//--\n")),
			warnings: []string{"NotChecked"}},
		"an archive without a boundary": {reason: "nothing of it can be read, so that nothing is missing for sure", in: al2023(t),
			change:   withUserData("MIME-Version: 1.0\nContent-Type: text/plain\n\nhello\n"),
			warnings: []string{"NotChecked"}},
	})
}

func TestAL2023Mounts(t *testing.T) {
	const notMounted = "DeviceNotMounted"
	run(t, map[string]row{
		"no user data": {reason: "nothing of the AMI mounts a second disk", in: al2023(t), change: withUserData(""),
			problem: notMounted, says: "add the script of docs/node-user-data.md, with device=/dev/xvdb"},
		"a NodeConfig alone": {reason: "it is no script, also without a MIME archive", in: al2023(t),
			change: withUserData("apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {}\n"), problem: notMounted},
		"another script":          {reason: "it mounts nothing", in: al2023(t), change: withUserData("#!/bin/bash\nyum install -y htop\n"), problem: notMounted},
		"another directory":       {reason: "containerd does not look there", in: al2023(t), change: withUserData("#!/bin/bash\nmount /dev/xvdb /data\n"), problem: notMounted},
		"another device":          {reason: "the documented script has to be told its device", in: al2023(t), change: onDevice("/dev/xvdf"), problem: notMounted},
		"a device of a like name": {reason: "xvdba is not xvdb", in: al2023(t), change: withUserData("#!/bin/bash\nmount /dev/xvdba /var/lib/containerd\n"), problem: notMounted},
		"a comment":               {reason: "it does nothing", in: al2023(t), change: withUserData("#!/bin/bash\n  # mount /dev/xvdb /var/lib/containerd\nsystemctl reboot\n"), problem: notMounted},
		"unmounting":              {reason: "that is the contrary", in: al2023(t), change: withUserData("#!/bin/bash\numount /dev/xvdb # from /var/lib/containerd\n"), problem: notMounted},
		"a script of one's own":   {reason: "it names device and directory", in: al2023(t), change: withUserData(mountScript)},
		"the device's other name": {reason: "udev links both", in: al2023(t), change: withUserData("#!/bin/bash\nmount /dev/sdb /var/lib/containerd\n")},
		"by UUID in fstab": {reason: "the filesystem's own name", in: al2023(t),
			change: withUserData("#!/bin/bash\necho 'UUID=1234 /var/lib/containerd ext4 defaults 0 0' >>/etc/fstab; systemctl start containerd-disk\n")},
		"on Nitro": {reason: "the kernel's name for it", in: al2023(t), change: withUserData("#!/bin/bash\nmount /dev/nvme1n1 /var/lib/containerd\n")},
		"a systemd unit": {reason: "systemd mounts it", in: al2023(t),
			change: withUserData(archive(script("#!/bin/sh\ncat >/etc/systemd/system/var-lib-containerd.mount <<E\n[Mount]\nWhat=/dev/xvdb\nWhere=/var/lib/containerd\nE\n")))},
		"cloud-init's mounts": {reason: "no script is needed", in: al2023(t),
			change: withUserData(archive("Content-Type: text/cloud-config\n\n#cloud-config\nmounts:\n- [/dev/xvdb, /var/lib/containerd, ext4]\n"))},
		"a part in base64": {reason: "Terraform's cloudinit_config writes them so", in: al2023(t),
			change: withUserData(archive("Content-Transfer-Encoding: base64\nContent-Type: text/x-shellscript\n\n" + base64.StdEncoding.EncodeToString([]byte(mountScript))))},
		"a compressed part": {reason: "it may mount the device", in: al2023(t),
			change:   withUserData(archive("Content-Transfer-Encoding: base64\nContent-Type: text/x-shellscript\n\n" + base64.StdEncoding.EncodeToString([]byte("\x1f\x8b\x08zip")))),
			warnings: []string{"NotChecked"}},
		"compressed user data": {reason: "it may mount the device", in: al2023(t), change: withUserData("\x1f\x8b\x08zip"),
			warnings: []string{"NotChecked"}},
		"a part to fetch": {reason: "it may mount the device", in: al2023(t),
			change: withUserData(archive("Content-Type: text/x-include-url\n\nhttps://example.com/boot\n")), warnings: []string{"NotChecked"}},
		"a script that asks for the instance": {reason: "its metadata is no script", in: al2023(t),
			change: withUserData("#!/bin/bash\ncurl -s http://169.254.169.254/latest/meta-data/instance-id\n"), problem: notMounted},
		"a script that runs another": {reason: "that one may mount the device", in: al2023(t),
			change:   withUserData("#!/bin/bash\ncurl -s https://example.com/boot.sh | bash\n"),
			warnings: []string{notMounted}, says: "or what its scripts fetch"},
		"an AMI of one's own": {reason: "it may mount the device itself", in: al2023(t),
			change: func(in *preflight.Input) {
				withFamily("AL2023")(in)
				in.UserData = ""
			},
			warnings: []string{notMounted}, says: "unless its AMI does"},
		"a script that formats": {reason: "it may format the cache", in: al2023(t),
			change:   withUserData("#!/bin/bash\nmkfs.xfs /dev/xvdb\nmount /dev/xvdb /var/lib/containerd\n"),
			warnings: []string{"NotChecked"}, says: "also makes a filesystem"},
	})
}

func TestUserDataOfOtherFamilies(t *testing.T) {
	on := func(family, userData string) func(*preflight.Input) {
		return func(in *preflight.Input) {
			withFamily(family)(in)
			in.UserData = userData
		}
	}
	run(t, map[string]row{
		"AL2 that mounts": {reason: "as on AL2023", in: al2023(t), change: on("AL2", mountScript)},
		"AL2 that does not": {reason: "its AMI may be one's own", in: al2023(t), change: on("AL2", ""),
			warnings: []string{"DeviceNotMounted"}, says: "unless its AMI does"},
		"AL2 with RAID0": {reason: "its bootstrap script binds containerd", in: al2023(t),
			change: func(in *preflight.Input) {
				on("AL2", mountScript)(in)
				withRAID0(in)
			},
			problem: "InstanceStoreHidesDevice", says: "remove spec.instanceStorePolicy"},
		"a custom AMI that does not": {reason: "it may mount the device itself", in: al2023(t), change: on("Custom", "#!/bin/bash\n"),
			warnings: []string{"NotChecked", "DeviceNotMounted"}},
		"a custom AMI with RAID0": {reason: "Karpenter adds nothing to its user data", in: al2023(t),
			change: func(in *preflight.Input) {
				on("Custom", mountScript)(in)
				withRAID0(in)
			},
			warnings: []string{"NotChecked"}},
		"a custom AMI with Bottlerocket's format": {reason: "it may be a Bottlerocket of one's own", in: bottlerocket(), change: on("Custom", ""),
			warnings: []string{"NotChecked"}},
	})
}
