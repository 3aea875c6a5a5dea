package binding_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass"
	"github.com/larder-dev/larder/controllers/binding/ec2nodeclass/fleet"
	"github.com/larder-dev/larder/internal/aws/ami"
	"github.com/larder-dev/larder/test/targets"
)

var classKind, claimKind, poolKind = fleet.ClassKind, fleet.ClaimKind, fleet.PoolKind

const device = "/dev/xvdb"

// world is a cluster in memory with one reconciler in it, whose passes the test makes itself.
type world struct {
	testing.TB
	client     client.WithWatch
	reconciler *binding.Reconciler
	events     *events.FakeRecorder
	clock      *testingclock.FakePassiveClock
	// fail answers the operator's requests instead of the API server, and lose after it, when they are set and do not
	// return nil.
	fail, lose func(verb string, object any) error
	// next is when the last pass asked for another; zero when it ended in an error.
	next time.Duration
}

// noImages is an account without AMIs.
type noImages struct{}

func (noImages) Describe(context.Context, []string) ([]ami.Image, error) { return nil, nil }

func newWorld(t testing.TB, objects ...client.Object) *world {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []schema.GroupVersionKind{classKind, claimKind, poolKind,
		v1alpha1.GroupVersion.WithKind("NodeClassBinding"), v1alpha1.GroupVersion.WithKind("ImageCacheSnapshot")} {
		mapper.Add(kind, meta.RESTScopeRoot)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithRESTMapper(mapper).WithReturnManagedFields().
		WithStatusSubresource(&v1alpha1.NodeClassBinding{}, &v1alpha1.ImageCacheSnapshot{})
	for field, valuesOf := range (binding.Targets{&ec2nodeclass.Target{}}).Indexes() {
		builder = builder.WithIndex(&v1alpha1.NodeClassBinding{}, field, valuesOf)
	}
	w := &world{TB: t, client: builder.Build(), events: events.NewFakeRecorder(10000),
		clock: testingclock.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	for _, object := range objects {
		w.create(object)
	}
	w.restart()
	return w
}

// restart replaces the operator: whatever it kept in memory is gone.
func (w *world) restart() {
	operator := interceptor.NewClient(w.client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			return w.first("get", o, func() error { return c.Get(ctx, key, o, opts...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return w.first("patch", o, func() error { return c.Patch(ctx, o, p, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return w.first("patch "+sub, o, func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			return w.first("apply", o, func() error { return c.Apply(ctx, o, opts...) })
		},
	})
	w.reconciler = &binding.Reconciler{Client: operator, Reader: operator, Recorder: w.events, Clock: w.clock,
		Source: sourceOf(operator, w.client, w.clock), Targets: binding.Targets{&ec2nodeclass.Target{Client: operator, Reader: operator, Cache: operator, Images: noImages{}}}}
}

func (w *world) first(verb string, object any, then func() error) error {
	if w.fail != nil {
		if err := w.fail(verb, object); err != nil {
			return err
		}
	}
	err := then()
	if err == nil && w.lose != nil {
		return w.lose(verb, object)
	}
	return err
}

// pass makes one pass over a binding, a minute after the last.
func (w *world) pass(name string) (*v1alpha1.NodeClassBinding, error) {
	w.Helper()
	w.wait(time.Minute)
	return w.passNow(name)
}

func (w *world) wait(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// passNow makes one pass over a binding, returns what it left behind, and checks what holds after every pass.
func (w *world) passNow(name string) (*v1alpha1.NodeClassBinding, error) {
	w.Helper()
	result, err := w.reconciler.Reconcile(context.Background(), ctrl.Request{NamespacedName: client.ObjectKey{Name: name}})
	w.next = result.RequeueAfter
	b := &v1alpha1.NodeClassBinding{}
	if getErr := w.client.Get(context.Background(), client.ObjectKey{Name: name}, b); getErr != nil {
		if client.IgnoreNotFound(getErr) != nil {
			w.Fatal(getErr)
		}
		return nil, err
	}
	targets.CheckStatus(w, b)
	return b, err
}

// passes makes a pass that must not fail, other than by stalling.
func (w *world) passes(name string) *v1alpha1.NodeClassBinding {
	w.Helper()
	b, err := w.pass(name)
	if err != nil && !errors.Is(err, reconcile.TerminalError(nil)) {
		w.Fatalf("reconciling %s: %v", name, err)
	}
	return b
}

func (w *world) create(object client.Object) {
	w.Helper()
	if err := w.client.Create(context.Background(), object, client.FieldOwner("kubectl")); err != nil {
		w.Fatal(err)
	}
}

func (w *world) delete(object client.Object) {
	w.Helper()
	if err := w.client.Delete(context.Background(), object); err != nil {
		w.Fatal(err)
	}
}

func (w *world) class() *unstructured.Unstructured {
	w.Helper()
	return w.get(classKind, "gpu")
}

func (w *world) get(kind schema.GroupVersionKind, name string) *unstructured.Unstructured {
	w.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	if err := w.client.Get(context.Background(), client.ObjectKey{Name: name}, object); err != nil {
		w.Fatal(err)
	}
	return object
}

// devices returns the class's list.
func (w *world) devices() []any {
	w.Helper()
	devices, _, err := unstructured.NestedSlice(w.class().Object, "spec", "blockDeviceMappings")
	if err != nil {
		w.Fatal(err)
	}
	return devices
}

// device returns the binding's device; nil when the class does not have it.
func (w *world) device() map[string]any {
	for _, entry := range w.devices() {
		if entry := entry.(map[string]any); entry["deviceName"] == device {
			return entry
		}
	}
	return nil
}

// writeDevices has somebody else write the list.
func (w *world) writeDevices(manager string, devices []any) {
	w.Helper()
	class := w.class()
	if err := unstructured.SetNestedSlice(class.Object, devices, "spec", "blockDeviceMappings"); err != nil {
		w.Fatal(err)
	}
	if err := w.client.Update(context.Background(), class, client.FieldOwner(manager)); err != nil {
		w.Fatal(err)
	}
}

// setSnapshot gives the ImageCacheSnapshot a completed snapshot; AWS keeps those before.
func (w *world) setSnapshot(id, size string) {
	w.Helper()
	s := &v1alpha1.ImageCacheSnapshot{}
	if err := w.client.Get(context.Background(), client.ObjectKey{Name: "inference"}, s); err != nil {
		w.Fatal(err)
	}
	quantity := resource.MustParse(size)
	if before := s.Status.SnapshotID; before != "" && before != id {
		s.Status.Revisions = append(s.Status.Revisions, v1alpha1.RevisionStatus{SnapshotID: before, VolumeSize: s.Status.VolumeSize})
	}
	s.Status.SnapshotID, s.Status.VolumeSize = id, &quantity
	if err := w.client.Status().Update(context.Background(), s); err != nil {
		w.Fatal(err)
	}
}

// change edits the spec of binding b. The in-memory API server does not count generations.
func (w *world) change(edit func(*v1alpha1.NodeClassBindingSpec)) {
	w.Helper()
	b := &v1alpha1.NodeClassBinding{}
	if err := w.client.Get(context.Background(), client.ObjectKey{Name: "b"}, b); err != nil {
		w.Fatal(err)
	}
	edit(&b.Spec)
	b.Generation++
	if err := w.client.Update(context.Background(), b); err != nil {
		w.Fatal(err)
	}
}

func newBinding(name string, strategy v1alpha1.RolloutStrategy) *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{}
	b.Name, b.UID, b.Generation = name, types.UID("uid-"+name), 1
	b.CreationTimestamp = metav1.Time{Time: time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)}
	b.Spec.Snapshot.Ref = &v1alpha1.SnapshotReference{Name: "inference"}
	b.Spec.Target.EC2NodeClass = &v1alpha1.EC2NodeClassTarget{Name: "gpu", Device: v1alpha1.Device{Name: device}}
	b.Spec.Rollout.Strategy = strategy
	return b
}

func newSnapshot(id, size string) *v1alpha1.ImageCacheSnapshot {
	s := &v1alpha1.ImageCacheSnapshot{}
	s.Name = "inference"
	s.Status.Format, s.Spec.Platforms = v1alpha1.FormatBottlerocket, []v1alpha1.Platform{"linux/amd64", "linux/arm64"}
	s.Spec.Images = []v1alpha1.CachedImage{{Image: "registry.example/app:1"}}
	if id != "" {
		quantity := resource.MustParse(size)
		s.Status.SnapshotID, s.Status.VolumeSize = id, &quantity
	}
	return s
}

func newClass(devices ...any) *unstructured.Unstructured {
	spec := map[string]any{
		"role":                       "nodes",
		"amiSelectorTerms":           []any{map[string]any{"alias": "bottlerocket@latest"}},
		"subnetSelectorTerms":        []any{map[string]any{"id": "subnet-0123456789abcdef0"}},
		"securityGroupSelectorTerms": []any{map[string]any{"id": "sg-0123456789abcdef0"}},
	}
	if devices != nil {
		spec["blockDeviceMappings"] = devices
	}
	class := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	class.SetGroupVersionKind(classKind)
	class.SetName("gpu")
	return class
}

func newClaim(name, class string) *unstructured.Unstructured {
	claim := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"nodeClassRef": map[string]any{"group": classKind.Group, "kind": classKind.Kind, "name": class},
		"requirements": []any{map[string]any{"key": "kubernetes.io/arch", "operator": "Exists"}},
	}}}
	claim.SetGroupVersionKind(claimKind)
	claim.SetName(name)
	claim.SetLabels(map[string]string{"karpenter.sh/nodepool": "default"})
	return claim
}

func volume(name, size string, more ...any) map[string]any {
	ebs := map[string]any{"volumeSize": size}
	for i := 0; i < len(more); i += 2 {
		ebs[more[i].(string)] = more[i+1]
	}
	return map[string]any{"deviceName": name, "ebs": ebs}
}
