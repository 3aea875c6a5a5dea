package targets

import (
	"testing"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// TestVolumeSnapshotRefusedRenewal has a snapshot come that no claim could be mounted from: claims get the proven one until a
// fitting one comes.
func TestVolumeSnapshotRefusedRenewal(t *testing.T) {
	s := onStorage(New(t, storageOptions(nil)))
	first := s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	s.settle(name)
	before, changes := s.snapshot(), len(s.changes)
	unfit := s.Renew(v1alpha1.FormatBottlerocket)
	s.Wait(Interval)
	s.refuses(name, "FormatMismatch", "snapshot "+unfit+" has the format Bottlerocket: it has a partition table, and kubelet mounts a volume as "+
		"one filesystem: name a snapshot of the format Files in spec.snapshot")
	for _, one := range s.changes[changes:] {
		if !one.ofBinding {
			t.Errorf("half applied: %s", one.what)
		}
	}
	s.provides(first)
	s.keeps(first)
	b := s.settle(name)
	if s.snapshot().UID != before.UID || b.Status.AppliedSnapshotID != first || b.Status.LastKnownGoodSnapshotID != first || b.Status.RejectedSnapshotID != "" {
		t.Errorf("the VolumeSnapshot was replaced, or the status forgets %s: %+v", first, b.Status)
	}
	third := s.Renew(v1alpha1.FormatFiles)
	s.Expect("with a fitting one", s.settle(name), map[string]string{"Ready": "True Ready"})
	s.provides(third)
	s.keeps(third)
}
