package preflight

import (
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// regionRate is how many MiB a second all volumes of a Region may be initialized with at a time, unless the quota was
// raised: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html
const regionRate = 5000

// checkFastRestore says what is paid for in vain.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_EbsBlockDevice.html
func (i *inspection) checkFastRestore() {
	if i.rate() > 0 && i.Snapshot.FastRestore {
		i.warn(v1alpha1.ReasonRateIgnoresFastRestores, "%s of EC2NodeClass %s has a volumeInitializationRate, with which EBS does "+
			"not use the fast snapshot restores of snapshot %s, while they are paid for: leave "+
			"device.volumeInitializationRate out, or spec.fastSnapshotRestore of the snapshot", i.Device.Name, i.class, i.Snapshot.ID)
	}
}

// checkRate compares the nodes that may start at once with the quota, past which EC2 refuses the launch.
func (i *inspection) checkRate() {
	rate, burst := i.rate(), i.burst()
	if rate*burst <= regionRate {
		return
	}
	i.warn(v1alpha1.ReasonRateExceedsQuota, "%d nodes of EC2NodeClass %s may start at once, and with a volumeInitializationRate "+
		"of %d MiB/s a Region's quota of %d MiB/s lets %d of them: the others fail to launch; lower "+
		"device.volumeInitializationRate, or have the quota raised", burst, i.class, rate, regionRate, regionRate/rate)
}

// rate is in MiB a second; 0 for none.
func (i *inspection) rate() int64 {
	rate, _ := ebsOf(i.Wanted)["volumeInitializationRate"].(int64)
	return rate
}

// burst is how many nodes may start at once: all of them are replaced, or the NodePools grow to what they may have. Their
// other limits, like cpu, are no number of nodes.
func (i *inspection) burst() int64 {
	var limit int64
	for _, pool := range i.Pools {
		replicas, _, _ := unstructured.NestedInt64(pool.Object, "spec", "replicas")
		limit += max(replicas, nodeLimit(pool))
	}
	return max(int64(i.Nodes), limit)
}

// nodeLimit returns 0 for none.
func nodeLimit(pool *unstructured.Unstructured) int64 {
	switch limit, _, _ := unstructured.NestedFieldNoCopy(pool.Object, "spec", "limits", "nodes"); limit := limit.(type) {
	case int64:
		return limit
	case string:
		quantity, err := resource.ParseQuantity(limit)
		if err != nil {
			return 0
		}
		return quantity.Value()
	default:
		return 0
	}
}
