package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot"
	"github.com/larder-dev/larder/test/fakeaws"
	"github.com/larder-dev/larder/test/registry"
)

const (
	// patience is how long a build may take, which is milliseconds on an idle machine.
	patience = time.Minute
	// sweepInterval is the collector's own.
	sweepInterval = time.Minute
	// firstBackoff and longestBackoff are those of the controller's queue.
	firstBackoff, longestBackoff = time.Second, 5 * time.Minute
)

// world is everything that the operator deals with. Time is the test's, and every pass and sweep comes when the
// operator has asked for it.
type world struct {
	t        *testing.T
	clock    *clocktesting.FakeClock
	aws      *fakeaws.Server
	registry *registry.Server
	operator *operator
	log      *written
	// sent are the requests to AWS.
	sent   *written
	events *notes
	logger logr.Logger
	// routes carry requests to registries; hosts name the addresses of those that are elsewhere than they seem.
	routes *http.Transport
	hosts  map[string]string
	// resolver replaces the registries in resolving, unless it is nil.
	resolver snapshot.Registries

	// due has when each object's next pass is, and failures how many have failed in a row.
	due      map[string]time.Time
	failures map[string]int
	sweepDue time.Time
}

type options struct {
	aws      fakeaws.Options
	registry registry.Options
	hosts    map[string]string
	resolver snapshot.Registries
}

func newWorld(t *testing.T, given options) *world {
	t.Helper()
	w := &world{
		t: t, clock: clocktesting.NewFakeClock(time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)),
		log: &written{}, sent: &written{}, events: &notes{}, hosts: maps.Clone(given.hosts), resolver: given.resolver,
		due: map[string]time.Time{}, failures: map[string]int{},
	}
	given.aws.Region, given.aws.Clock = home, w.clock
	w.aws = fakeaws.NewForTest(t, given.aws)
	var err error
	if w.registry, err = registry.Start(given.registry); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.registry.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.logger = funcr.New(func(prefix, line string) { fmt.Fprintln(w.log, prefix, line) }, funcr.Options{Verbosity: 100})
	w.routes = &http.Transport{DialContext: w.dial}
	t.Cleanup(w.routes.CloseIdleConnections)
	w.sweepDue = w.clock.Now()
	w.operator = w.startOperator()
	return w
}

// dial goes where a registry really is.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if elsewhere, known := w.hosts[address]; known {
		address = elsewhere
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (w *world) registries(secrets *snapshot.PullSecrets) snapshot.Registries {
	if w.resolver != nil {
		return w.resolver
	}
	return secrets
}

// restart replaces the operator by one that remembers nothing.
func (w *world) restart() {
	w.t.Helper()
	w.operator.kill(w.t)
	w.operator = w.startOperator()
	w.sweepDue = w.clock.Now()
	for name := range w.due {
		w.wake(name)
	}
}

// push puts an image into the registry and returns its reference.
func (w *world) push(name string, artifact registry.Artifact) string {
	w.t.Helper()
	reference, err := w.registry.Push(w.t.Context(), name, artifact)
	if err != nil {
		w.t.Fatal(err)
	}
	return reference
}

// create makes an object, and takes it away at the end of the test.
func (w *world) create(name string, spec v1alpha1.ImageCacheSnapshotSpec) {
	w.t.Helper()
	object := &v1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	if err := plane.Admin.Create(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
	w.adopt(name)
}

// adopt makes passes for an object that is there.
func (w *world) adopt(name string) {
	w.wake(name)
	w.t.Cleanup(func() {
		ctx := context.WithoutCancel(w.t.Context())
		left := &v1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: name}}
		ledger := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}}
		noFinalizers := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
		for _, err := range []error{
			plane.Admin.Patch(ctx, left, noFinalizers), plane.Admin.Delete(ctx, left),
			plane.Admin.DeleteAllOf(ctx, ledger, client.InNamespace(namespace)),
		} {
			if client.IgnoreNotFound(err) != nil {
				w.t.Error(err)
			}
		}
	})
}

// edit changes an object's spec as a person does, and lets the operator see it.
func (w *world) edit(name string, change func(*v1alpha1.ImageCacheSnapshot)) {
	w.t.Helper()
	object := w.object(name)
	before := object.DeepCopy()
	change(object)
	if err := plane.Admin.Patch(w.t.Context(), object, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
	w.wake(name)
}

func (w *world) delete(name string) {
	w.t.Helper()
	if err := plane.Admin.Delete(w.t.Context(), w.object(name)); err != nil {
		w.t.Fatal(err)
	}
	w.wake(name)
}

// wake has the next pass come at once.
func (w *world) wake(name string) { w.due[name] = w.clock.Now() }

// object is empty if there is none.
func (w *world) object(name string) *v1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	object := &v1alpha1.ImageCacheSnapshot{}
	if err := plane.Admin.Get(w.t.Context(), client.ObjectKey{Name: name}, object); client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	return object
}

