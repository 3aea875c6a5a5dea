package e2e_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/volume"
	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/fakeaws"
)

const (
	patience = 4 * time.Minute
	interval = 200 * time.Millisecond
)

// atOnce is how many tests run at a time unless -parallel says so: they wait for minutes of the API far more than they
// compute, so that as many as there are processors leave those idle. Each has a control plane, of half a GiB of memory.
const atOnce = "4"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err)
	}
	log.SetLogger(logr.Discard()) // the operator has a log of its own
	os.Exit(m.Run())
}

// gate holds the first call of an action up, so that something can happen in its middle.
type gate struct {
	mu      sync.Mutex
	action  string
	skip    int
	reached chan struct{}
	release chan struct{}
}

// hold stops the call of an action that comes after skip others; the returned function lets it go on.
func (g *gate) hold(action string, skip int) (reached <-chan struct{}, release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.action, g.skip = action, skip
	g.reached, g.release = make(chan struct{}), make(chan struct{})
	return g.reached, sync.OnceFunc(func() { close(g.release) })
}

func (g *gate) onCall(action string) {
	g.mu.Lock()
	if action != g.action {
		g.mu.Unlock()
		return
	}
	if g.skip > 0 {
		g.skip--
		g.mu.Unlock()
		return
	}
	g.action = ""
	reached, release := g.reached, g.release
	g.mu.Unlock()
	close(reached)
	<-release
}

// world is a stack whose operator can be killed and started again.
type world struct {
	*e2e.Stack
	t        *testing.T
	gate     *gate
	operator *e2e.Operator
	// flags are further ones of the operator.
	flags []string
	log   *os.File
}

func newWorld(t *testing.T, aws fakeaws.Options, flags ...string) *world {
	t.Helper()
	return newWorldOf(t, e2e.Options{AWS: aws}, flags...)
}

