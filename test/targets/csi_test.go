package targets

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/volumesnapshot"
	"github.com/larder-dev/larder/test/controlplane"
)

// finalizers that the CSI snapshot controller puts on what it looks after.
const (
	sourceFinalizer  = "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection"
	contentFinalizer = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"
)

// runSnapshotController runs the real CSI snapshot controller until the test ends.
func runSnapshotController(t *testing.T, plane *controlplane.ControlPlane) {
	t.Helper()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	assets := exec.CommandContext(t.Context(), filepath.Join(root, "hack", "csi-assets.sh"))
	assets.Stderr = os.Stderr
	folder, err := assets.Output()
	if err != nil {
		t.Fatalf("obtaining the snapshot controller by hack/csi-assets.sh: %v", err)
	}
	kubeconfig, logs := filepath.Join(t.TempDir(), "kubeconfig"), filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(kubeconfig, plane.AdminKubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(logs)
	if err != nil {
		t.Fatal(err)
	}
	// The kinds of group snapshots, for which it waits otherwise, are not installed.
	controller := exec.Command(filepath.Join(strings.TrimSpace(string(folder)), "snapshot-controller"), "--kubeconfig="+kubeconfig,
		"--retry-crd-interval-max=1s", "--retry-interval-start=100ms", "--kube-api-qps=200", "--kube-api-burst=200", "--v=4")
	controller.Stdout, controller.Stderr = log, log
	if err := controller.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = controller.Process.Kill()
		_ = controller.Wait()
		_ = log.Close()
		if content, err := os.ReadFile(logs); t.Failed() && err == nil {
			t.Logf("the snapshot controller said:\n%s", content)
		}
	})
}

// storage is one namespace of a world with what makes volumes in it: the EBS CSI driver, which is always played, and the
// snapshot controller, which is played unless the real one runs.
type storage struct {
	*World
	namespace string
	// real tells that the real snapshot controller runs.
	real bool
	// broken are the snapshots that the driver cannot use, and what it says.
	broken map[string]string
}

// volumeSnapshots is a world on a real API server, with a namespace of its own.
func volumeSnapshots(t testing.TB, plane *controlplane.ControlPlane) *storage {
	t.Helper()
	return onStorage(New(t, storageOptions(plane)))
}

// storageOptions are for a real API server; without one, for one in memory.
func storageOptions(plane *controlplane.ControlPlane) Options {
	return Options{Plane: plane, Targets: func(p Process) binding.Targets {
		return binding.Targets{&volumesnapshot.Target{Client: p.Client, Reader: p.Client}}
	}}
}

// onStorage moves the world's clock close to that of a real API server, which stamps objects by its own.
func onStorage(w *World) *storage {
	w.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "models-"}}
	w.Create(namespace)
	if w.options.Plane != nil {
		w.Clock.SetTime(time.Now().Add(time.Minute).Truncate(time.Second))
	}
	return &storage{World: w, namespace: namespace.Name, broken: map[string]string{}}
}

func (s *storage) target() v1alpha1.Target {
	return v1alpha1.Target{VolumeSnapshot: &v1alpha1.VolumeSnapshotTarget{Namespace: s.namespace, Name: "llama"}}
}

// bind makes a binding whose name is no other test's.
func (s *storage) bind(edits ...func(*v1alpha1.NodeClassBinding)) string {
	s.Helper()
	s.Bind(s.namespace, s.target(), edits...)
	return s.namespace
}

// snapshot reads the VolumeSnapshot; nil when there is none.
func (s *storage) snapshot() *snapshotv1.VolumeSnapshot {
	s.Helper()
	snapshot := &snapshotv1.VolumeSnapshot{}
	err := s.Client.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: "llama"}, snapshot)
	if err != nil {
		s.Must(client.IgnoreNotFound(err))
		return nil
	}
	return snapshot
}

