package ext4

import (
	"fmt"
	"testing"

	"github.com/larder-dev/larder/internal/tree"
)

// TestPlanTakesWhatItNeeds is about memory: a plan is made when all of a layer's tree is there.
func TestPlanTakesWhatItNeeds(t *testing.T) {
	top, layer := newLayer(), newLayer()
	for i := range 1000 {
		layer.file(fmt.Sprintf("%d/%d", i%7, i), 0)
	}
	anchor := tree.NewDirectory(0o755, modified)
	anchor.Children["layer"] = layer.root
	top.add("anchor", anchor)
	for reason, c := range map[string]struct {
		root  *tree.Node
		roots map[*tree.Node]uint32
		want  int
	}{
		"the root, seven directories and their files":       {layer.root, nil, 1 + 7 + 1000},
		"the root and the anchor, but nothing of the layer": {top.root, map[*tree.Node]uint32{layer.root: 13}, 2},
	} {
		p, err := newPlan(c.root, anchor, c.roots)
		if err != nil {
			t.Fatal(err)
		}
		// The name of a tree that was written before is counted, and has no entry.
		if spare := cap(p.entries) - len(p.entries); len(p.entries) != c.want || spare > len(c.roots) {
			t.Errorf("%s: a plan of %d entries, with room for %d more, want %d", reason, len(p.entries), spare, c.want)
		}
	}
}
