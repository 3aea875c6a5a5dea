package targets

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	t.Run("a claim that holds a VolumeSnapshot which is being deleted", func(t *testing.T) { testClaimInTheGap(real(t)) })
	t.Run("a content that is deleted", func(t *testing.T) { testContentDeleted(real(t)) })
	t.Run("a content of the policy Delete", func(t *testing.T) { testPolicyChanged(real(t)) })
	t.Run("a binding that leaves what it made", func(t *testing.T) { testVolumeSnapshotLeft(real(t)) })
	t.Run("claims in the making", func(t *testing.T) { testClaimsInTheMaking(real(t)) })
}

// testClaimInTheGap: the controller keeps a VolumeSnapshot that is being deleted while a pending claim names it, and the
// provisioner makes no volume from it, so they wait for each other until Larder makes it anew.
func testClaimInTheGap(s *storage) {
	claim := s.claim("weights", true) // early, for the controller to have heard of it
	id := s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	s.settle(name)
	deleted := s.snapshot()
	s.Must(s.Client.Delete(s.Context(), deleted))
	s.awaitEvent("SnapshotDeletePending", "Snapshot is being used to restore a PVC")
	if _, later := s.provision(s.Context()); later != "being deleted" {
		s.Errorf("the provisioner says %q of a VolumeSnapshot that is held", later)
	}
	s.Pass(name)
	s.attend()
	if made := s.snapshot(); made.UID == deleted.UID {
		s.Error("it is still there")
	}
	s.provides(id)
	s.Must(s.Client.Get(s.Context(), client.ObjectKeyFromObject(claim), claim))
}

// testContentDeleted: the VolumeSnapshot stays, and the controller binds the new content to it.
func testContentDeleted(s *storage) {
	id := s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	s.settle(name)
	before := s.snapshot()
	s.remove(s.contents()[id])
	s.Expect("mended", s.settle(name), map[string]string{"Ready": "True Ready"})
	s.provides(id)
	if s.snapshot().UID != before.UID {
		s.Error("the VolumeSnapshot was replaced")
	}
}

// testPolicyChanged: the EBS snapshot would go with its VolumeSnapshot.
func testPolicyChanged(s *storage) {
	id := s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	s.settle(name)
	content := s.contents()[id]
	changed := content.DeepCopy()
	changed.Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
	s.Must(s.Client.Patch(s.Context(), changed, client.MergeFrom(content), client.FieldOwner("backup-tool")))
	b := s.settle(name)
	if got := s.contents()[id].Spec.DeletionPolicy; got != snapshotv1.VolumeSnapshotContentRetain {
		s.Errorf("the policy is %s", got)
	}
	if b.Status.Rival == nil || b.Status.Rival.Manager != "backup-tool" {
		s.Errorf("the rival is %+v, want backup-tool", b.Status.Rival)
	}
}