// contents are those for the namespace, by their EBS snapshots.
func (s *storage) contents() map[string]*snapshotv1.VolumeSnapshotContent {
	s.Helper()
	var list snapshotv1.VolumeSnapshotContentList
	s.Must(s.Client.List(s.Context(), &list))
	found := map[string]*snapshotv1.VolumeSnapshotContent{}
	for i := range list.Items {
		if content := &list.Items[i]; content.Spec.VolumeSnapshotRef.Namespace == s.namespace {
			found[*content.Spec.Source.SnapshotHandle] = content
		}
	}
	return found
}

// attend has the driver and the snapshot controller do all that there is to do.
func (s *storage) attend() {
	s.Helper()
	s.drive()
	if s.real {
		s.awaitController()
	} else {
		s.playController()
	}
}

// drive plays the driver's csi-snapshotter, which looks at each content, bound or not.
func (s *storage) drive() {
	s.Helper()
	for id, content := range s.contents() {
		if status := content.Status; status != nil && status.ReadyToUse != nil && *status.ReadyToUse {
			continue
		}
		changed := content.DeepCopy()
		if says := s.broken[id]; says != "" {
			changed.Status = &snapshotv1.VolumeSnapshotContentStatus{ReadyToUse: new(false),
				Error: &snapshotv1.VolumeSnapshotError{Time: &metav1.Time{Time: time.Now()}, Message: &says}}
		} else {
			changed.Status = &snapshotv1.VolumeSnapshotContentStatus{ReadyToUse: new(true), SnapshotHandle: new(id), RestoreSize: new(int64(40 << 30))}
		}
		s.Must(s.Client.Status().Patch(s.Context(), changed, client.MergeFrom(content)))
	}
}

// awaitController waits until the real controller has done its part.
func (s *storage) awaitController() {
	s.Helper()
	gomega.NewWithT(s).Eventually(func() error {
		snapshot := s.snapshot()
		if snapshot == nil {
			return nil
		}
		content := s.contentOf(snapshot)
		switch {
		case content == nil || snapshot.DeletionTimestamp != nil:
			return fmt.Errorf("the VolumeSnapshot is on its way out, or without a content: %v", snapshot.Status)
		case content.Spec.VolumeSnapshotRef.UID != snapshot.UID:
			return fmt.Errorf("the content is bound to %q", content.Spec.VolumeSnapshotRef.UID)
		case snapshot.Status == nil || snapshot.Status.ReadyToUse == nil || *snapshot.Status.ReadyToUse != *content.Status.ReadyToUse:
			return fmt.Errorf("the VolumeSnapshot is not told: %v", snapshot.Status)
		case !*snapshot.Status.ReadyToUse && snapshot.Status.Error == nil:
			return fmt.Errorf("the VolumeSnapshot is not told why: %v", snapshot.Status)
		}
		return nil
	}, time.Minute, 50*time.Millisecond).Should(gomega.Succeed())
}

// contentOf is the content that a VolumeSnapshot names; nil when there is none.
func (s *storage) contentOf(snapshot *snapshotv1.VolumeSnapshot) *snapshotv1.VolumeSnapshotContent {
	s.Helper()
	content := &snapshotv1.VolumeSnapshotContent{}
	err := s.Client.Get(s.Context(), client.ObjectKey{Name: *snapshot.Spec.Source.VolumeSnapshotContentName}, content)
	if err != nil {
		s.Must(client.IgnoreNotFound(err))
		return nil
	}
	return content
}

// playController binds, protects and tells as the snapshot controller does, in one step: a story that is told again and
// again has to come out the same.
func (s *storage) playController() {
	s.Helper()
	snapshot := s.snapshot()
	if snapshot == nil || snapshot.DeletionTimestamp != nil {
		return
	}
	content := s.contentOf(snapshot)
	if content == nil {
		return
	}
	bound := content.DeepCopy()
	bound.Spec.VolumeSnapshotRef.UID, bound.Finalizers = snapshot.UID, []string{contentFinalizer}
	s.Must(s.Client.Patch(s.Context(), bound, client.MergeFrom(content)))
	protected := snapshot.DeepCopy()
	protected.Finalizers = []string{sourceFinalizer}
	s.Must(s.Client.Patch(s.Context(), protected, client.MergeFrom(snapshot)))
	told := protected.DeepCopy()
	told.Status = &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: &content.Name, ReadyToUse: content.Status.ReadyToUse, Error: content.Status.Error}
	s.Must(s.Client.Status().Patch(s.Context(), told, client.MergeFrom(protected)))
}

