package snapshot

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

func TestParentIsTheCurrentSnapshotInOurOwnRecord(t *testing.T) {
	cases := map[string]struct {
		reason string
		owned  []ebs.Snapshot
		want   string
	}{
		"current":        {"it has what the next revision is likely to share", []ebs.Snapshot{owned("snap-old", ebs.StateCompleted, 1, 1, "old")}, "snap-old"},
		"gone":           {"AWS does not have it any more", nil, ""},
		"not completed":  {"only a completed snapshot can be read", []ebs.Snapshot{owned("snap-old", ebs.StatePending, 1, 1, "old")}, ""},
		"someone else's": {"what does not carry the object's tags is not in the list", []ebs.Snapshot{owned("snap-other", ebs.StateCompleted, 1, 1, "old")}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := (&facts{status: servingStatus(), owned: tc.owned}).parent(); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestAFullBuildSaysWhy(t *testing.T) {
	recorder := events.NewFakeRecorder(1)
	clock := clocktesting.NewFakePassiveClock(planTime)
	r := &Reconciler{Recorder: recorder, Runner: NewRunner(nil, 1, clock), Clock: clock}
	view := &buildView{Ended: planTime, withoutParent: errors.New("parent snap-1 cannot be built upon: it was mounted")}
	r.commit(objectWithUID("a"), &facts{build: view}, decision{do: doReport})
	if event := <-recorder.Events; !strings.Contains(event, larderv1alpha1.ReasonBuiltInFull) || !strings.Contains(event, "it was mounted") {
		t.Errorf("the event is %q", event)
	}
}