// step does the next thing that is due, a build's end before all else.
func (w *world) step() {
	w.t.Helper()
	if w.operator.builds.active.Load() > 0 {
		select {
		case <-w.operator.builds.changed:
		case <-time.After(patience):
			w.t.Fatal("a build does not end")
		}
		for name := range w.due {
			w.wake(name)
		}
	}
	name, at := w.next()
	if at.After(w.sweepDue) {
		name, at = "", w.sweepDue
	}
	if at.After(w.clock.Now()) {
		w.clock.SetTime(at)
	}
	if name == "" {
		w.sweep()
		return
	}
	w.pass(name)
}

// next is the object whose pass comes first.
func (w *world) next() (name string, at time.Time) {
	at = w.sweepDue.Add(time.Second)
	for _, one := range slices.Sorted(maps.Keys(w.due)) {
		if w.due[one].Before(at) {
			name, at = one, w.due[one]
		}
	}
	return name, at
}

func (w *world) context() context.Context { return log.IntoContext(w.t.Context(), w.logger) }

func (w *world) sweep() {
	w.t.Helper()
	if err := w.operator.collector.Sweep(w.context()); err != nil {
		w.logger.Error(err, "A sweep failed")
		w.failIfForbidden(err)
	}
	w.sweepDue = w.clock.Now().Add(sweepInterval)
}

// pass is one Reconcile, after which the next one is due as the controller's queue would have it.
func (w *world) pass(name string) {
	w.t.Helper()
	result, err := w.operator.reconciler.Reconcile(w.context(), ctrl.Request{NamespacedName: client.ObjectKey{Name: name}})
	now := w.clock.Now()
	switch {
	case err != nil:
		w.logger.Error(err, "Reconciler error", "name", name)
		w.failIfForbidden(err)
		w.due[name] = now.Add(min(firstBackoff<<min(w.failures[name], 20), longestBackoff))
		w.failures[name]++
	case result.RequeueAfter > 0:
		w.due[name], w.failures[name] = now.Add(result.RequeueAfter), 0
	default:
		delete(w.due, name)
	}
}

func (w *world) failIfForbidden(err error) {
	w.t.Helper()
	if apierrors.IsForbidden(err) && !w.operator.wire.dead.Load() {
		w.t.Fatalf("the generated roles do not suffice: %v", err)
	}
}

// run lets so much time go by.
func (w *world) run(duration time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(duration); w.clock.Now().Before(end); {
		w.step()
	}
}

// until goes on until an object is as wanted.
func (w *world) until(name, what string, wanted func(*v1alpha1.ImageCacheSnapshot) bool) *v1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	for range 500 {
		if object := w.object(name); wanted(object) {
			return object
		}
		w.step()
	}
	w.t.Fatalf("%s is not %s: %+v", name, what, w.object(name).Status)
	return nil
}

func (w *world) untilRevision(name string, revision int64) *v1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	return w.until(name, fmt.Sprintf("Ready with revision %d", revision), func(object *v1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Revision == revision && settled(object)
	})
}

// settled holds when nothing is left to do.
func settled(object *v1alpha1.ImageCacheSnapshot) bool {
	conditions := object.Status.Conditions
	return meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) && object.Status.ObservedGeneration == object.Generation &&
		meta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling) == nil &&
		meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled) == nil
}

func (w *world) untilCondition(name, kind, reason string) metav1.Condition {
	w.t.Helper()
	object := w.until(name, kind+" with reason "+reason, func(object *v1alpha1.ImageCacheSnapshot) bool {
		return conditionOf(object, kind).Reason == reason && object.Status.ObservedGeneration == object.Generation
	})
	return conditionOf(object, kind)
}

func conditionOf(object *v1alpha1.ImageCacheSnapshot, kind string) metav1.Condition {
	if found := meta.FindStatusCondition(object.Status.Conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}

// notes are the events that were emitted, as an EventRecorder takes them.
type notes struct{ written }

// Eventf never fails.
func (n *notes) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) {
	name := ""
	if object, err := meta.Accessor(regarding); err == nil {
		name = object.GetName()
	}
	fmt.Fprintln(&n.written, name, kind, reason, action, fmt.Sprintf(note, args...))
}

func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

func wantParts(t *testing.T, message string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("the message does not say %q: %s", part, message)
		}
	}
}
