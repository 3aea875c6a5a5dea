package collection

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/launch"
)

// errCrash unwinds a sweep as SIGKILL would end it.
var errCrash = errors.New("the process was killed")

// history is a world in which other people and controllers are at work too. It knows the truth about each snapshot
// without reading a tag.
type history struct {
	*world
	random *rand.Rand
	seed   uint64
	made   int
	// looking is true once a sweep has begun to look who uses what is due.
	looking bool
	truths  map[string]*truth
	// gone is when an object was deleted; retaining are those that are to leave their snapshots to people, and kept
	// those that have.
	gone            map[types.UID]time.Time
	retaining, kept map[types.UID]bool
}

// truth is one of Larder's snapshots. What is not in the truths is somebody else's.
type truth struct {
	uid      types.UID
	revision int64
	region   string
	source   string
	exposed  bool
	// superseded is when it was last replaced, zero while it is not.
	superseded time.Time
}

func TestSimulation(t *testing.T) {
	for seed := range uint64(simulatedSeeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { simulate(t, seed) })
	}
}

func simulate(t *testing.T, seed uint64) {
	h := &history{
		world: newWorld(t), random: rand.New(rand.NewPCG(seed, 3)), seed: seed,
		truths: map[string]*truth{}, gone: map[types.UID]time.Time{}, retaining: map[types.UID]bool{}, kept: map[types.UID]bool{},
	}
	for _, one := range h.account {
		one.onDelete = func(id string) { h.checkDeletion(one, id) }
	}
	for range 3 {
		h.newObject()
	}
	h.stir()
	for range 70 {
		h.live()
		h.sweepOnce()
		h.pass()
	}
	h.settle()
}

func (h *history) chance(percent int) bool { return h.random.IntN(100) < percent }

// pass lets time go by: mostly moments, sometimes weeks.
func (h *history) pass() {
	spans := []time.Duration{time.Second, quiet, time.Minute, 20 * time.Minute, hour, 9 * days}
	h.clock.Step(spans[h.random.IntN(len(spans))])
	for _, one := range h.account {
		for _, zones := range one.restores {
			for zone, state := range zones {
				if state == ebs.FastRestoreDisabling {
					zones[zone] = ebs.FastRestoreDisabled
				}
			}
		}
	}
}

// stir lets any call fail, or end the process before or after its effect; and someone binds while a sweep reads.
func (h *history) stir() {
	h.before = func(call string) error {
		switch {
		case h.chance(1):
			panic(errCrash)
		case h.chance(2):
			return errors.New("unavailable")
		case strings.HasPrefix(call, "List *v1alpha1.ImageCacheSnapshot") && !h.looking && h.chance(3):
			h.toggleBinding()
		case strings.HasPrefix(call, "List *v1alpha1.NodeClassBinding"):
			h.looking = true
		}
		return nil
	}
	h.after = func(string) {
		if h.chance(1) {
			panic(errCrash)
		}
	}
}

func (h *history) calm() {
	h.before = func(string) error { return nil }
	h.after = func(string) {}
}

// sweepOnce may end in an error or in the end of the process, and then a new one starts.
func (h *history) sweepOnce() {
	h.looking = false
	h.survive(func() {
		if h.collector.Sweep(h.t.Context()) == nil {
			h.noteWanted()
		}
	})
	h.told()
}

// noteWanted is for copies that a sweep has seen to be wanted: until then they count as superseded when they were.
func (h *history) noteWanted() {
	for _, object := range h.objects() {
		for _, one := range h.truths {
			if one.source != "" && one.source == object.Status.SnapshotID && len(object.Spec.Copies) > 0 && !object.Spec.Suspend {
				one.superseded = time.Time{}
			}
		}
	}
}

func (h *history) survive(work func()) {
	defer func() {
		if cause := recover(); cause != nil {
			if err, ok := cause.(error); !ok || !errors.Is(err, errCrash) {
				panic(cause)
			}
			h.start()
		}
	}()
	work()
}

// live is what happens between two sweeps.
func (h *history) live() {
	for _, object := range h.objects() {
		switch {
		case h.chance(25):
			h.renew(&object)
		case h.chance(5):
			object.Spec.Suspend = !object.Spec.Suspend
		case h.chance(6) && len(object.Status.Revisions) > 0:
			object.Spec.Revision = &object.Status.Revisions[h.random.IntN(len(object.Status.Revisions))].Number
		case h.chance(20):
			object.Spec.Revision = nil
		case h.chance(4):
			h.toggleCopies(&object)
		case h.chance(3):
			h.remove(&object)
			continue
		}
		h.reconcile(&object)
		h.update(&object)
	}
	switch {
	case h.chance(8):
		h.newObject()
	case h.chance(10):
		h.toggleBinding()
	case h.chance(11):
		h.account[home].uses = []launch.Use{{Name: "template", SnapshotIDs: []string{h.anyID()}}}
	case h.chance(20):
		h.account[home].uses = nil
	case h.chance(15):
		h.addStranger()
	case h.chance(12):
		h.enableRestore()
	}
}

func (h *history) objects() []larderv1alpha1.ImageCacheSnapshot {
	list := &larderv1alpha1.ImageCacheSnapshotList{}
	if err := h.client.List(h.t.Context(), list); err != nil {
		h.t.Fatal(err)
	}
	return list.Items
}

