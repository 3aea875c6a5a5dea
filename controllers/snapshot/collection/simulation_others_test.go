package collection

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// anyID is that of a snapshot of any Region, or empty.
func (h *history) anyID() string {
	ids := slices.Concat(h.ids(home), h.ids(away))
	if len(ids) == 0 {
		return ""
	}
	return ids[h.random.IntN(len(ids))]
}

// toggleBinding has a binding take any snapshot, or lets it go.
func (h *history) toggleBinding() {
	binding := &larderv1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("binding-%d", h.random.IntN(3))}}
	if h.client.Delete(h.t.Context(), binding) == nil {
		return
	}
	binding.Status.AppliedSnapshotID, binding.Status.LastKnownGoodSnapshotID = h.anyID(), h.anyID()
	if err := h.client.Create(h.t.Context(), binding); err != nil {
		h.t.Fatal(err)
	}
}

// addStranger has a person copy a snapshot with all of its tags, or another cluster make one.
func (h *history) addStranger() {
	of, region := h.anyID(), home
	if _, elsewhere := h.account[away].snapshots[of]; elsewhere {
		region = away
	}
	if of == "" {
		return
	}
	h.made++
	like := h.account[region].snapshots[of]
	like.ID = fmt.Sprintf("snap-x%05d", h.made)
	if h.chance(30) {
		like = made(like.ID, goneUID, 1, ebs.TagClusterUID, string(livesAs))
	}
	h.put(region, startedAt(like, h.clock.Now().Add(time.Millisecond)))
}

func (h *history) enableRestore() {
	if ids := h.ids(home); len(ids) > 0 {
		h.account[home].restores[ids[h.random.IntN(len(ids))]] = map[string]string{home + "a": ebs.FastRestoreEnabled}
	}
}

// checkDeletion holds for every deletion, whatever happened before.
func (h *history) checkDeletion(in *region, id string) {
	wrong := func(why string) { h.t.Errorf("seed %d: %s in %s is deleted although %s", h.seed, id, in.name, why) }
	one, now := h.truths[id], h.clock.Now()
	if one == nil {
		wrong("it is somebody else's")
		return
	}
	if h.kept[one.uid] {
		wrong("it was left to people")
	}
	for zone, state := range in.restores[id] {
		if state != ebs.FastRestoreDisabled {
			wrong("its fast restore in " + zone + " is " + state)
		}
	}
	for _, use := range in.uses {
		if slices.Contains(use.SnapshotIDs, id) {
			wrong("a launch template names it")
		}
	}
	bindings := &larderv1alpha1.NodeClassBindingList{}
	if err := h.client.List(h.t.Context(), bindings); err != nil {
		h.t.Fatal(err)
	}
	for _, binding := range bindings.Items {
		if binding.Status.AppliedSnapshotID == id || binding.Status.LastKnownGoodSnapshotID == id {
			wrong(binding.Name + " names it")
		}
	}
	since := now.Sub(one.superseded)
	switch {
	case one.superseded.IsZero():
		wrong("nothing has taken its place")
	case one.exposed && since < DefaultExposedGrace, since < quiet:
		wrong(fmt.Sprintf("it was superseded %s ago", since))
	}
	if at, gone := h.gone[one.uid]; gone && now.Sub(at) < DefaultOrphanGrace {
		wrong(fmt.Sprintf("its object is gone for %s", now.Sub(at)))
	}
	if in.name == home && h.hasCopy(id) {
		wrong("it has a copy")
	}
	h.checkWanted(one, id, wrong)
}

// checkWanted holds for deletions of what a living object has.
func (h *history) checkWanted(one *truth, id string, wrong func(string)) {
	for _, object := range h.objects() {
		if object.UID != one.uid {
			continue
		}
		if object.Spec.Suspend {
			wrong("its object is suspended")
		}
		if object.Spec.Revision != nil && *object.Spec.Revision == one.revision && one.source == "" {
			wrong("its object is pinned to it")
		}
		if id == object.Status.SnapshotID || one.source == object.Status.SnapshotID {
			if one.source == "" || len(object.Spec.Copies) > 0 {
				wrong("it is of the current revision")
			}
		}
		before := 0
		for other := range h.account[home].snapshots {
			first := h.truths[other] != nil && h.truths[other].uid == one.uid && other != id &&
				(other == object.Status.SnapshotID || h.truths[other].revision > one.revision)
			if first {
				before++
			}
		}
		if one.source == "" && before < limitOf(&object) {
			wrong(fmt.Sprintf("only %d of %d come before it", before, limitOf(&object)))
		}
	}
}

// settle ends all that disturbs, and then wants everything to be gone that may go.
func (h *history) settle() {
	h.calm()
	h.start()
	h.account[home].uses = nil
	if err := h.client.DeleteAllOf(h.t.Context(), &larderv1alpha1.NodeClassBinding{}); err != nil {
		h.t.Fatal(err)
	}
	for _, object := range h.objects() {
		if h.retaining[object.UID] {
			h.remove(&object)
			continue
		}
		object.Spec.Suspend, object.Spec.Revision = false, nil
		h.reconcile(&object)
		h.update(&object)
	}
	for range 25 {
		h.sweep()
		h.pass()
		h.clock.Step(5 * days)
	}
	living := map[string]*larderv1alpha1.ImageCacheSnapshot{}
	for _, object := range h.objects() {
		living[string(object.UID)] = &object
	}
	revisions := map[string]int{}
	for id, one := range h.truths {
		_, there := h.account[one.region].snapshots[id]
		object := living[string(one.uid)]
		switch {
		case !there || h.kept[one.uid]:
		case object == nil:
			h.t.Errorf("seed %d: %s is still there, long after its object", h.seed, id)
		case one.source == "":
			revisions[object.Name]++
		case len(object.Spec.Copies) == 0:
			h.t.Errorf("seed %d: copy %s is still there, which nobody asks for", h.seed, id)
		}
	}
	for _, object := range living {
		if revisions[object.Name] > limitOf(object) {
			h.t.Errorf("seed %d: %d revisions of %s are left, the limit is %d", h.seed, revisions[object.Name], object.Name, limitOf(object))
		}
		if _, there := h.account[home].snapshots[object.Status.SnapshotID]; !there && object.Status.SnapshotID != "" {
			h.t.Errorf("seed %d: the current revision of %s is gone", h.seed, object.Name)
		}
	}
	h.checkRetained()
}

// checkRetained wants what was left to people to be there, and to say so itself.
func (h *history) checkRetained() {
	for id, one := range h.truths {
		if snapshot, there := h.account[one.region].snapshots[id]; there && h.kept[one.uid] && snapshot.Tags[ebs.TagRetained] == "" {
			h.t.Errorf("seed %d: %s does not say that it was left to people", h.seed, id)
		}
	}
	if len(h.kept) == 0 {
		return
	}
	for _, key := range h.ledgerKeys() {
		if _, gone := h.gone[types.UID(key)]; gone {
			h.t.Errorf("seed %d: the ledger still has %s", h.seed, key)
		}
	}
}
