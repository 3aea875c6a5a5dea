package targets

import (
	"fmt"
	"testing"
)

// EveryCrash tells a story once, to learn at which requests the operator changes anything: AWS, the cluster, or the binding.
// Then it tells it again for each of them, twice, each time in a world of its own: the operator ends at that request,
// once before it has its effect, and once before its answer arrives, and another one goes on that remembers nothing. promises
// hold at the end of each. A story names no time, since a restart takes some. With the race detector it is told for fewer of
// them: see eachMoment.
func EveryCrash(t *testing.T, options Options, story, promises func(*World)) {
	t.Helper()
	w := New(t, options)
	story(w)
	promises(w)
	learned := w.changes
	if t.Failed() || len(learned) == 0 {
		t.Fatalf("the story has to come out well without a crash first, and to change something: %d changes", len(learned))
	}
	for n, one := range learned {
		for i, moment := range []string{"before", "after"} {
			if (2*n+i)%eachMoment != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s %d %s", moment, n+1, one.what), func(t *testing.T) {
				w := New(t, options)
				w.crash = crash{at: n + 1, answerLost: moment == "after"}
				story(w)
				promises(w)
				if len(w.changes) <= n || w.changes[n] != one {
					t.Errorf("change %d is another one when the story is told again: %v", n+1, w.changes)
				}
			})
		}
	}
}