func (h *history) update(object client.Object) {
	if err := h.client.Update(h.t.Context(), object); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) newObject() {
	h.made++
	object := &larderv1alpha1.ImageCacheSnapshot{ObjectMeta: metav1.ObjectMeta{
		Name: fmt.Sprintf("object-%d", h.made), UID: types.UID(fmt.Sprintf("0b1ec70b-0000-4000-8000-%012d", h.made)),
	}}
	limit(int32(1 + h.random.IntN(3)))(object)
	if err := h.client.Create(h.t.Context(), object); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) toggleCopies(object *larderv1alpha1.ImageCacheSnapshot) {
	if len(object.Spec.Copies) > 0 {
		object.Spec.Copies = nil
		h.supersedeCopies(object, "")
		return
	}
	copying(object)
}

// renew makes the next revision, unless the object is to stay as it is.
func (h *history) renew(object *larderv1alpha1.ImageCacheSnapshot) {
	if object.Spec.Suspend || object.Spec.Revision != nil {
		return
	}
	number := newestRevision(object.Status) + 1
	pairs := []string{}
	exposed := h.chance(40)
	if exposed {
		pairs = append(pairs, ebs.TagExposed, "published")
	}
	id := h.add(home, truth{uid: object.UID, revision: number, exposed: exposed}, pairs...)
	object.Status.Revisions = slices.Insert(object.Status.Revisions, 0, larderv1alpha1.RevisionStatus{Number: number, SnapshotID: id})
	h.makeCurrent(object, number, id)
}

func (h *history) add(region string, of truth, pairs ...string) string {
	id := fmt.Sprintf("snap-%05d", len(h.truths))
	of.region = region
	h.truths[id] = &of
	snapshot := made(id, of.uid, of.revision, pairs...)
	h.put(region, startedAt(snapshot, h.clock.Now()))
	return id
}

// makeCurrent does what the object's controller does, and copies as it does.
func (h *history) makeCurrent(object *larderv1alpha1.ImageCacheSnapshot, number int64, id string) {
	now := metav1.NewTime(h.clock.Now())
	for i := range object.Status.Revisions {
		line := &object.Status.Revisions[i]
		switch line.SnapshotID {
		case id:
			line.SupersededTime = nil
		case object.Status.SnapshotID:
			line.SupersededTime = &now
			h.truths[line.SnapshotID].superseded = now.Time
		}
	}
	h.truths[id].superseded = time.Time{}
	object.Status.SnapshotID, object.Status.Revision = id, number
	h.distribute(object)
	h.supersedeCopies(object, id)
}

// distribute copies the current revision, where it is asked for.
func (h *history) distribute(object *larderv1alpha1.ImageCacheSnapshot) {
	id := object.Status.SnapshotID
	current, there := h.account[home].snapshots[id]
	if !there || len(object.Spec.Copies) == 0 || h.hasCopy(id) {
		return
	}
	current.Tags[ebs.TagExposed], current.Tags[ebs.TagCopiedTo] = "copied", away
	h.truths[id].exposed = true
	of := truth{uid: object.UID, revision: h.truths[id].revision, source: id, exposed: true}
	made := h.add(away, of, ebs.TagSourceID, id)
	object.Status.Copies = []larderv1alpha1.CopyStatus{{Region: away, Revision: of.revision, SnapshotID: made}}
	h.supersedeCopies(object, id)
}

func (h *history) hasCopy(source string) bool {
	for id, one := range h.account[away].snapshots {
		if truth := h.truths[id]; truth != nil && one.Tags[ebs.TagSourceID] == source {
			return true
		}
	}
	return false
}

// supersedeCopies notes since when copies are not of the current revision, for those that no object wants any more.
func (h *history) supersedeCopies(object *larderv1alpha1.ImageCacheSnapshot, current string) {
	for _, one := range h.truths {
		switch {
		case one.uid != object.UID || one.source == "":
		case one.source == current && len(object.Spec.Copies) > 0:
		case one.superseded.IsZero():
			one.superseded = h.clock.Now()
		}
	}
}

// reconcile forgets revisions whose snapshots are gone, and follows the pin.
func (h *history) reconcile(object *larderv1alpha1.ImageCacheSnapshot) {
	object.Status.Revisions = slices.DeleteFunc(object.Status.Revisions, func(line larderv1alpha1.RevisionStatus) bool {
		_, there := h.account[home].snapshots[line.SnapshotID]
		return !there
	})
	if len(object.Status.Revisions) == 0 {
		return
	}
	wanted := object.Status.Revisions[0]
	for _, line := range object.Status.Revisions {
		if object.Spec.Revision != nil && line.Number == *object.Spec.Revision {
			wanted = line
		}
	}
	if wanted.SnapshotID != object.Status.SnapshotID && !object.Spec.Suspend {
		h.makeCurrent(object, wanted.Number, wanted.SnapshotID)
	}
	h.distribute(object)
}

// remove deletes an object, and may leave its snapshots to people.
func (h *history) remove(object *larderv1alpha1.ImageCacheSnapshot) {
	if h.chance(50) || h.retaining[object.UID] {
		h.retaining[object.UID] = true
		recorded := false
		h.survive(func() { recorded = h.collector.Retain(h.t.Context(), object) == nil })
		if !recorded {
			return // the finalizer tries again later
		}
		h.kept[object.UID] = true
	}
	if err := h.client.Delete(h.t.Context(), object); err != nil {
		h.t.Fatal(err)
	}
	h.gone[object.UID] = h.clock.Now()
	for _, one := range h.truths {
		if one.uid == object.UID && one.superseded.IsZero() {
			one.superseded = h.clock.Now()
		}
	}
}
