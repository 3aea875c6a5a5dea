package e2e_test

import (
	"testing"
	"time"

	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/e2e/story"
	"github.com/larder-dev/larder/test/fakeaws"
)

// TestKarpenterPoolWithNodes has the story that the demo prints come true.
func TestKarpenterPoolWithNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fakeaws.Options{PendingFor: time.Second}, story.Flags()...)
	told := story.New(e2e.Narrator{Stack: w.Stack, Out: t.Output()}, t.TempDir())
	for _, chapter := range story.Chapters() {
		goesOn := t.Run(chapter.Name, func(t *testing.T) {
			if err := chapter.Tell(told, t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		if !goesOn {
			t.FailNow()
		}
	}
}