func testVolumeSnapshotLeft(s *storage) {
	s.Renew(v1alpha1.FormatFiles)
	name := s.bind(func(b *v1alpha1.NodeClassBinding) { b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
	s.settle(name)
	second := s.Renew(v1alpha1.FormatFiles)
	s.Wait(Interval)
	s.Pass(name) // the first is kept as long as the second is on trial
	s.attend()
	before := s.snapshot()
	s.Unbind(name)
	if b := s.Settle(name); b != nil {
		s.Errorf("the binding is still there: %+v", b.Status)
	}
	s.attend()
	s.provides(second)
	s.keeps(second)
	snapshot, content := s.snapshot(), s.contents()[second]
	if snapshot.UID != before.UID || len(snapshot.Labels) > 0 || len(content.Labels) > 0 {
		s.Errorf("left are %v with %v and %v with %v", snapshot.UID, snapshot.Labels, content.Name, content.Labels)
	}
}

func testClaimsInTheMaking(s *storage) {
	first := s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	s.settle(name)
	made, waits := s.claim("made", true), s.claim("waits-for-a-pod", false)
	s.Clock.SetTime(time.Now().Add(time.Minute)) // the API server stamps claims by its own clock
	s.Restart()                                  // and the operator remembers no other time
	second := s.Renew(v1alpha1.FormatFiles)
	b := s.SettleUntil(name, "it waits for the claim", Is("Applied", "False UpdateInProgress"))
	target := "VolumeSnapshot " + s.namespace + "/llama"
	want := second + " is not written to " + target + " while the platform is changing it: volumes are being made from " + target +
		" for 1 of the claims of its namespace, which are to be Bound first, or to have failed for 10 minutes; new claims are made from " +
		first + " until then"
	if got := Message(b, "Applied"); got != want {
		s.Errorf("Applied says\n%q, want\n%q", got, want)
	}
	s.provides(first)
	s.bindClaim(made)
	s.Expect("with the volume made", s.settle(name), map[string]string{"Ready": "True Ready"})
	s.provides(second)
	s.Must(s.Client.Get(s.Context(), client.ObjectKeyFromObject(waits), waits))
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

// TestVolumeSnapshotRefusals: what is in the way, said in the words that its person reads.
func TestVolumeSnapshotRefusals(t *testing.T) {
	plane := controlplane.StartWithoutKarpenter(t)
	t.Run("a cluster without the kinds", func(t *testing.T) {
		s := volumeSnapshots(t, plane)
		s.Renew(v1alpha1.FormatFiles)
		name := s.bind()
		s.refuses(name, "TargetKindMissing", "this cluster has no VolumeSnapshots (snapshot.storage.k8s.io/v1): install the CSI "+
			"snapshot controller with its definitions, on EKS as the add-on snapshot-controller; the binding goes on by itself then")
		plane.InstallVolumeSnapshots(t)
		s.Expect("with the kinds", s.settle(name), map[string]string{"Ready": "True Ready"})
	})
	cases := map[string]struct {
		reason  string
		format  v1alpha1.Format
		prepare func(*storage)
		because string
		says    func(s *storage, id string) string
		// solve takes it away; nil when only another snapshot does.
		solve func(*storage)
	}{
		"no namespace": {
			reason: "claims are where the VolumeSnapshot is", format: v1alpha1.FormatFiles, because: "TargetMissing",
			prepare: func(s *storage) { s.namespace += "-later" },
			says: func(s *storage, _ string) string {
				return "namespace " + s.namespace + " does not exist: create it, or delete this binding and make one for another namespace"
			},
			solve: func(s *storage) {
				s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
				s.Clock.SetTime(s.Clock.Now().Add(time.Minute))
			},
		},
		"a VolumeSnapshot of somebody else": {
			reason: "it may be all that is left of their data", format: v1alpha1.FormatFiles, because: "VolumeSnapshotExists",
			prepare: func(s *storage) { s.Create(s.others()) },
			says: func(s *storage, _ string) string {
				return "VolumeSnapshot " + s.namespace + "/llama exists, and this binding did not make it: delete it, or delete this " +
					"binding and make one for another name"
			},
			solve: func(s *storage) { s.remove(s.others()) },
		},
		"a snapshot for Bottlerocket": {
			reason: "kubelet mounts no partition", format: v1alpha1.FormatBottlerocket, because: "FormatMismatch",
			prepare: func(*storage) {},
			says: func(_ *storage, id string) string {
				return "snapshot " + id + " has the format Bottlerocket: it has a partition table, and kubelet mounts a volume as one " +
					"filesystem: name a snapshot of the format Files in spec.snapshot"
			},
			solve: func(s *storage) { s.Renew(v1alpha1.FormatContainerd) },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := volumeSnapshots(t, plane)
			id := s.Renew(c.format)
			c.prepare(s)
			binding := s.bind()
			s.refuses(binding, c.because, c.says(s, id))
			if all := s.Mutations(); len(all) > 0 {
				t.Errorf("%s: it is half made: %v", c.reason, all)
			}
			c.solve(s)
			s.Expect(c.reason+"; without it", s.settle(binding), map[string]string{"Ready": "True Ready"})
			s.Unbind(binding)
			s.Settle(binding)
		})
	}
}

// refuses compares what a binding says that cannot be applied.
func (s *storage) refuses(name, reason, message string) {
	s.Helper()
	b := s.Pass(name)
	s.Expect("refused", b, map[string]string{"Ready": "False " + reason, "PreflightPassed": "False " + reason})
	if got := Message(b, "PreflightPassed"); got != message {
		s.Errorf("PreflightPassed says\n%q, want\n%q", got, message)
	}
}

// others is a VolumeSnapshot of the wanted name that its person took of a claim. It has Larder's label, copied from elsewhere.
func (s *storage) others() *snapshotv1.VolumeSnapshot {
	return &snapshotv1.VolumeSnapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "llama", Labels: map[string]string{v1alpha1.LabelBinding: "copied"}},
		Spec:       snapshotv1.VolumeSnapshotSpec{Source: snapshotv1.VolumeSnapshotSource{PersistentVolumeClaimName: new("weights")}},
	}
}

