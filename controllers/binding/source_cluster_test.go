package binding_test

import (
	"context"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// sourceOf is a SnapshotSource for tests of everything else: as operator reads the cluster, and with an AWS that has, of
// our account and completed, the snapshots that the ImageCacheSnapshots in truth name.
func sourceOf(operator, truth client.Reader, now clock.PassiveClock) *binding.SnapshotSource {
	return &binding.SnapshotSource{
		Client: operator, Snapshots: namedSnapshots{truth}, Keys: cloudKeys{}, Parameters: cloudParameters{},
		Account: func(context.Context) (string, error) { return ownAccount, nil },
		Region:  sourceRegion, Clock: now,
	}
}

type namedSnapshots struct{ cluster client.Reader }

func (n namedSnapshots) Describe(ctx context.Context, id string) (ebs.Snapshot, error) {
	var list v1alpha1.ImageCacheSnapshotList
	if err := n.cluster.List(ctx, &list); err != nil {
		return ebs.Snapshot{}, err
	}
	found := completedSnapshot(id)
	for _, object := range list.Items {
		if size := object.Status.VolumeSize; object.Status.SnapshotID == id && size != nil {
			found.VolumeSize = binding.WholeGiB(*size)
			return found, nil
		}
		for _, revision := range object.Status.Revisions {
			if size := revision.VolumeSize; revision.SnapshotID == id && size != nil {
				found.VolumeSize = binding.WholeGiB(*size)
				return found, nil
			}
		}
	}
	return ebs.Snapshot{}, notThere(id)
}

func (namedSnapshots) FastRestores(context.Context, []string) ([]ebs.FastRestore, error) {
	return nil, nil
}
