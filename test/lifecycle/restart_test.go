package lifecycle

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/test/fakeaws"
)

// killer ends a process in the middle of a call to AWS: the call comes through, and its answer does not.
type killer struct {
	mu     sync.Mutex
	action string
	// skip lets so many calls pass first.
	skip   int
	victim *wire
}

func (k *killer) onCall(action string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.victim == nil || action != k.action:
	case k.skip > 0:
		k.skip--
	default:
		k.victim.dead.Store(true)
	}
}

// TestRestartedAtAnyMoment kills the operator in the middle of a renewal, in a call to AWS whose outcome it then never
// learns of, and starts one that remembers nothing. What there is in the end is what there would have been without.
func TestRestartedAtAnyMoment(t *testing.T) {
	cases := map[string]struct {
		reason, action string
		skip           int
	}{
		"starting the snapshot": {"nobody knows its id", "StartSnapshot", 0},
		"writing":               {"it is half-written", "PutSnapshotBlock", 2},
		"handing it over":       {"it is complete, and nobody knows", "CompleteSnapshot", 0},
		"marking it as exposed": {"before anything is", "CreateTags", 0},
		"copying":               {"CopySnapshot has no token", "CopySnapshot", 0},
		"copying a second time": {"one of two copies is known", "CopySnapshot", 1},
		"publishing":            {"others may have read it", "PutParameter", 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			killer := &killer{}
			w := newWorld(t, options{aws: fakeaws.Options{
				PendingFor: 30 * time.Second, CopyFor: time.Minute, OnCall: killer.onCall,
			}})
			w.create("restarted", v1alpha1.ImageCacheSnapshotSpec{
				Images: imagesOf(w.push("app:latest", app("1"))), VolumeSize: smallest,
				Copies:  []v1alpha1.RegionalCopy{{Region: "eu-west-1"}, {Region: "us-east-1"}},
				Publish: &v1alpha1.Publish{SSMParameter: "/larder/restarted"},
			})
			w.untilRevision("restarted", 1)
			w.push("app:latest", app("2"))
			w.killIn(killer, tc.action, tc.skip)
			w.untilRevision("restarted", 2)
			w.run(time.Hour)
			w.wantWhatIsRight("restarted")
		})
	}
}

// killIn goes on until a call comes, and replaces the operator that has made it.
func (w *world) killIn(killer *killer, action string, skip int) {
	w.t.Helper()
	killer.mu.Lock()
	killer.action, killer.skip, killer.victim = action, skip, w.operator.wire
	killer.mu.Unlock()
	for range 500 {
		if w.operator.wire.dead.Load() {
			w.restart()
			return
		}
		w.step()
	}
	w.t.Fatalf("%s is never called", action)
}

// wantWhatIsRight is two revisions with their copies: the first one stays for a while, since others may have learnt of it.
func (w *world) wantWhatIsRight(name string) {
	w.t.Helper()
	object := w.object(name)
	var got []string
	for _, one := range w.aws.Snapshots() {
		got = append(got, fmt.Sprintf("%s revision %s %s of %q", one.Region, one.Tags[ebs.TagRevision], one.State, one.CopiedFrom))
	}
	var want []string
	for revision, id := range []string{object.Status.Revisions[1].SnapshotID, object.Status.SnapshotID} {
		want = append(want, fmt.Sprintf(`%s revision %d completed of ""`, home, revision+1))
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			want = append(want, fmt.Sprintf("%s revision %d completed of %q", region, revision+1, id))
		}
	}
	if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
		w.t.Errorf("in AWS (-want +got):\n%s", diff)
	}
	if calls := w.aws.Calls("CopySnapshot"); calls != 4 {
		w.t.Errorf("%d copies were asked for, want 4: one that is lost is looked for first", calls)
	}
	if parameter, _ := w.aws.Parameter("/larder/" + name); parameter.Value != object.Status.SnapshotID {
		w.t.Errorf("the parameter says %q, want %s", parameter.Value, object.Status.SnapshotID)
	}
	for _, one := range object.Status.Copies {
		if one.State != v1alpha1.CopyCompleted || one.Revision != 2 {
			w.t.Errorf("copy: %+v", one)
		}
	}
}