// TestVolumeSnapshotTakenBack: somebody who keeps deleting the VolumeSnapshot is named, and not fought.
func TestVolumeSnapshotTakenBack(t *testing.T) {
	plane := controlplane.StartWithoutKarpenter(t)
	plane.InstallVolumeSnapshots(t)
	s := volumeSnapshots(t, plane)
	s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	s.settle(name)
	for range 4 {
		s.remove(s.snapshot())
		s.Pass(name)
		s.attend()
	}
	b := s.Pass(name)
	s.Expect("after the fourth time", b, map[string]string{"Ready": "False RivalWriter"})
	want := "another user of the cluster took back VolumeSnapshot " + s.namespace + "/llama 4 times, so Larder stopped writing it: have it " +
		"leave VolumeSnapshot " + s.namespace + "/llama and its content alone; the audit log of the API server tells who deletes or " +
		"changes them"
	if got := Message(b, "Ready"); !strings.HasPrefix(got, want) {
		t.Errorf("Ready says\n%q, want\n%q first", got, want)
	}
	s.Ask(name, "now")
	s.Expect("when asked", s.settle(name), map[string]string{"Ready": "True Ready"})
}

// volumeSnapshotStory: bind, renew, fail, go back and delete.
func volumeSnapshotStory(w *World) {
	s := onStorage(w)
	s.Renew(v1alpha1.FormatFiles)
	name := s.bind()
	s.settle(name)
	claim := s.claim("weights", false)

	second := s.Renew(v1alpha1.FormatFiles)
	s.settle(name)
	s.provides(second)
	s.keeps(second)

	third := s.Renew(v1alpha1.FormatFiles)
	s.broken[third] = "Snapshot not found"
	b := s.settle(name)
	s.Expect("rolled back", b, map[string]string{"Ready": "False RolledBack"})
	s.provides(second)
	s.keeps(second)

	s.Must(s.Client.Get(s.Context(), client.ObjectKeyFromObject(claim), claim))
	s.Unbind(name)
	if b := s.Settle(name); b != nil || s.snapshot() != nil || len(s.contents()) > 0 {
		s.Errorf("left are %v, %v and %v", b, s.snapshot(), s.contents())
	}
}

// TestEveryCrashOfAVolumeSnapshot tells the story on an API server in memory, which is twenty times as fast.
func TestEveryCrashOfAVolumeSnapshot(t *testing.T) {
	EveryCrash(t, storageOptions(nil), volumeSnapshotStory, func(w *World) {
		for _, call := range w.Mutations() {
			if strings.HasPrefix(call, "DeleteSnapshot") {
				w.Error("an EBS snapshot went with its VolumeSnapshot")
			}
		}
	})
}

// TestVolumeSnapshotChangesTheSameInMemory: what holds for each request of the story in memory is about the requests that a
// real API server gets.
func TestVolumeSnapshotChangesTheSameInMemory(t *testing.T) {
	plane := controlplane.StartWithoutKarpenter(t)
	plane.InstallVolumeSnapshots(t)
	told := func(plane *controlplane.ControlPlane) []string {
		w := New(t, storageOptions(plane))
		volumeSnapshotStory(w)
		var all []string
		for _, one := range w.changes {
			all = append(all, one.what)
		}
		return all
	}
	if diff := cmp.Diff(told(plane), told(nil)); diff != "" {
		t.Errorf("changes (-on a real API server +in memory):\n%s", diff)
	}
}
