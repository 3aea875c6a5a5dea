package distribution

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

const (
	objectName        = "inference"
	operatorNamespace = "larder-system"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a cluster, an account in several Regions and a Distributor, which a caller drives as the controller does.
type world struct {
	t      *testing.T
	clock  *clocktesting.FakePassiveClock
	cloud  *cloud
	client client.WithWatch
	// live is what the Distributor is given of the client.
	live client.Client

	current    *cloudSnapshot
	superseded []*cloudSnapshot
	outcome    Outcome
}

func newWorld(t *testing.T, spec larderv1alpha1.ImageCacheSnapshotSpec) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(larderv1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	clock := clocktesting.NewFakePassiveClock(epoch)
	w := &world{t: t, clock: clock, cloud: newCloud(t, clock)}
	w.client = fake.NewClientBuilder().WithScheme(scheme).
		WithStatusSubresource(&larderv1alpha1.ImageCacheSnapshot{}).
		WithObjects(&larderv1alpha1.ImageCacheSnapshot{
			ObjectMeta: metav1.ObjectMeta{Name: objectName, UID: "object-uid", Generation: 1},
			Spec:       spec,
			Status:     larderv1alpha1.ImageCacheSnapshotStatus{Format: larderv1alpha1.FormatBottlerocket},
		}).Build()
	w.live = interceptor.NewClient(w.client, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return w.cloud.write("home", "CreateConfigMap", func() error { return c.Create(ctx, object, options...) }, object.GetName())
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			call := "PatchObject"
			if _, isConfigMap := object.(*corev1.ConfigMap); isConfigMap {
				call = "PatchConfigMap"
			}
			return w.cloud.write("home", call, func() error { return c.Patch(ctx, object, patch, options...) }, object.GetName())
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			return w.cloud.write("home", "DeleteConfigMap", func() error { return c.Delete(ctx, object, options...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return w.cloud.write("home", "PatchStatus", func() error { return c.SubResource(sub).Patch(ctx, object, patch, options...) })
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return w.cloud.read("home", "GetConfigMap", func() error { return c.Get(ctx, key, object, options...) })
		},
	})
	w.build(1)
	return w
}

func (w *world) distributor() *Distributor {
	return &Distributor{
		Home: w.cloud, FastRestores: w.cloud, Parameters: w.cloud,
		Elsewhere: func(region string) Copies { return elsewhere{w.cloud, region} },
		Keys:      func(region string) Keys { return keys{w.cloud, region} },
		Client:    w.live, Reader: w.live, Namespace: operatorNamespace,
		Region: homeRegion, ClusterUID: "cluster-uid", Clock: w.clock,
	}
}

// build makes a revision and puts it into use.
func (w *world) build(revision int) {
	if w.current != nil {
		w.superseded = append(w.superseded, w.current)
	}
	w.current = w.cloud.add(homeRegion, map[string]string{
		ebs.TagClusterUID: "cluster-uid", ebs.TagObjectUID: "object-uid", ebs.TagRevision: strconv.Itoa(revision),
		ebs.TagContentHash: "hash-" + strconv.Itoa(revision), ebs.TagAttempt: "1", ebs.TagObjectName: objectName,
		"Name": objectName,
	})
}

func (w *world) object() *larderv1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	object := &larderv1alpha1.ImageCacheSnapshot{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Name: objectName}, object); err != nil {
		w.t.Fatal(err)
	}
	return object
}