func newWorldOf(t *testing.T, options e2e.Options, flags ...string) *world {
	t.Helper()
	w := &world{t: t, gate: &gate{}, flags: flags}
	dir := t.TempDir()
	var err error
	options.AWS.OnCall = w.gate.onCall
	w.Stack, err = e2e.Start(t.Context(), dir, options)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		for _, what := range w.AWS.Unmodelled() {
			t.Errorf("the AWS double was asked for what it does not model: %s", what)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.log, err = os.Create(filepath.Join(dir, "operator.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if content, err := os.ReadFile(w.log.Name()); err == nil && t.Failed() {
			t.Logf("the operator's log:\n%s", content)
		}
	})
	w.start()
	t.Cleanup(func() {
		if err := w.operator.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	operator, err := w.StartOperator(w.t.Context(), w.log, w.flags...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.operator = operator
}

func (w *world) apply(manifest string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(path, []byte(manifest), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Kubectl(w.t.Context(), "apply", "--filename", path); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) newSnapshot(name string, changes ...func(*v1alpha1.ImageCacheSnapshotSpec)) *v1alpha1.ImageCacheSnapshot {
	w.t.Helper()
	object := &v1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, reference := range w.Images {
		object.Spec.Images = append(object.Spec.Images, v1alpha1.CachedImage{Image: reference})
	}
	for _, change := range changes {
		change(&object.Spec)
	}
	if err := w.Admin.Create(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
	return object
}

// eventually polls an object until the check of it holds.
func eventually[T client.Object](w *world, object T, what string, check func(T) bool) {
	w.t.Helper()
	var last string
	NewWithT(w.t).Eventually(func() bool {
		if err := w.Admin.Get(w.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			last = err.Error()
			return false
		}
		encoded, _ := json.Marshal(object)
		last = string(encoded)
		return check(object)
	}, patience, interval).Should(BeTrue(), func() string { return what + "; last seen: " + last })
}

func (w *world) eventuallyReady(object *v1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	eventually(w, object, "Ready", func(o *v1alpha1.ImageCacheSnapshot) bool {
		return meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.ConditionReady)
	})
}

func (w *world) eventuallyGone(object client.Object) {
	w.t.Helper()
	NewWithT(w.t).Eventually(func() bool {
		return errors.IsNotFound(w.Admin.Get(w.t.Context(), client.ObjectKeyFromObject(object), object))
	}, patience, interval).Should(BeTrue(), "%s is still there", object.GetName())
}

// ownedBy are the AWS double's snapshots of an object.
func (w *world) ownedBy(object client.Object) []fakeaws.Snapshot {
	return slices.DeleteFunc(w.AWS.Snapshots(), func(s fakeaws.Snapshot) bool {
		return s.Tags[ebs.TagObjectUID] != string(object.GetUID())
	})
}

// read returns what is inside of a snapshot, read with the EBS direct APIs.
func (w *world) read(id string) *volume.Contents {
	w.t.Helper()
	output, err := w.Larder(w.t.Context(), "inspect", id, "--json").Output()
	if err != nil {
		w.t.Fatalf("larder inspect %s: %v", id, err)
	}
	var contents volume.Contents
	if err := json.Unmarshal(output, &contents); err != nil {
		w.t.Fatalf("larder inspect %s printed %s: %v", id, output, err)
	}
	return &contents
}

func nodeClass() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Group: "karpenter.k8s.aws", Version: "v1", Kind: "EC2NodeClass"})
	object.SetName("gpu")
	return object
}

func devicesOf(t *testing.T, class *unstructured.Unstructured) map[string]any {
	t.Helper()
	list, _, err := unstructured.NestedSlice(class.Object, "spec", "blockDeviceMappings")
	if err != nil {
		t.Fatal(err)
	}
	devices := map[string]any{}
	for _, entry := range list {
		devices[entry.(map[string]any)["deviceName"].(string)] = entry
	}
	if len(devices) != len(list) {
		t.Errorf("a device is there twice: %v", list)
	}
	return devices
}

// TestFromImagesToNodesAndBack is the main job, from the samples in the repository to an EC2NodeClass that
// boots from their images, and back.
func TestFromImagesToNodesAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeaws.Options{PendingFor: time.Second})
	w.apply(e2e.NodeClass)
	class := nodeClass()
	if err := w.Admin.Get(t.Context(), client.ObjectKeyFromObject(class), class); err != nil {
		t.Fatal(err)
	}
	before := devicesOf(t, class)

	samples := filepath.Join(t.TempDir(), "samples.yaml")
	if err := w.WriteSamples(samples); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Kubectl(t.Context(), "apply", "--filename", samples); err != nil {
		t.Fatal(err)
	}
	snapshot := &v1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{Name: "inference"}}
	w.eventuallyReady(snapshot)
	binding := &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}
	eventually(w, binding, "Ready", func(b *v1alpha1.NodeClassBinding) bool {
		return meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionReady)
	})

	id := snapshot.Status.SnapshotID
	if err := w.Admin.Get(t.Context(), client.ObjectKeyFromObject(class), class); err != nil {
		t.Fatal(err)
	}
	after := devicesOf(t, class)
	data := after["/dev/xvdb"].(map[string]any)["ebs"].(map[string]any)
	if data["snapshotID"] != id || data["volumeSize"] != "100Gi" {
		t.Errorf("the data device is %v, want snapshot %s on 100Gi", data, id)
	}
	for _, kept := range []string{"/dev/xvda", "/dev/xvdc"} {
		if diff := cmp.Diff(before[kept], after[kept]); diff != "" {
			t.Errorf("device %s was changed (-before +after):\n%s", kept, diff)
		}
	}
	w.checkContents(snapshot)
	w.checkRenewal(snapshot)

	// The snapshot goes only when nobody boots from it any more.
	if err := w.Admin.Delete(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
	eventually(w, snapshot, "held by its binding and class", func(s *v1alpha1.ImageCacheSnapshot) bool {
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonInUse &&
			strings.Contains(ready.Message, "ec2nodeclass/gpu, nodeclassbinding/gpu")
	})
	if len(w.ownedBy(snapshot)) != 2 {
		t.Error("a snapshot that a binding names was deleted")
	}
	if err := w.Admin.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	w.eventuallyGone(binding)
	if err := w.Admin.Get(t.Context(), client.ObjectKeyFromObject(class), class); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, devicesOf(t, class)); diff != "" {
		t.Errorf("the class is not as it was before the binding (-before +after):\n%s", diff)
	}
	w.eventuallyGone(snapshot)
	NewWithT(t).Eventually(w.AWS.Snapshots, patience, interval).Should(BeEmpty(), "the collector deletes what is left of a deleted object")
}

// checkRenewal takes an image out of the spec: the next snapshot is made of the last one, and costs little.
func (w *world) checkRenewal(snapshot *v1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	before := snapshot.DeepCopy()
	snapshot.Spec.Images = snapshot.Spec.Images[:1]
	if err := w.Admin.Patch(w.t.Context(), snapshot, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
	eventually(w, snapshot, "Ready at revision 2", func(s *v1alpha1.ImageCacheSnapshot) bool {
		return s.Status.Revision == 2 && meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)
	})
	written := map[string]fakeaws.Snapshot{}
	for _, made := range w.AWS.Snapshots() {
		written[made.ID] = made
	}
	first, second := written[before.Status.SnapshotID], written[snapshot.Status.SnapshotID]
	if second.ParentID != first.ID || second.Written*2 > first.Written {
		w.t.Errorf("the renewal %+v is no cheap child of %+v", second, first)
	}
	if contents := w.read(second.ID); len(contents.Images) != 1 {
		w.t.Errorf("%d images are on the renewed volume, want 1", len(contents.Images))
	}
}

