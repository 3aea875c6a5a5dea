package preflight

import "github.com/larder-dev/larder/api/v1alpha1"

// regionRate is how many MiB a second all volumes of a Region may be initialized with at a time, unless the quota was
// raised: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html
const regionRate = 5000

// checkFastRestore says what is paid for in vain.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html
func (i *inspection) checkFastRestore() {
	if i.Wanted.InitializationRate > 0 && i.Snapshot.FastRestore {
		i.warn(v1alpha1.ReasonRateIgnoresFastRestores, "%s of %s has a volumeInitializationRate, with which EBS does "+
			"not use the fast snapshot restores of snapshot %s, while they are paid for: leave "+
			"device.volumeInitializationRate out, or spec.fastSnapshotRestore of the snapshot", i.Device, i.Words.Target, i.Snapshot.ID)
	}
}

// checkRate compares the nodes that may start at once with the quota, past which EC2 refuses the launch.
func (i *inspection) checkRate() {
	rate := i.Wanted.InitializationRate
	if rate*i.Burst <= regionRate {
		return
	}
	i.warn(v1alpha1.ReasonRateExceedsQuota, "%d nodes of %s may start at once, and with a volumeInitializationRate "+
		"of %d MiB/s a Region's quota of %d MiB/s lets %d of them: the others fail to launch; lower "+
		"device.volumeInitializationRate, or have the quota raised", i.Burst, i.Words.Target, rate, regionRate, regionRate/rate)
}