// edit changes the spec as a user does.
func (w *world) edit(change func(*larderv1alpha1.ImageCacheSnapshotSpec)) {
	w.t.Helper()
	object := w.object()
	change(&object.Spec)
	object.Generation++
	if err := w.client.Update(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

// pass is one pass of the controller: look and act, write the status, commit.
func (w *world) pass() error {
	w.t.Helper()
	var superseded []ebs.Snapshot
	for _, one := range w.superseded {
		superseded = append(superseded, w.cloud.show(one))
	}
	return w.passWith(w.distributor(), w.cloud.show(w.current), superseded)
}

func (w *world) passWith(d *Distributor, current ebs.Snapshot, superseded []ebs.Snapshot) error {
	w.t.Helper()
	object := w.object()
	before := object.DeepCopy()
	w.outcome = d.Pass(w.t.Context(), object, current, superseded)
	if !apiequality.Semantic.DeepEqual(before.Status, object.Status) {
		if err := w.live.Status().Patch(w.t.Context(), object, lockedPatch(before)); err != nil {
			return err
		}
	}
	return d.Commit(w.t.Context(), object, w.outcome)
}

// mustPass is a pass that nothing disturbs.
func (w *world) mustPass() *larderv1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	if err := w.pass(); err != nil {
		w.t.Fatal(err)
	}
	object := w.object()
	checkStatus(w.t, object)
	return object
}

func (w *world) wait(duration time.Duration) { w.clock.SetTime(w.clock.Now().Add(duration)) }

// settle makes passes whenever one is due, until none is.
func (w *world) settle() *larderv1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	for range 200 {
		object := w.mustPass()
		if w.outcome.After == 0 {
			return object
		}
		w.wait(w.outcome.After)
	}
	w.t.Fatalf("not settled: %+v, problems %+v", w.object().Status, w.outcome.Problems)
	return nil
}

// condition returns one that must be there.
func (w *world) condition(kind string) *metav1.Condition {
	w.t.Helper()
	found := meta.FindStatusCondition(w.object().Status.Conditions, kind)
	if found == nil {
		w.t.Fatalf("no condition %s", kind)
	}
	return found
}

func (w *world) configMap(name string) *corev1.ConfigMap {
	found := &corev1.ConfigMap{}
	if w.client.Get(w.t.Context(), client.ObjectKey{Namespace: operatorNamespace, Name: name}, found) != nil {
		return nil
	}
	return found
}

// checkStatus holds what is true of every status that this package writes.
func checkStatus(t testing.TB, object *larderv1alpha1.ImageCacheSnapshot) {
	t.Helper()
	for kind, wanted := range asked(object.Spec) {
		if found := meta.FindStatusCondition(object.Status.Conditions, kind); found != nil && !wanted && found.ObservedGeneration == object.Generation {
			t.Errorf("%s is there though the spec does not ask for it: %+v", kind, found)
		}
	}
	for _, one := range object.Status.Conditions {
		if one.Reason == "" || one.Message == "" || len(one.Message) > message.Longest {
			t.Errorf("%s wants a reason and a message of at most %d bytes: %+v", one.Type, message.Longest, one)
		}
	}
	var regions []string
	for _, one := range object.Status.Copies {
		if slices.Contains(regions, one.Region) {
			t.Errorf("Region %s is twice in %+v", one.Region, object.Status.Copies)
		}
		regions = append(regions, one.Region)
		if one.Time == nil || len(one.Message) > longestCopyMessage || (one.Message == "") == (one.State == larderv1alpha1.CopyFailed) {
			t.Errorf("a copy wants a time, and a message if it failed and only then: %+v", one)
		}
		if one.SnapshotID == "" && (one.State == larderv1alpha1.CopyPending || one.State == larderv1alpha1.CopyCompleted) {
			t.Errorf("a copy without an id: %+v", one)
		}
	}
}

// copiesIn is a spec's list of Regions.
func copiesIn(regions ...string) []larderv1alpha1.RegionalCopy {
	var copies []larderv1alpha1.RegionalCopy
	for _, region := range regions {
		copies = append(copies, larderv1alpha1.RegionalCopy{Region: region})
	}
	return copies
}

func restoresIn(zones ...larderv1alpha1.AvailabilityZone) *larderv1alpha1.FastSnapshotRestore {
	return &larderv1alpha1.FastSnapshotRestore{AvailabilityZones: zones}
}

func publishTo(parameter, configMap string) *larderv1alpha1.Publish {
	publish := &larderv1alpha1.Publish{SSMParameter: parameter}
	if configMap != "" {
		publish.ConfigMap = &larderv1alpha1.ConfigMapReference{Name: configMap}
	}
	return publish
}