// settle lets everybody work in turn until nobody has anything to do: the operator looks for another snapshot, which the
// driver finds good or bad, and in the latter case again at the one before.
func (s *storage) settle(name string) *v1alpha1.NodeClassBinding {
	s.Helper()
	s.Wait(Interval)
	s.Pass(name)
	s.attend()
	s.Settle(name)
	s.attend()
	return s.Settle(name)
}

// claim makes a claim of the VolumeSnapshot as a pod's owner does; asked tells that a volume is asked of the driver.
func (s *storage) claim(name string, asked bool) *corev1.PersistentVolumeClaim {
	s.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			DataSource:  &corev1.TypedLocalObjectReference{APIGroup: new(snapshotv1.GroupName), Kind: "VolumeSnapshot", Name: "llama"},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("40Gi")}},
		},
	}
	if asked {
		claim.Annotations = map[string]string{"volume.kubernetes.io/storage-provisioner": "ebs.csi.aws.com"}
	}
	s.Create(claim)
	return claim
}

// provision answers for a claim as the external-provisioner does: with the EBS snapshot that the volume is made of, or with
// why it tries again later.
// https://github.com/kubernetes-csi/external-provisioner/blob/master/pkg/controller/controller.go (getSnapshotSource)
func (s *storage) provision(ctx context.Context) (snapshotID, later string) {
	s.Helper()
	snapshot := &snapshotv1.VolumeSnapshot{}
	err := s.Client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "llama"}, snapshot)
	switch {
	case apierrors.IsNotFound(err):
		return "", "not found"
	case err != nil:
		s.Fatal(err)
	case snapshot.DeletionTimestamp != nil:
		return "", "being deleted"
	case snapshot.Status == nil || snapshot.Status.BoundVolumeSnapshotContentName == nil:
		return "", "not bound"
	}
	content := &snapshotv1.VolumeSnapshotContent{}
	err = s.Client.Get(ctx, client.ObjectKey{Name: *snapshot.Status.BoundVolumeSnapshotContentName}, content)
	switch {
	case err != nil || content.Spec.VolumeSnapshotRef.UID != snapshot.UID || content.Spec.Driver != "ebs.csi.aws.com":
		return "", "not bound"
	case snapshot.Status.ReadyToUse == nil || !*snapshot.Status.ReadyToUse:
		return "", "not ready"
	case content.Status == nil || content.Status.SnapshotHandle == nil:
		return "", "no handle"
	}
	return *content.Status.SnapshotHandle, ""
}

// awaitEvent waits until the real controller says something of the VolumeSnapshot.
func (s *storage) awaitEvent(reason, message string) {
	s.Helper()
	gomega.NewWithT(s).Eventually(func() error {
		var list corev1.EventList
		if err := s.Client.List(s.Context(), &list, client.InNamespace(s.namespace)); err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.Reason == reason && event.Message == message {
				return nil
			}
		}
		return fmt.Errorf("no event %s among %d", reason, len(list.Items))
	}, time.Minute, 50*time.Millisecond).Should(gomega.Succeed())
}

// bindClaim gives a claim its volume.
func (s *storage) bindClaim(claim *corev1.PersistentVolumeClaim) {
	s.Helper()
	bound := claim.DeepCopy()
	bound.Status.Phase = corev1.ClaimBound
	s.Must(s.Client.Status().Patch(s.Context(), bound, client.MergeFrom(claim)))
}