// checkContents compares the status with what the snapshot's blocks hold.
func (w *world) checkContents(snapshot *v1alpha1.ImageCacheSnapshot) {
	w.t.Helper()
	contents := w.read(snapshot.Status.SnapshotID)
	if len(contents.Images) != len(w.Images) || len(snapshot.Status.Images) != len(w.Images) {
		w.t.Fatalf("%d images are on the volume, %d in the status, want %d", len(contents.Images), len(snapshot.Status.Images), len(w.Images))
	}
	for _, status := range snapshot.Status.Images {
		i := slices.IndexFunc(contents.Images, func(c volume.ContentsImage) bool { return slices.Contains(c.Names, status.Image) })
		if i < 0 {
			w.t.Errorf("%s is not on the volume", status.Image)
			continue
		}
		if onVolume := contents.Images[i]; onVolume.Digest.String() != status.Digest || !onVolume.Pinned {
			w.t.Errorf("%s is on the volume as %+v, the status says %s", status.Image, onVolume, status.Digest)
		}
	}
}

// TestOperatorIsKilledInTheMiddleOfABuild: whatever the moment, the next operator ends with exactly one
// snapshot, and it is right.
func TestOperatorIsKilledInTheMiddleOfABuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeaws.Options{PendingFor: time.Second})
	cases := []struct {
		name   string
		action string
		skip   int
	}{
		{"starting", "StartSnapshot", 0},
		{"writing", "PutSnapshotBlock", 10},
		{"completing", "CompleteSnapshot", 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			reached, release := w.gate.hold(c.action, c.skip)
			defer release()
			snapshot := w.newSnapshot("killed-" + c.name)
			select {
			case <-reached:
			case <-time.After(patience):
				t.Fatalf("no %s came", c.action)
			}
			if err := w.operator.Kill(); err != nil {
				t.Fatal(err)
			}
			release()
			w.start()
			w.eventuallyReady(snapshot)
			NewWithT(t).Eventually(func() error { return onlyThisOne(w.ownedBy(snapshot), snapshot.Status.SnapshotID) },
				patience, interval).Should(Succeed())
			w.checkContents(snapshot)
		})
	}
}

func onlyThisOne(snapshots []fakeaws.Snapshot, id string) error {
	if len(snapshots) != 1 || snapshots[0].ID != id || snapshots[0].State != ebs.StateCompleted {
		return fmt.Errorf("AWS has %+v, want only %s, completed", snapshots, id)
	}
	return nil
}

// TestSomethingIsWrong: bad input ends in a condition that says what, where and what to do, and leaves
// nothing in AWS.
func TestSomethingIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeaws.Options{PendingFor: time.Second})
	cases := map[string]struct {
		image, reason, says string
	}{
		"unknown tag":    {w.Registry.Host() + "/samples/tools:never", v1alpha1.ReasonImageNotFound, "samples/tools:never"},
		"malformed":      {"Not/A/Reference:", v1alpha1.ReasonInvalidReference, "Not/A/Reference:"},
		"no such server": {"127.0.0.1:1/samples/tools:2026.1", v1alpha1.ReasonRegistryUnreachable, "127.0.0.1:1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w.t = t
			object := &v1alpha1.ImageCacheSnapshot{
				ObjectMeta: metav1.ObjectMeta{GenerateName: "wrong-"},
				Spec:       v1alpha1.ImageCacheSnapshotSpec{Images: []v1alpha1.CachedImage{{Image: c.image}}},
			}
			if err := w.Admin.Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			eventually(w, object, c.reason, func(o *v1alpha1.ImageCacheSnapshot) bool {
				resolved := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionImagesResolved)
				return resolved != nil && resolved.Status == metav1.ConditionFalse &&
					resolved.Reason == c.reason && strings.Contains(resolved.Message, c.says)
			})
			if err := w.Admin.Delete(context.WithoutCancel(t.Context()), object); err != nil {
				t.Fatal(err)
			}
			w.eventuallyGone(object)
		})
	}
	if left := w.AWS.Snapshots(); len(left) != 0 {
		t.Errorf("%v are left in AWS", left)
	}
}
