package collection

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/message"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// mutating are the calls that change something in AWS.
func mutating(call string) bool {
	return strings.HasPrefix(call, "Tag ") || strings.HasPrefix(call, "Disable ") || strings.HasPrefix(call, "Delete ")
}

func valueOf(t *testing.T, metric prometheus.Metric) float64 {
	t.Helper()
	var written dto.Metric
	if err := metric.Write(&written); err != nil {
		t.Fatal(err)
	}
	return written.GetGauge().GetValue() + written.GetCounter().GetValue()
}

// TestLifeOfAnOrphan goes through every step of the way, one sweep each.
func TestLifeOfAnOrphan(t *testing.T) {
	w := newWorld(t)
	w.put(home, made("snap-1", goneUID, 1))
	w.account[home].restores["snap-1"] = map[string]string{"eu-central-1a": ebs.FastRestoreEnabled}
	w.sweep()
	if got := w.account[home].snapshots["snap-1"].Tags[ebs.TagSupersededAt]; got != ago(0) {
		t.Errorf("superseded at %q, want the time of the first sweep", got)
	}
	w.clock.Step(DefaultOrphanGrace)
	w.sweep()
	if got := w.account[home].restores["snap-1"]["eu-central-1a"]; got != ebs.FastRestoreDisabling {
		t.Errorf("the fast restore is %s", got)
	}
	w.sweep()
	if got := w.ids(home); len(got) != 1 {
		t.Fatal("it is gone before its fast restores are off")
	}
	w.account[home].restores["snap-1"]["eu-central-1a"] = ebs.FastRestoreDisabled
	w.sweep()
	if got := w.ids(home); len(got) > 0 {
		t.Fatalf("still there: %q", got)
	}
	told := w.told()
	if len(told) != 2 || !strings.Contains(told[0], larderv1alpha1.ReasonCollectable) || !strings.Contains(told[1], larderv1alpha1.ReasonCollected) {
		t.Errorf("want one event while it waits and one when it is gone, got %q", told)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	w := newWorld(t, object(3, limit(1)))
	w.collector.DryRun = true
	w.before = func(call string) error {
		if mutating(call) || call == "Patch" || call == "Create" {
			t.Errorf("a dry run calls %s", call)
		}
		return nil
	}
	w.put(home, revisions(3)...)
	w.put(home, made("snap-8", goneUID, 1), due("snap-9", 2))
	w.account[home].restores["snap-9"] = map[string]string{"eu-central-1a": ebs.FastRestoreEnabled}
	w.sweep()
	w.sweep()
	told := w.told()
	if len(told) != 4 {
		t.Errorf("want an event for each of four candidates, got %q", told)
	}
	for _, one := range told {
		if !strings.Contains(one, "Normal SnapshotCollectable Collect") || !strings.Contains(one, "nothing is deleted") {
			t.Errorf("event %q", one)
		}
	}
	for reason, want := range map[cause]float64{causeHistory: 2, causeOrphan: 2, causeCopy: 0} {
		if got := valueOf(t, candidates.WithLabelValues(string(reason))); got != want {
			t.Errorf("%v candidates for %s, want %v", got, reason, want)
		}
	}
}

// TestFailingLookUpDeletesNothing fails each call that tells what may be deleted.
func TestFailingLookUpDeletesNothing(t *testing.T) {
	calls := []string{
		"Find " + home, "FastRestores " + home, "SnapshotUses " + home, "Get *v1.ConfigMap",
		"List *v1alpha1.ImageCacheSnapshotList", "List *v1alpha1.NodeClassBindingList", "List *unstructured.UnstructuredList",
	}
	for _, failing := range calls {
		t.Run(failing, func(t *testing.T) {
			w := newWorld(t)
			w.put(home, due("snap-1", 1))
			w.before = func(call string) error {
				if call == failing {
					return errors.New("unavailable")
				}
				return nil
			}
			before := valueOf(t, failedSweeps)
			if err := w.collector.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "unavailable") {
				t.Errorf("the sweep says %v", err)
			}
			if len(w.ids(home)) == 0 {
				t.Error("deleted")
			}
			if got := valueOf(t, failedSweeps) - before; got != 1 {
				t.Errorf("%v failed sweeps are counted", got)
			}
			w.before = func(string) error { return nil }
			w.sweep()
			if len(w.ids(home)) > 0 {
				t.Error("the next sweep does not delete it")
			}
		})
	}
}

