package targets

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	larderaws "github.com/larder-dev/larder/internal/aws"
	"github.com/larder-dev/larder/internal/aws/launch"
	"github.com/larder-dev/larder/test/controlplane"
	"github.com/larder-dev/larder/test/fakeaws"
)

// Region is where everything happens.
const Region = "us-west-2"

// Options choose a world.
type Options struct {
	// AWS are the account's settings and moods; its Region and its Clock are the world's.
	AWS fakeaws.Options
	// Plane is a real API server, which the operator reaches with the generated roles; nil for one in memory.
	Plane *controlplane.ControlPlane
	// Configure changes what all clients of AWS are made from that the operator has; nil for nothing.
	Configure func(*larderaws.Config)
	// Targets are wired as the operator does it, anew for each of its lives.
	Targets func(Process) binding.Targets
}

// World is one account of AWS, one cluster and one operator. Its time is the test's.
type World struct {
	testing.TB
	// AWS is the account, and its settings.
	AWS *fakeaws.Server
	// Client is a person's, who may do everything.
	Client client.WithWatch
	// Clock is AWS's, the cluster's and the operator's.
	Clock *testingclock.FakePassiveClock

	options  Options
	process  *process
	recorder *events.FakeRecorder
	// due is how long after the last pass over a binding the operator wants to make another; zero for no pass by itself.
	due      map[string]time.Duration
	failures map[string]int
	// changes are the requests that change something, in order, and crash is the one that the operator ends at.
	changes []change
	crash   crash
	// mark is how many there were before the last pass.
	mark int
}

// New starts a world that is empty but for the operator.
func New(t testing.TB, options Options) *World {
	t.Helper()
	w := &World{
		TB: t, options: options, recorder: events.NewFakeRecorder(10000),
		Clock: testingclock.NewFakePassiveClock(time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)),
		due:   map[string]time.Duration{}, failures: map[string]int{},
	}
	aws := options.AWS
	aws.Region, aws.Clock = Region, w.Clock
	w.AWS = fakeaws.NewForTest(t, aws)
	if options.Plane == nil {
		w.Client = Stamp(w.inMemory(), w.Clock)
	} else {
		admin, err := client.NewWithWatch(options.Plane.AdminConfig, client.Options{Scheme: controlplane.Scheme()})
		w.Must(err)
		w.Client = admin
	}
	w.Restart()
	return w
}

func (w *World) inMemory() client.WithWatch {
	// Not all of Kubernetes: each world is prepared for every kind that it knows.
	scheme, mapper := runtime.NewScheme(), meta.NewDefaultRESTMapper(nil)
	w.Must(errors.Join(corev1.AddToScheme(scheme), snapshotv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	for kind := range scheme.AllKnownTypes() {
		scope := meta.RESTScopeNamespace
		if kind.Group == v1alpha1.GroupVersion.Group || slices.Contains([]string{"Node", "Namespace", "PersistentVolume", "VolumeSnapshotContent"}, kind.Kind) {
			scope = meta.RESTScopeRoot
		}
		mapper.Add(kind, scope)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithReturnManagedFields().
		WithStatusSubresource(&v1alpha1.NodeClassBinding{}, &v1alpha1.ImageCacheSnapshot{}, &snapshotv1.VolumeSnapshot{}, &snapshotv1.VolumeSnapshotContent{}).
		Build()
}

// Must ends the test at an error.
func (w *World) Must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// MadeOf are the snapshots that versions of a launch template name for a device, launched by anything or not.
func (w *World) MadeOf(template launch.Reference, device string) []string {
	w.Helper()
	client := launch.New(w.AWS.Config())
	found, err := client.Template(w.Context(), template)
	w.Must(err)
	versions, err := client.Versions(w.Context(), found.ID)
	w.Must(err)
	var ids []string
	for _, version := range versions {
		for _, one := range version.Devices {
			if one.Name == device && one.EBS != nil && one.EBS.SnapshotID != "" {
				ids = append(ids, one.EBS.SnapshotID)
			}
		}
	}
	return ids
}

// Wait lets time pass.
func (w *World) Wait(d time.Duration) { w.Clock.SetTime(w.Clock.Now().Add(d)) }

// Create makes objects as a person does, and takes them away at the end of the test from an API server that others use.
func (w *World) Create(objects ...client.Object) {
	w.Helper()
	for _, object := range objects {
		w.Must(w.Client.Create(w.Context(), object, client.FieldOwner("kubectl-create")))
		if w.options.Plane != nil {
			w.Cleanup(func() { w.remove(object) })
		}
	}
}

// remove deletes an object whatever waits for it.
func (w *World) remove(object client.Object) {
	ctx := context.WithoutCancel(w.Context())
	noFinalizers := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	for _, err := range []error{w.Client.Delete(ctx, object), w.Client.Patch(ctx, object, noFinalizers)} {
		if client.IgnoreNotFound(err) != nil {
			w.Error(err)
		}
	}
}

// Events are all that were recorded since the last call, each as its type, reason and note.
func (w *World) Events() []string {
	var all []string
	for len(w.recorder.Events) > 0 {
		all = append(all, <-w.recorder.Events)
	}
	return all
}
