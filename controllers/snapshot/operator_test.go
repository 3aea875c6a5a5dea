package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/references"
	"github.com/larder-dev/larder/internal/image"
	"github.com/larder-dev/larder/test/controlplane"
)

// patience is how long a test waits for what takes milliseconds on an idle machine.
const patience = time.Minute

// operator is the controller with exactly the generated rights, at a real API server. Its passes are made by
// the test, at a time of the test's own.
type operator struct {
	t          *testing.T
	admin      client.Client
	clock      *clocktesting.FakePassiveClock
	cloud      *cloud
	registry   *registry
	builder    *pacedBuilder
	beside     *beside
	reconciler *Reconciler
	name       string
}

func newOperator(t *testing.T, plane *controlplane.ControlPlane, asOperator client.Client) *operator {
	passive := clocktesting.NewFakePassiveClock(time.Now())
	o := &operator{t: t, admin: plane.Admin, clock: passive, cloud: newCloud(t, passive), registry: &registry{}, beside: &beside{}}
	o.builder = &pacedBuilder{
		cloud: o.cloud, contents: map[string][]image.Image{}, killed: make(chan struct{}),
		fault: func(string) error { return nil },
		spoil: func() bool { return false },
	}
	o.reconciler = &Reconciler{
		Client: asOperator, Live: asOperator,
		Registries: o.registry, Snapshots: o.cloud, Contents: o.builder, Keys: keys{},
		References: references.Reader{Live: asOperator, Mapper: asOperator.RESTMapper()},
		Consumers:  []references.Consumers{o.beside}, Distribution: o.beside, Collection: o.beside,
		Runner:   NewRunner(o.builder, 1, passive),
		Recorder: &events.FakeRecorder{}, Clock: passive,
		ClusterUID: "cluster-uid", Region: "eu-central-1",
	}
	t.Cleanup(func() {
		stopped, stop := context.WithCancel(context.Background())
		stop()
		if err := o.reconciler.Runner.Start(stopped); err != nil {
			t.Error(err)
		}
	})
	return o
}

// create makes an ImageCacheSnapshot, and takes it away at the end of the test.
func (o *operator) create(references ...string) {
	o.t.Helper()
	o.createSpec(specOf(references...))
}

func (o *operator) createSpec(spec larderv1alpha1.ImageCacheSnapshotSpec) {
	o.t.Helper()
	object := &larderv1alpha1.ImageCacheSnapshot{Spec: spec}
	object.GenerateName = "scenario-"
	if err := o.admin.Create(o.t.Context(), object); err != nil {
		o.t.Fatal(err)
	}
	o.name = object.Name
	o.t.Cleanup(func() {
		left := &larderv1alpha1.ImageCacheSnapshot{}
		left.Name = o.name
		ctx := context.WithoutCancel(o.t.Context())
		noFinalizers := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		for _, err := range []error{o.admin.Patch(ctx, left, noFinalizers), o.admin.Delete(ctx, left)} {
			if client.IgnoreNotFound(err) != nil {
				o.t.Error(err)
			}
		}
	})
}

func (o *operator) object() *larderv1alpha1.ImageCacheSnapshot {
	o.t.Helper()
	object := &larderv1alpha1.ImageCacheSnapshot{}
	if err := o.admin.Get(o.t.Context(), client.ObjectKey{Name: o.name}, object); client.IgnoreNotFound(err) != nil {
		o.t.Fatal(err)
	}
	return object
}

// pass is one Reconcile; what it wrote has to be sound.
func (o *operator) pass() (ctrl.Result, error) {
	o.t.Helper()
	result, err := o.reconciler.Reconcile(o.t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: o.name}})
	if apierrors.IsForbidden(err) {
		o.t.Fatalf("the generated role does not suffice: %v", err)
	}
	if object := o.object(); object.Name != "" && len(object.Status.Conditions) > 0 {
		checkStatus(o.t, object)
	}
	return result, err
}

// until passes, letting time and builds go on, until the object is as wanted.
func (o *operator) until(what string, wanted func(*larderv1alpha1.ImageCacheSnapshot) bool) *larderv1alpha1.ImageCacheSnapshot {
	o.t.Helper()
	deadline := time.After(patience)
	for range 200 {
		result, err := o.pass()
		if object := o.object(); wanted(object) {
			return object
		}
		if o.running() {
			select {
			case <-o.reconciler.Runner.wake:
			case <-deadline:
				o.t.Fatalf("the build does not go on while waiting for: %s", what)
			}
			continue
		}
		after := result.RequeueAfter
		if err != nil {
			after = firstBackoff
		}
		o.clock.SetTime(o.clock.Now().Add(after))
	}
	o.t.Fatalf("not within 200 passes: %s: %+v", what, o.object().Status)
	return nil
}

func (o *operator) running() bool {
	return o.reconciler.Runner.look(o.object().UID).running()
}

func (o *operator) untilReady() *larderv1alpha1.ImageCacheSnapshot {
	o.t.Helper()
	return o.until("Ready", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return meta.IsStatusConditionTrue(object.Status.Conditions, larderv1alpha1.ConditionReady)
	})
}

func (o *operator) untilReason(reason string) *larderv1alpha1.ImageCacheSnapshot {
	o.t.Helper()
	return o.until("Ready with reason "+reason, func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return conditionOf(object, larderv1alpha1.ConditionReady).Reason == reason
	})
}

// untilGone waits for the object, whose snapshots are the collection's then.
func (o *operator) untilGone() {
	o.t.Helper()
	o.until("gone", func(object *larderv1alpha1.ImageCacheSnapshot) bool { return object.Name == "" })
	if o.beside.woken == 0 || !o.beside.withdrawn {
		o.t.Errorf("the rest of its life was not told: %+v", o.beside)
	}
}

func (o *operator) delete() {
	o.t.Helper()
	if err := o.admin.Delete(o.t.Context(), o.object()); err != nil {
		o.t.Fatal(err)
	}
}

func conditionOf(object *larderv1alpha1.ImageCacheSnapshot, kind string) metav1.Condition {
	if found := meta.FindStatusCondition(object.Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}

// wantRead asks kstatus how a user's tools read the object.
func (o *operator) wantRead(object *larderv1alpha1.ImageCacheSnapshot, want status.Status) {
	o.t.Helper()
	if got := computed(o.t, object); got != want {
		o.t.Errorf("kstatus reads %s, want %s: %+v", got, want, object.Status.Conditions)
	}
}

func wantMessage(t *testing.T, object *larderv1alpha1.ImageCacheSnapshot, parts ...string) {
	t.Helper()
	for _, part := range parts {
		wantIn(t, conditionOf(object, larderv1alpha1.ConditionReady).Message, part)
	}
}

func wantIn(t *testing.T, message, part string) {
	t.Helper()
	if !strings.Contains(message, part) {
		t.Errorf("the message does not say %q: %s", part, message)
	}
}

// blockBuilds holds every build at one of its steps until the returned function is called.
func (o *operator) blockBuilds(at string) (release func()) {
	released := make(chan struct{})
	o.builder.fault = func(step string) error {
		if step == at {
			<-released
		}
		return nil
	}
	return func() { close(released) }
}

var errDisk = errors.New("the volume could not be written")

func sortedIDs(o *operator) []string {
	var ids []string
	for _, snapshot := range o.cloud.all() {
		ids = append(ids, fmt.Sprint(snapshot.ID, " ", snapshot.State))
	}
	slices.Sort(ids)
	return ids
}