func TestRegionThatCannotBeReadKeepsWhatMayBeThere(t *testing.T) {
	w := newWorld(t)
	w.put(home, due("snap-1", 1, ebs.TagCopiedTo, away, ebs.TagSupersededAt, ago(40*days)), due("snap-2", 2))
	w.before = func(call string) error {
		if call == "Find "+away {
			return errors.New("the Region is not enabled")
		}
		return nil
	}
	if err := w.collector.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), away) {
		t.Errorf("the sweep does not say that %s cannot be read: %v", away, err)
	}
	if diff := cmp.Diff([]string{"snap-1"}, w.ids(home)); diff != "" {
		t.Errorf("what may have a copy there stays, what has none goes (-want +got):\n%s", diff)
	}
}

func TestRetainWithoutAWS(t *testing.T) {
	kept := object(2, copying)
	kept.UID = goneUID
	w := newWorld(t)
	w.put(home, made("snap-1", goneUID, 1), made("snap-2", goneUID, 2, ebs.TagCopiedTo, away, ebs.TagExposed, "copied"))
	w.put(away, made("snap-c2", goneUID, 2, ebs.TagSourceID, "snap-2"))
	unreachable := func(call string) error {
		if strings.HasSuffix(call, home) || strings.HasSuffix(call, away) {
			return errors.New("AWS cannot be reached")
		}
		return nil
	}
	w.before = unreachable
	for range 2 { // the second because the release may fail
		if err := w.collector.Retain(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.collector.Sweep(t.Context()); err == nil {
		t.Error("a sweep without AWS succeeds")
	}
	w.before = func(string) error { return nil }
	w.clock.Step(40 * days)
	for range 3 {
		w.sweep()
	}
	for _, name := range []string{home, away} {
		for id, one := range w.account[name].snapshots {
			if one.Tags[ebs.TagRetained] != ago(0) {
				t.Errorf("%s in %s is not tagged with the time of retaining: %v", id, name, one.Tags)
			}
		}
	}
	if got := w.ledgerKeys(); len(got) > 0 {
		t.Errorf("the ledger still has %q", got)
	}
	w.clock.Step(40 * days)
	w.sweep()
	if got := slices.Concat(w.ids(home), w.ids(away)); len(got) != 3 {
		t.Errorf("left of three snapshots: %q", got)
	}
}

// ledgerKeys are what the ledger has.
func (w *world) ledgerKeys() []string {
	w.t.Helper()
	stored := &corev1.ConfigMap{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: "larder-system", Name: LedgerName}, stored); err != nil {
		w.t.Fatal(err)
	}
	var keys []string
	for key := range stored.Data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestSpoiltLedgerDeletesNothing(t *testing.T) {
	spoilt := &corev1.ConfigMap{Data: map[string]string{string(goneUID): "keep these"}}
	spoilt.Namespace, spoilt.Name = "larder-system", LedgerName
	w := newWorld(t, spoilt)
	w.put(home, due("snap-1", 1))
	if err := w.collector.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), string(goneUID)) {
		t.Errorf("the sweep does not say which key to mend: %v", err)
	}
	if len(w.ids(home)) == 0 {
		t.Error("deleted")
	}
}

