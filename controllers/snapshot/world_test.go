package snapshot

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/collection"
	"github.com/larder-dev/larder/controllers/snapshot/distribution"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/image"
)

const (
	objectName = "inference"
	objectUID  = "5d7f9c1e-0a3b-4c6d-8e2f-112233445566"
)

// world is a cluster and an account in the time of a synctest bubble, with one operator process at a time.
type world struct {
	t        *testing.T
	clock    clock.PassiveClock
	client   client.Client
	cloud    *cloud
	registry *registry
	builder  *pacedBuilder
	events   *events.FakeRecorder
	beside   *beside

	// crash, if set, may end the process before a call of a pass.
	crash func(call string) bool

	process   *Reconciler
	collector *collection.Collector
	failures  int
}

// errCrash unwinds a pass as SIGKILL would end it.
var errCrash = errors.New("the process was killed")

func newWorld(t *testing.T, images ...string) *world {
	realClock := clock.RealClock{}
	scheme := runtime.NewScheme()
	if err := errors.Join(larderv1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	class := schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"}
	scheme.AddKnownTypeWithName(class, &unstructured.Unstructured{})
	scheme.AddKnownTypeWithName(class.GroupVersion().WithKind("EC2NodeClassList"), &unstructured.UnstructuredList{})

	w := &world{t: t, clock: realClock, cloud: newCloud(t, realClock), registry: &registry{}, beside: &beside{}}
	w.events = &events.FakeRecorder{Events: make(chan string, 10_000)}
	w.builder = &pacedBuilder{
		cloud: w.cloud, pace: 3 * time.Second, contents: map[string][]image.Image{}, killed: make(chan struct{}),
		fault: func(string) error { return nil },
		spoil: func() bool { return false },
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for kind := range scheme.AllKnownTypes() {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).
		WithStatusSubresource(&larderv1alpha1.ImageCacheSnapshot{}).
		WithObjects(&larderv1alpha1.ImageCacheSnapshot{
			ObjectMeta: metav1.ObjectMeta{Name: objectName, UID: objectUID, Generation: 1},
			Spec:       specOf(images...),
		}).Build()
	w.start()
	t.Cleanup(func() {
		close(w.builder.killed)
		synctest.Wait()
	})
	return w
}

func specOf(images ...string) larderv1alpha1.ImageCacheSnapshotSpec {
	spec := larderv1alpha1.ImageCacheSnapshotSpec{
		Platforms: []larderv1alpha1.Platform{"linux/amd64"},
		Format:    larderv1alpha1.FormatBottlerocket,
	}
	for _, one := range images {
		spec.Images = append(spec.Images, larderv1alpha1.CachedImage{Image: one})
	}
	return spec
}

// checkMarker wants the attempt to stand in the status before anything is done for it.
func (w *world) checkMarker() {
	view := w.process.Runner.look(objectUID)
	if !view.running() {
		return
	}
	marker := w.object().Status.Build
	if marker == nil || attemptName(marker) != attemptName(&view.Build) {
		w.t.Errorf("%s runs while status.build is %+v", attemptName(&view.Build), marker)
	}
}

// start starts the operator.
func (w *world) start() {
	killed := make(chan struct{})
	builder := &pacedBuilder{
		cloud: w.builder.cloud, pace: w.builder.pace, fault: w.builder.fault, spoil: w.builder.spoil,
		contents: w.builder.contents, killed: killed,
	}
	w.builder = builder
	crashing := w.crashing()
	w.process = &Reconciler{
		Client: crashing, Live: crashing,
		Registries: w.registry, Snapshots: crashingCloud{w.cloud, w}, Contents: builder, Keys: keys{},
		References: references.Reader{Live: crashing, Mapper: crashing.RESTMapper()},
		Consumers:  []references.Consumers{w.beside}, Distribution: w.beside, Collection: w.beside,
		Runner:   NewRunner(builder, 1, w.clock),
		Recorder: w.events, Clock: w.clock,
		ClusterUID: "cluster-uid", Region: "eu-central-1",
	}
	w.collector = &collection.Collector{
		Client: crashing, Live: crashing, References: references.Reader{Live: crashing, Mapper: crashing.RESTMapper()},
		Regions: func(string) collection.Region {
			return collection.Region{Snapshots: crashingCloud{w.cloud, w}, Consumers: []references.Consumers{w.beside}}
		},
		Collected: w.process.Look,
		CopiedTo:  distribution.CopiedTo, Recorder: w.events, Clock: clock.RealClock{},
		ClusterUID: "cluster-uid", Home: "eu-central-1", Namespace: "larder-system",
	}
	w.process.Collection = w.collector
	w.failures = 0
}

// kill is SIGKILL: nothing is told, and nothing is cleaned up.
func (w *world) kill() {
	close(w.builder.killed)
	synctest.Wait()
	w.start()
}

// mayCrash is called before each call that a pass makes.
func (w *world) mayCrash(call string) {
	if w.crash != nil && w.crash(call) {
		panic(errCrash)
	}
}

func (w *world) crashing() client.Client {
	inner, ok := w.client.(client.WithWatch)
	if !ok {
		w.t.Fatal("the fake client cannot watch")
	}
	return interceptor.NewClient(inner, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			w.mayCrash("Get")
			return c.Get(ctx, key, object, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			w.mayCrash("List")
			return c.List(ctx, list, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			w.mayCrash("Patch")
			return c.Patch(ctx, object, patch, options...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			w.checkMarker()
			w.mayCrash("PatchStatus")
			err := c.SubResource(name).Patch(ctx, object, patch, options...)
			w.mayCrash("PatchedStatus")
			return err
		},
	})
}

// pass runs Reconcile once, and returns how long to wait for the next.
func (w *world) pass() (after time.Duration) {
	w.t.Helper()
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); !ok || !errors.Is(err, errCrash) {
			panic(cause)
		}
		w.kill()
		after = time.Millisecond
	}()
	// What a sweep could not read or do, the next one does.
	_ = w.collector.Sweep(w.t.Context())
	result, err := w.process.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: objectName}})
	synctest.Wait()
	w.checkInvariants()
	if err != nil {
		w.failures++
		return min(firstBackoff<<min(w.failures, 10), longestBackoff)
	}
	w.failures = 0
	if result.RequeueAfter == 0 {
		return time.Minute // the next sweep
	}
	return result.RequeueAfter
}

