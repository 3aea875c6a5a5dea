package snapshot

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/snapshot/collection"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/image"
)

// simulatedSeeds is how many random histories are tried; each takes some 100 ms.
const simulatedSeeds = 60

// checkInvariants holds after every pass, whatever happened before.
func (w *world) checkInvariants() {
	w.t.Helper()
	object := w.object()
	if len(object.Status.Conditions) > 0 {
		checkStatus(w.t, object)
	}
	if object.Status.Build != nil && !controllerutil.ContainsFinalizer(object, Finalizer) {
		w.t.Error("something may be in AWS of an object that can go without a word")
	}
	completed := map[string]string{}
	for _, snapshot := range w.cloud.all() {
		if snapshot.State != ebs.StateCompleted {
			continue
		}
		revision := snapshot.Tags[ebs.TagRevision]
		if other, twice := completed[revision]; twice {
			w.t.Errorf("revision %s is in both %s and %s", revision, other, snapshot.ID)
		}
		completed[revision] = snapshot.ID
	}
}

// TestSimulation lives through random histories of crashes, faults, edits and deletions behind our back, each
// of which has to end with exactly the right snapshot.
func TestSimulation(t *testing.T) {
	for seed := range uint64(simulatedSeeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	chance := func(percent int) bool { return random.IntN(100) < percent }
	specs := []larderv1alpha1.ImageCacheSnapshotSpec{specOf("a"), specOf("b"), specOf("a", "b"), specOf("b", "a")}
	w := newWorld(t, "a")
	w.stir(random, rand.New(rand.NewPCG(seed, 2)))

	for range 120 {
		after := w.pass()
		w.wait(time.Duration(random.Int64N(int64(max(after, time.Second)))))
		switch {
		case chance(5):
			w.kill()
		case chance(4):
			w.edit(specs[random.IntN(len(specs))])
		case chance(3):
			if id := w.object().Status.SnapshotID; !w.heldIDs()[id] {
				w.cloud.remove(id)
			}
		case chance(8):
			w.toggleBinding()
		case chance(9):
			w.registry.push(string("ab"[random.IntN(2)]))
		case chance(2):
			w.turn(random)
		}
	}
	w.calm()
	w.release()
	if seed%3 > 0 { // the others are deleted in the middle of it all
		w.runFor(45 * time.Minute)
		w.checkSettled()
	}
	w.delete()
	w.runFor(10 * time.Minute)
	w.removeBinding()
	w.runFor(collection.DefaultOrphanGrace + 30*time.Minute)
	if object := w.object(); object.Name != "" {
		t.Errorf("the object is still there: %+v", object.Status)
	}
	if left := w.cloud.all(); len(left) > 0 {
		t.Errorf("left in AWS: %+v", left)
	}
}

// turn suspends, pins to some revision or asks for a look, or ends that.
func (w *world) turn(random *rand.Rand) {
	object := w.object()
	spec := object.Spec
	switch random.IntN(5) {
	case 0:
		spec.Suspend = !spec.Suspend
	case 1:
		spec.Revision = ptr.To(1 + random.Int64N(4))
	case 2, 3:
		spec.Suspend, spec.Revision = false, nil
	case 4:
		w.request(fmt.Sprint(random.Uint32()))
		return
	}
	w.edit(spec)
}

// release ends suspension and pin, so that the object may go where its spec wants.
func (w *world) release() {
	spec := w.object().Spec
	spec.Suspend, spec.Revision = false, nil
	w.edit(spec)
}

// request asks for a look at the registries.
func (w *world) request(value string) {
	object := w.object()
	object.Annotations = map[string]string{larderv1alpha1.AnnotationReconcileRequestedAt: value}
	if err := w.client.Update(w.t.Context(), object); err != nil {
		w.t.Fatal(err)
	}
}

// stir makes everything fail now and then. Passes and builds are concurrent, so each side has its own dice.
func (w *world) stir(passes, builds *rand.Rand) {
	chance := func(percent int) bool { return passes.IntN(100) < percent }
	buildChance := func(percent int) bool { return builds.IntN(100) < percent }
	w.crash = func(string) bool { return chance(1) }
	w.cloud.inUse = w.heldIDs
	w.cloud.hide = time.Duration(passes.Int64N(int64(ebs.AppearsWithin)))
	w.cloud.complete = time.Duration(passes.Int64N(int64(3 * time.Minute)))
	w.cloud.fault = func(call string) error {
		dice := chance
		if call == "StartSnapshot" || call == "CompleteSnapshot" {
			dice = buildChance
		}
		if dice(4) {
			return unavailable(call)
		}
		return nil
	}
	w.registry.fault = func(reference string) error {
		// Images are resolved at the same time: their luck depends on the time and the name, not on who is first.
		luck := fnv.New64a()
		fmt.Fprint(luck, reference, w.clock.Now().UnixNano())
		switch percent := luck.Sum64() % 100; {
		case percent < 5:
			return imageError(reference, image.Unreachable)
		case percent < 6:
			return imageError(reference, image.NotFound)
		}
		return nil
	}
	w.builder.fault = func(string) error {
		if buildChance(3) {
			return errors.New("the volume could not be written")
		}
		return nil
	}
	w.builder.spoil = func() bool { return buildChance(10) }
}

// calm ends all faults. The process goes first, since its build is reading them.
func (w *world) calm() {
	w.kill()
	w.crash = nil
	w.cloud.fault = func(string) error { return nil }
	w.registry.fault = nil
	w.builder.fault = func(string) error { return nil }
	w.builder.spoil = func() bool { return false }
	w.start()
}

// checkSettled wants one usable snapshot with the right images, no half-made one, and nothing more to write.
func (w *world) checkSettled() {
	w.t.Helper()
	object := w.object()
	if !meta.IsStatusConditionTrue(object.Status.Conditions, larderv1alpha1.ConditionReady) {
		w.t.Fatalf("not Ready: %+v", object.Status)
	}
	wanted := map[string]bool{}
	for _, one := range object.Spec.Images {
		wanted[one.Image] = true
	}
	got := map[string]bool{}
	for _, reference := range w.builder.references(object.Status.SnapshotID) {
		got[reference] = true
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		w.t.Errorf("images in snapshot %s (-want +got):\n%s", object.Status.SnapshotID, diff)
	}
	for _, one := range object.Status.Images {
		if now, err := w.registry.Digest(w.t.Context(), one.Image); err != nil || one.Digest != now.String() {
			w.t.Errorf("image %s is cached as %s, and its tag points at %s, %v", one.Image, one.Digest, now, err)
		}
	}
	current := 0
	for _, snapshot := range w.cloud.all() {
		if snapshot.State != ebs.StateCompleted {
			w.t.Errorf("left behind: %+v", snapshot)
		}
		if snapshot.Tags[ebs.TagContentHash] == object.Status.ContentHash {
			current++
		}
	}
	const limit = 3
	if kept := len(w.cloud.all()) - len(w.heldIDs()); kept > limit {
		w.t.Errorf("%d revisions are kept that nobody holds, want %d at most", kept, limit)
	}
	if current < 1 {
		w.t.Errorf("no snapshot has content hash %s", object.Status.ContentHash)
	}
	w.pass()
	if again := w.object(); again.ResourceVersion != object.ResourceVersion {
		w.t.Errorf("a pass over a settled object wrote (-before +after):\n%s", cmp.Diff(object.Status, again.Status))
	}
}

// toggleBinding has a binding take the current snapshot, or let go of it.
func (w *world) toggleBinding() {
	if len(w.heldIDs()) > 0 {
		w.removeBinding()
		return
	}
	id := w.object().Status.SnapshotID
	if id == "" {
		return
	}
	binding := &larderv1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}
	binding.Spec.Snapshot.Ref = &larderv1alpha1.SnapshotReference{Name: objectName}
	binding.Status.AppliedSnapshotID = id
	if err := w.client.Create(w.t.Context(), binding); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) removeBinding() {
	binding := &larderv1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}
	if err := client.IgnoreNotFound(w.client.Delete(w.t.Context(), binding)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) heldIDs() map[string]bool {
	bindings := &larderv1alpha1.NodeClassBindingList{}
	if err := w.client.List(w.t.Context(), bindings); err != nil {
		w.t.Fatal(err)
	}
	held := map[string]bool{}
	for _, binding := range bindings.Items {
		held[binding.Status.AppliedSnapshotID] = true
	}
	return held
}

// TestUndisturbed is the history that users should have: nothing fails.
func TestUndisturbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b")
		var seen []string
		w.runUntil("Ready", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
			ready := meta.FindStatusCondition(object.Status.Conditions, larderv1alpha1.ConditionReady)
			if !slices.Contains(seen, ready.Reason) {
				seen = append(seen, ready.Reason)
			}
			return ready.Status == metav1.ConditionTrue
		})
		if diff := cmp.Diff([]string{"Building", "SnapshotPending", "Ready"}, seen); diff != "" {
			t.Errorf("reasons of Ready, in order (-want +got):\n%s", diff)
		}
		w.checkSettled()
		if all := w.cloud.all(); len(all) != 1 {
			t.Errorf("want exactly one snapshot, got %+v", all)
		}
		close(w.events.Events)
		var told []string
		for one := range w.events.Events {
			told = append(told, one[:min(len(one), 24)])
		}
		if len(told) != 3 {
			t.Errorf("want an event for each of the three transitions and no more, got %q", told)
		}
	})
}