// TestLikenessSurvivesTheOriginal has a copy that a person made of what is deleted later.
func TestLikenessSurvivesTheOriginal(t *testing.T) {
	w := newWorld(t)
	w.put(home, due("snap-1", 1), startedAt(due("snap-2", 1), noon))
	for range 3 {
		w.sweep()
		w.clock.Step(40 * days)
		w.start() // what a process remembers does not count
	}
	if diff := cmp.Diff([]string{"snap-2"}, w.ids(home)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	delete(w.account[home].snapshots, "snap-2")
	w.sweep()
	if got := w.ledgerKeys(); len(got) > 0 {
		t.Errorf("the ledger still has %q", got)
	}
}

func TestLikenessIsRecordedFirst(t *testing.T) {
	w := newWorld(t)
	w.put(home, due("snap-1", 1), startedAt(due("snap-2", 1), noon))
	w.before = func(call string) error {
		if call == "Patch" {
			return errors.New("forbidden")
		}
		return nil
	}
	if err := w.collector.Sweep(t.Context()); err == nil {
		t.Error("the sweep says nothing")
	}
	if got := w.ids(home); len(got) != 2 {
		t.Errorf("left: %q; without the record the copy would be taken for ours", got)
	}
}

func TestWhatAnAMIIsMadeOfStays(t *testing.T) {
	w := newWorld(t)
	w.put(home, due("snap-1", 1), due("snap-2", 2))
	w.account[home].kept["snap-1"] = true
	tried := 0
	w.before = func(call string) error {
		if call == "Delete "+home {
			tried++
		}
		return nil
	}
	for range 59 {
		w.sweep()
		w.clock.Step(time.Minute)
	}
	if tried != 2 {
		t.Errorf("%d deletions are tried in an hour, want one of each", tried)
	}
	if diff := cmp.Diff([]string{"snap-1"}, w.ids(home)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	told := w.told()
	if len(told) != 2 || !slices.ContainsFunc(told, func(one string) bool { return strings.Contains(one, "deregister the AMI first") }) {
		t.Errorf("want one event for each snapshot, one of them with what to do: %q", told)
	}
}

func TestASweepDeletesSoMany(t *testing.T) {
	w := newWorld(t)
	const all = 2*writesPerSweep + 1
	for number := range int64(all) {
		w.put(home, due(fmt.Sprintf("snap-%02d", number), number+1))
	}
	for _, want := range []int{all - writesPerSweep, all - 2*writesPerSweep, 0} {
		w.sweep()
		if got := len(w.ids(home)); got != want {
			t.Errorf("%d left, want %d", got, want)
		}
	}
}

func TestDeniedDeletionIsTriedOnceASweep(t *testing.T) {
	w := newWorld(t)
	w.put(home, due("snap-1", 1), due("snap-2", 2))
	tried := 0
	w.before = func(call string) error {
		if call == "Delete "+home {
			tried++
			return accessDenied()
		}
		return nil
	}
	if err := w.collector.Sweep(t.Context()); err == nil || tried != 1 {
		t.Errorf("tried %d times, error %v", tried, err)
	}
}

func TestSteadyStateChangesNothing(t *testing.T) {
	w := newWorld(t, object(3, copying))
	w.put(home, made("snap-1", livesAs, 1), made("snap-2", livesAs, 2, ebs.TagExposed, "published", ebs.TagSupersededAt, ago(time.Hour)),
		made("snap-3", livesAs, 3, ebs.TagCopiedTo, away, ebs.TagExposed, "copied"))
	w.put(away, made("snap-c3", livesAs, 3, ebs.TagSourceID, "snap-3"))
	calls := map[string]int{}
	w.before = func(call string) error {
		calls[call]++
		return nil
	}
	for range 60 {
		w.sweep()
		w.clock.Step(time.Minute)
	}
	want := map[string]int{"Find " + home: 60, "Find " + away: 60, "List *v1alpha1.ImageCacheSnapshotList": 120, "Get *v1.ConfigMap": 120}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls of an hour in which nothing is to be done (-want +got):\n%s", diff)
	}
	if told := w.told(); len(told) > 0 {
		t.Errorf("told: %q", told)
	}
}

func TestSweepsComeByThemselvesAndWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.collector.Clock = clock.RealClock{} // the bubble's
		var sweeps atomic.Int64
		w.before = func(call string) error {
			if call == "Find "+home {
				sweeps.Add(1)
			}
			return nil
		}
		ended := make(chan error, 1)
		go func() { ended <- w.collector.Start(t.Context()) }()
		count := func(after time.Duration, want int64, why string) {
			t.Helper()
			<-time.After(after)
			synctest.Wait()
			if got := sweeps.Load(); got != want {
				t.Errorf("%d sweeps, want %d: %s", got, want, why)
			}
		}
		count(0, 1, "one at the start")
		for range 100 {
			w.collector.Wake()
		}
		count(time.Second, 1, "not at once")
		count(pause, 2, "all that ask get one together")
		count(soon, 3, "soon again, since what was superseded is let go of within seconds")
		count(soon, 3, "but no more than that")
		count(interval, 4, "by itself after a while")
	})
	if !new(Collector).NeedLeaderElection() {
		t.Error("a replica that does not lead would delete too")
	}
}

func TestLongNotesAreCutBetweenCharacters(t *testing.T) {
	w := newWorld(t)
	one := due("snap-1", 1)
	one.Tags[ebs.TagObjectName] = strings.Repeat("ü", message.Longest)
	w.put(home, one)
	w.sweep()
	told := strings.TrimPrefix(w.told()[0], "Normal SnapshotCollected Collect ")
	note, _, _ := strings.Cut(told, " runtime.Object")
	if len(note) > message.Longest+1 || strings.ContainsRune(note, '�') {
		t.Errorf("a note of %d bytes: %q", len(note), note)
	}
}

func TestObjectsAreToldWhatIsGone(t *testing.T) {
	w := newWorld(t, object(4))
	for number := range int64(4) {
		w.put(home, made(fmt.Sprintf("snap-%d", number+1), livesAs, number+1, ebs.TagSupersededAt, ago(time.Hour)))
	}
	w.put(home, due("snap-orphan", 1))
	w.sweep()
	if diff := cmp.Diff([]string{"snap-2", "snap-3", "snap-4"}, w.ids(home)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"inference"}, w.collected); diff != "" {
		t.Errorf("who was told (-want +got):\n%s", diff)
	}
}
