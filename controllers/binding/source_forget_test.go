package binding

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// TestMemoryIsBounded: bindings come and go, specs change, parameters name ever new snapshots.
func TestMemoryIsBounded(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	source := &SnapshotSource{Clock: clock}
	b := &v1alpha1.NodeClassBinding{}
	b.Spec.Snapshot.Interval.Duration = 10 * time.Minute
	cases := map[string]struct {
		reason string
		next   func(number int) (subject string)
		most   int
	}{
		"bindings that are gone": {"one a minute, each remembered for ten",
			func(number int) string { b.UID = types.UID(fmt.Sprint(number)); return "snapshot" }, 10},
		"a spec that changes": {"what the spec before asked for is no use",
			func(number int) string { b.UID, b.Generation = "b", int64(number); return "snapshot" }, 1},
		"ever new snapshots": {"one a minute, each remembered for ten",
			func(number int) string { b.UID, b.Generation = "b", 1; return fmt.Sprint("snapshot ", number) }, 10},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			source.memory = memory{}
			most := 0
			for number := range 1000 {
				subject := tc.next(number)
				_, _, err := source.recall(context.Background(), b, subject, func() (Snapshot, *Problem) { return Snapshot{ID: subject}, nil })
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, len(source.memory.answers))
				clock.SetTime(clock.Now().Add(time.Minute))
			}
			if most != tc.most {
				t.Errorf("%s: up to %d answers were kept, want %d", tc.reason, most, tc.most)
			}
		})
	}
}
