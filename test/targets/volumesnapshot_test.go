package targets

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/controlplane"
)

// TestVolumeSnapshotWithTheRealController: binding and finalizers are the snapshot controller's own here.
func TestVolumeSnapshotWithTheRealController(t *testing.T) {
	plane := controlplane.StartWithoutKarpenter(t)
	plane.InstallVolumeSnapshots(t)
	runSnapshotController(t, plane)
	real := func(t *testing.T) *storage {
		s := volumeSnapshots(t, plane)
		s.real = true
		return s
	}
	t.Run("a whole life", func(t *testing.T) { testVolumeSnapshotLife(real(t)) })
}

// testVolumeSnapshotLife: bind, renew, fail, roll back, delete.
func testVolumeSnapshotLife(s *storage) {
	first := s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	b := s.settle(name)
	s.Expect("bound", b, map[string]string{"Ready": "True Ready", "Applied": "True Applied", "PreflightPassed": "True Passed"})
	s.provides(first)
	if b.Status.LastKnownGoodSnapshotID != first || !b.Status.LastKnownGoodProven {
		s.Errorf("the driver says that %s is ready, and it is not proven: %+v", first, b.Status)
	}

	second := s.Renew(v1alpha1.FormatFiles)
	before := s.snapshot().UID
	s.Expect("renewed", s.settle(name), map[string]string{"Ready": "True Ready", "Applied": "True Applied"})
	s.provides(second)
	if s.snapshot().UID == before {
		s.Error("the source of a VolumeSnapshot cannot change, and it is the same one")
	}
	s.keeps(second)

	third := s.Renew(v1alpha1.FormatFiles)
	s.broken[third] = "rpc error: code = NotFound desc = Snapshot not found"
	b = s.settle(name)
	s.Expect("rolled back", b, map[string]string{"Ready": "False RolledBack", "Applied": "False RolledBack"})
	s.provides(second)
	s.keeps(second)
	want := third + " failed (UpdateFailed: the CSI driver cannot use snapshot " + third + ": rpc error: code = NotFound desc = Snapshot not found)"
	if got := Message(b, "Ready"); len(got) < len(want) || got[:len(want)] != want {
		s.Errorf("Ready says %q, want %q first", got, want)
	}

	s.Unbind(name)
	if b := s.settle(name); b != nil || s.snapshot() != nil || len(s.contents()) > 0 {
		s.Errorf("left are %v, %v and %v", b, s.snapshot(), s.contents())
	}
}

// provides compares the snapshot that a new claim gets.
func (s *storage) provides(want string) {
	s.Helper()
	if got, later := s.provision(s.Context()); got != want {
		s.Errorf("a claim gets %q (%s), want %s", got, later, want)
	}
}

// keeps compares the snapshots that there are contents for.
func (s *storage) keeps(want ...string) {
	s.Helper()
	got := map[string]bool{}
	for id := range s.contents() {
		got[id] = true
	}
	wanted := map[string]bool{}
	for _, id := range want {
		wanted[id] = true
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		s.Errorf("contents (-want +got):\n%s", diff)
	}
}