// wait lets time pass until the operator wants to look again.
func (w *world) wait(after time.Duration) {
	select {
	case <-w.process.Runner.wake:
	case <-time.After(after):
	}
}

// runFor passes until the time is over.
func (w *world) runFor(duration time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(duration); w.clock.Now().Before(end); {
		after := w.pass()
		w.wait(min(after, end.Sub(w.clock.Now())))
	}
}

// runUntil passes until the object is as wanted.
func (w *world) runUntil(what string, wanted func(*larderv1alpha1.ImageCacheSnapshot) bool) *larderv1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	for end := w.clock.Now().Add(time.Hour); w.clock.Now().Before(end); {
		after := w.pass()
		if object := w.object(); wanted(object) {
			return object
		}
		w.wait(after)
	}
	w.t.Fatalf("not within an hour: %s: %+v", what, w.object().Status)
	return nil
}

// object returns the object, or an empty one when it is gone.
func (w *world) object() *larderv1alpha1.ImageCacheSnapshot {
	object := &larderv1alpha1.ImageCacheSnapshot{}
	err := w.client.Get(w.t.Context(), client.ObjectKey{Name: objectName}, object)
	if err != nil && !apierrors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	return object
}

// edit changes the spec as an API server does.
func (w *world) edit(spec larderv1alpha1.ImageCacheSnapshotSpec) {
	object := w.object()
	object.Spec = spec
	object.Generation++
	if err := w.client.Update(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) delete() {
	if err := w.client.Delete(w.t.Context(), w.object()); err != nil {
		w.t.Fatal(err)
	}
}

// crashingCloud is the cloud as the passes of one process see it.
type crashingCloud struct {
	*cloud
	world *world
}

func (c crashingCloud) Tag(ctx context.Context, id string, tags map[string]string) error {
	c.world.mayCrash("Tag")
	err := c.cloud.Tag(ctx, id, tags)
	c.world.mayCrash(fmt.Sprintf("Tagged %v", err))
	return err
}

func (c crashingCloud) Delete(ctx context.Context, id string) error {
	c.world.mayCrash("Delete")
	err := c.cloud.Delete(ctx, id)
	c.world.mayCrash(fmt.Sprintf("Deleted %v", err))
	return err
}

var _ Snapshots = crashingCloud{}
