package volume

import (
	"testing"

	"github.com/larder-dev/larder/internal/layer"
	"github.com/larder-dev/larder/internal/tree"
)

// TestTreesAreLetGo is about memory: a set of images has more files than fit.
func TestTreesAreLetGo(t *testing.T) {
	// Two layers stand on the first one, and one on the second of those.
	b := &build{snapshots: make([]snapshotState, 4)}
	for i, parent := range []int{-1, 0, 0, 2} {
		b.snapshots[i].parent = parent
		b.snapshots[i].lower = &layer.Diff{}
		b.snapshots[i].root = tree.NewDirectory(0, epoch)
	}
	b.countHeirs()
	for _, step := range []struct {
		finished int
		letGo    []bool
		reason   string
	}{
		{0, []bool{false, false, false, false}, "three layers have to look at the first one"},
		{1, []bool{false, true, false, false}, "nothing stands on the second layer"},
		{2, []bool{false, true, false, false}, "the last layer has to look at both below it"},
		{3, []bool{true, true, true, true}, "nobody has to look any more"},
	} {
		b.looked(step.finished)
		for i, want := range step.letGo {
			state := &b.snapshots[i]
			if got := state.lower == nil && state.root.Children == nil; got != want {
				t.Errorf("layer %d is finished: the tree of layer %d was let go: %v, want %v, since %s", step.finished, i, got, want, step.reason)
			}
		}
	}
}
