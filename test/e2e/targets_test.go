package e2e_test

import (
	"testing"

	"github.com/larder-dev/larder/test/e2e"
	"github.com/larder-dev/larder/test/e2e/targets"
)

// TestTargetsOfAWSAndCSI has the story that the demo of the targets prints come true.
func TestTargetsOfAWSAndCSI(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, targets.Options(t.TempDir()))
	told := targets.New(e2e.Narrator{Stack: w.Stack, Out: t.Output()}, t.TempDir())
	for _, chapter := range targets.Chapters() {
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
