package volumesnapshot

import (
	"context"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

// What the target needs: CSI's kinds, to make and to delete; the claims that are being made from a VolumeSnapshot, and
// whether their namespace is there.
//
// +kubebuilder:rbac:groups=snapshot.storage.k8s.io,resources=volumesnapshots;volumesnapshotcontents,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=list
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get

const (
	// kindRetry is how soon a missing kind, and deniedRetry how soon a denied request, is tried again: no watch tells
	// that the CSI snapshot controller was installed or a role extended.
	kindRetry   = 30 * time.Second
	deniedRetry = 10 * time.Minute
	// conflictRetry leaves the writer that was faster the time to finish.
	conflictRetry = time.Second
	// heldRetry is for what somebody's finalizer keeps; the watch tells sooner.
	heldRetry = 30 * time.Second
	// namespaceRetry is how soon a missing namespace is looked for again: namespaces are not watched.
	namespaceRetry = 30 * time.Second
)

// Target makes VolumeSnapshots. It implements binding.Target and binding.Watcher.
type Target struct {
	// Client writes.
	Client client.Client
	// Reader reads from the API server, past any cache: what is deleted rests on exactly what is there.
	Reader client.Reader
}

// observation is a VolumeSnapshot as it was read, with everything that bears on it. It implements binding.Observation.
type observation struct {
	key client.ObjectKey
	// problem says why it could not be read; the rest is empty then.
	problem *binding.Problem
	// namespace and snapshot are nil when there are none.
	namespace *corev1.Namespace
	snapshot  *snapshotv1.VolumeSnapshot
	// contents are those that the binding made.
	contents []snapshotv1.VolumeSnapshotContent
	// claims are the namespace's.
	claims []corev1.PersistentVolumeClaim
}

// Kind is the kind of Target's subjects.
const Kind = "VolumeSnapshot"

// Subject implements binding.Target.
func (t *Target) Subject(b *v1alpha1.NodeClassBinding) (binding.Subject, bool) {
	if b.Spec.Target.VolumeSnapshot == nil {
		return binding.Subject{}, false
	}
	return binding.Subject{
		Kind: Kind, Name: keyOf(b).String(), Node: "PersistentVolumeClaim", Pool: "namespace", Serves: "new claims are made from",
		Evidence: fmt.Sprintf("The CSI driver keeps the cause in its log: kubectl logs --namespace kube-system "+
			"deployment/ebs-csi-controller --container csi-snapshotter | grep %s.", b.UID),
	}, true
}

func keyOf(b *v1alpha1.NodeClassBinding) client.ObjectKey {
	target := b.Spec.Target.VolumeSnapshot
	return client.ObjectKey{Namespace: target.Namespace, Name: target.Name}
}

// Observe implements binding.Target. There are no nodes to list, and claims are always read as they are: a cache of every
// claim of the cluster would cost more than one list.
func (t *Target) Observe(ctx context.Context, b *v1alpha1.NodeClassBinding, _ binding.Freshness) (binding.Observation, error) {
	o := &observation{key: keyOf(b)}
	for _, read := range []func(context.Context, *v1alpha1.NodeClassBinding, *observation) error{
		t.readContents, t.readSnapshot, t.readNamespace, t.readClaims,
	} {
		err := read(ctx, b, o)
		switch {
		case err == nil:
		case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
			return &observation{key: o.key, problem: kindMissing()}, nil
		case apierrors.IsForbidden(err):
			return &observation{key: o.key, problem: unreadable(o.key, err)}, nil
		default:
			return nil, fmt.Errorf("reading VolumeSnapshot %s: %w", o.key, err)
		}
	}
	return o, nil
}

// readContents comes first: a list, unlike a get, is not found only when the kind itself is not there.
func (t *Target) readContents(ctx context.Context, b *v1alpha1.NodeClassBinding, o *observation) error {
	var list snapshotv1.VolumeSnapshotContentList
	err := t.Reader.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelBinding: string(b.UID)})
	o.contents = list.Items
	return err
}

func (t *Target) readSnapshot(ctx context.Context, _ *v1alpha1.NodeClassBinding, o *observation) error {
	snapshot := &snapshotv1.VolumeSnapshot{}
	err := t.Reader.Get(ctx, o.key, snapshot)
	if err == nil {
		o.snapshot = snapshot
	}
	return client.IgnoreNotFound(err)
}

func (t *Target) readNamespace(ctx context.Context, _ *v1alpha1.NodeClassBinding, o *observation) error {
	namespace := &corev1.Namespace{}
	err := t.Reader.Get(ctx, client.ObjectKey{Name: o.key.Namespace}, namespace)
	if err == nil {
		o.namespace = namespace
	}
	return client.IgnoreNotFound(err)
}

func (t *Target) readClaims(ctx context.Context, _ *v1alpha1.NodeClassBinding, o *observation) error {
	var list corev1.PersistentVolumeClaimList
	err := t.Reader.List(ctx, &list, client.InNamespace(o.key.Namespace))
	o.claims = list.Items
	return err
}
