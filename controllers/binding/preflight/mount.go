package preflight

import (
	"regexp"
	"slices"
	"strings"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding/amifamily"
)

var (
	// mounting is how a script or cloud-init's configuration mounts: the command, a line for fstab, a unit, the module.
	mounting = regexp.MustCompile(`\bmount\b|/etc/fstab|\.mount\b|(?m:^mounts:)`)
	// mapped are names of block device mappings, and named what finds a volume without one.
	mapped = regexp.MustCompile(`/dev/(?:sd|xvd)([a-z]{1,2})\b`)
	named  = regexp.MustCompile(`\b(?:PART)?(?:LABEL|UUID)=|/dev/disk/by-|/dev/nvme|\blsblk\b|\bblkid\b|\bebsnvme-id\b`)
	// formatting is what no volume with images survives.
	formatting = regexp.MustCompile(`\bmkfs\b`)
	// fetching is how a script comes by another one.
	fetching = regexp.MustCompile(`\b(?:curl|wget|aws\s+s3|git\s+clone|ansible\S*)\b`)
	// comment is a line of nothing else.
	comment = regexp.MustCompile(`(?m)^\s*#.*$`)
)

// checkMounted asks whether AL2023's nodes mount the device: nothing of Amazon's AMIs does. Where something else may, which
// cannot be seen, it only warns.
func (i *inspection) checkMounted(parts []part, readable bool) {
	mounts := i.mounts(parts)
	switch {
	case len(mounts) > 0 || !readable:
	case i.Stock && !slices.ContainsFunc(parts, part.fetches):
		i.block(v1alpha1.ReasonDeviceNotMounted, "nothing in %s of %s mounts %s over %s, so that nodes would "+
			"not see the images on it: add the script of docs/node-user-data.md, with device=%s",
			i.Words.UserData, i.Words.Target, i.Device, containerdRoot, i.Device)
	default:
		i.warnNotMounted()
	}
	i.warnFormatting(mounts)
}

func (i *inspection) warnNotMounted() {
	i.warn(v1alpha1.ReasonDeviceNotMounted, "nothing that could be read in %s of %s mounts %s over %s: unless "+
		"its AMI does, or what its scripts fetch, nodes do not see the images on it; docs/node-user-data.md has a script",
		i.Words.UserData, i.Words.Target, i.Device, containerdRoot)
}

// fetches tells whether a script runs what is elsewhere. Asking the instance's own metadata service is no such thing.
func (p part) fetches() bool {
	return p.mediaType != nodeConfigType && slices.ContainsFunc(strings.Split(p.text, "\n"), func(line string) bool {
		return fetching.MatchString(line) && !strings.Contains(line, "169.254.169.254")
	})
}

// mounts returns the scripts that mount the device over containerd's directory, as far as a look at their words tells.
func (i *inspection) mounts(parts []part) []string {
	var scripts []string
	for _, one := range parts {
		if script := one.mounts(i.Device); strings.Contains(script, containerdRoot) {
			scripts = append(scripts, script)
		}
	}
	return scripts
}

// mounts returns a script that mounts the device, without its comments; empty for any other part.
func (p part) mounts(device string) string {
	script := comment.ReplaceAllString(p.text, "")
	if p.mediaType == nodeConfigType || !mounting.MatchString(script) || !namesDevice(script, device) {
		return ""
	}
	return script
}

// namesDevice tells whether a script means the device: by its name, where /dev/sdb and /dev/xvdb are the same, or, when it
// has no name of a mapping at all, by what finds a volume otherwise.
func namesDevice(script, device string) bool {
	names := mapped.FindAllStringSubmatch(script, -1)
	wanted := mapped.FindStringSubmatch(device)
	if len(names) == 0 || wanted == nil {
		return named.MatchString(script)
	}
	return slices.ContainsFunc(names, func(name []string) bool { return name[1] == wanted[1] })
}

func (i *inspection) warnFormatting(mounts []string) {
	if slices.ContainsFunc(mounts, formatting.MatchString) {
		i.warn(v1alpha1.ReasonNotChecked, "a script in %s of %s mounts %s and also makes a filesystem: make "+
			"sure that it never formats that device, or use the script of docs/node-user-data.md", i.Words.UserData, i.Words.Target, i.Device)
	}
}

// checkAL2 reads the user data of AL2, whose bootstrap script has the instance store mounted as RAID0 does.
func (i *inspection) checkAL2() {
	if i.RAID0 {
		i.block(v1alpha1.ReasonInstanceStoreHides, "%s has %s RAID0, with which nodes of the family "+
			"%s give containerd's directory to the instance store, and the images on %s are never seen: remove %s",
			i.Words.Target, i.Words.InstanceStorePolicy, amifamily.AL2, i.Device, i.Words.InstanceStorePolicy)
	}
	i.checkCustom()
}

// checkCustom only warns: what an AMI that is not known to mount the device does is its maker's to know.
func (i *inspection) checkCustom() {
	if i.Snapshot.Format != v1alpha1.FormatContainerd {
		return
	}
	parts, _ := splitUserData(i.UserData, func(string) bool { return false })
	mounts := i.mounts(parts)
	if len(mounts) == 0 {
		i.warnNotMounted()
	}
	i.warnFormatting(mounts)
}
