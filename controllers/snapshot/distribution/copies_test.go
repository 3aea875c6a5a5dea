package distribution

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
	"github.com/larder-dev/larder/internal/aws/kms"
)

// states are the copies of a status, by Region.
func states(object *larderv1alpha1.ImageCacheSnapshot) map[string]larderv1alpha1.CopyState {
	all := map[string]larderv1alpha1.CopyState{}
	for _, one := range object.Status.Copies {
		all[one.Region] = one.State
	}
	return all
}

func TestACopyForEachRegion(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{
		Copies: copiesIn("us-west-2", "ap-south-1"), Tags: map[string]larderv1alpha1.TagValue{"team": "ml"},
	})
	w.cloud.hide = time.Minute
	w.cloud.check = func(where, call string, _ ...string) {
		if got := states(w.object())[where]; call == "Copy" && got != larderv1alpha1.CopyStarting {
			t.Errorf("AWS is asked for a copy in %s while the written status says %q", where, got)
		}
	}
	object := w.settle()
	for _, region := range []string{"us-west-2", "ap-south-1"} {
		copies := w.cloud.copiesOf(region, w.current.ID)
		if len(copies) != 1 || copies[0].Tags["team"] != "ml" || copies[0].Tags[ebs.TagRevision] != "1" {
			t.Errorf("want one copy with the tags of its home snapshot and of the spec in %s, got %+v", region, copies)
		}
	}
	for _, one := range object.Status.Copies {
		if one.State != larderv1alpha1.CopyCompleted || one.Revision != 1 || one.SnapshotID != w.cloud.copiesOf(one.Region, w.current.ID)[0].ID {
			t.Errorf("the status says %+v", one)
		}
	}
	if ready := w.condition(larderv1alpha1.ConditionCopiesReady); ready.Reason != larderv1alpha1.ReasonCopied {
		t.Errorf("the condition is %+v", ready)
	}
	if diff := cmp.Diff([]string{"ap-south-1", "us-west-2"}, CopiedTo(w.current.Tags)); diff != "" {
		t.Errorf("the home snapshot's tags (-want +got):\n%s", diff)
	}
}

// TestCopyLooksBeforeItAsksAgain: CopySnapshot has no token, so whoever asks again without knowing the outcome pays for
// two copies, one of which nobody knows.
func TestCopyLooksBeforeItAsksAgain(t *testing.T) {
	cases := map[string]struct {
		reason string
		// disturb spoils the first call.
		disturb func(*world)
		copies  int
	}{
		"the answer is lost": {
			reason: "the copy is there, and is listed late",
			disturb: func(w *world) {
				w.cloud.after = func(_, call string) error { return once(w, call, "Copy", unavailable()) }
			},
			copies: 1,
		},
		"the id cannot be written": {
			reason: "the next process knows the marker only",
			disturb: func(w *world) {
				w.cloud.before = func(_, call string) error {
					if call == "PatchStatus" && w.cloud.writes["Copy"] > 0 {
						return once(w, call, "PatchStatus", errors.New("the process was killed"))
					}
					return nil
				}
			},
			copies: 1,
		},
		"killed before it asked": {
			reason: "the marker stands for nothing, which shows in time",
			disturb: func(w *world) {
				w.cloud.before = func(_, call string) error { return once(w, call, "Copy", unavailable()) }
			},
			copies: 1,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2")})
			w.cloud.hide = ebs.AppearsWithin
			tc.disturb(w)
			for range 60 {
				before := w.cloud.reads["Find"]
				asked := w.cloud.writes["Copy"]
				_ = w.pass() // what is disturbed says so, and the next pass comes
				if w.cloud.writes["Copy"] > asked && w.cloud.reads["Find"] == before {
					t.Errorf("%s: AWS was asked for a copy in a pass that did not look for one", tc.reason)
				}
				w.wait(10 * time.Second)
			}
			if got := w.cloud.writes["Copy"]; got != tc.copies {
				t.Errorf("%s: want %d effective CopySnapshot, got %d", tc.reason, tc.copies, got)
			}
			if diff := cmp.Diff(map[string]larderv1alpha1.CopyState{"us-west-2": "Completed"}, states(w.mustPass())); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// once returns the error at the first call of a name, and never again.
func once(w *world, call, wanted string, err error) error {
	if call != wanted {
		return nil
	}
	w.cloud.before = func(string, string) error { return nil }
	w.cloud.after = func(string, string) error { return nil }
	return err
}

// TestOneRegionsTroubleIsItsOwn has something wrong in each Region but one.
func TestOneRegionsTroubleIsItsOwn(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: append(
		copiesIn("us-west-2", homeRegion, "me-south-1", "xx-nowhere-1", "ca-central-1"),
		larderv1alpha1.RegionalCopy{Region: "eu-west-1", KMSKeyID: "alias/unknown"},
		larderv1alpha1.RegionalCopy{Region: "eu-west-2", KMSKeyID: "alias/doomed"},
		larderv1alpha1.RegionalCopy{Region: "eu-west-3", KMSKeyID: "alias/good"},
	)})
	w.cloud.disabled["me-south-1"] = true
	w.cloud.keys["alias/doomed"] = kms.Key{State: "PendingDeletion"}
	w.cloud.keys["alias/good"] = kms.Key{State: "Enabled", Enabled: true}
	w.cloud.before = func(where, call string) error {
		if where == "ca-central-1" && call == "Find" {
			return unavailable()
		}
		return nil
	}
	for range 20 {
		w.mustPass()
		w.wait(copyInterval)
	}
	object := w.mustPass()
	want := map[string]larderv1alpha1.CopyState{
		"us-west-2": "Completed", "eu-west-3": "Completed",
		homeRegion: "Failed", "me-south-1": "Failed", "xx-nowhere-1": "Failed", "eu-west-1": "Failed", "eu-west-2": "Failed",
	}
	if diff := cmp.Diff(want, states(object)); diff != "" {
		t.Errorf("status.copies (-want +got):\n%s", diff)
	}
	reasons := map[string]string{
		homeRegion: larderv1alpha1.ReasonRegionUnusable, "me-south-1": larderv1alpha1.ReasonRegionUnusable,
		"xx-nowhere-1": larderv1alpha1.ReasonRegionUnusable, "eu-west-1": larderv1alpha1.ReasonKMSKeyUnusable,
		"eu-west-2": larderv1alpha1.ReasonKMSKeyUnusable, "ca-central-1": larderv1alpha1.ReasonAWSError,
	}
	condition := w.condition(larderv1alpha1.ConditionCopiesReady)
	for region, reason := range reasons {
		told := slices.ContainsFunc(w.outcome.Problems, func(p Problem) bool {
			return p.Reason == reason && strings.Contains(p.Message, region) && p.NeedsPerson == (region != "ca-central-1")
		})
		if !told {
			t.Errorf("no problem %s names %s: %+v", reason, region, w.outcome.Problems)
		}
		if !strings.Contains(condition.Message, region) {
			t.Errorf("the condition does not name %s: %s", region, condition.Message)
		}
	}
	if condition.Reason != larderv1alpha1.ReasonRegionUnusable {
		t.Errorf("the condition's reason is %s", condition.Reason)
	}
	if got := CopiedTo(w.current.Tags); !slices.Equal(got, []string{"eu-west-3", "us-west-2"}) {
		t.Errorf("the collector is to look only where there may be copies, got %v", got)
	}
}

func TestAFailedCopyIsDeletedAndMadeAgain(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2")})
	w.cloud.spoil = func(string) bool { return w.cloud.writes["Copy"] == 1 }
	for range 10 {
		w.mustPass()
		w.wait(copyInterval)
	}
	condition := w.condition(larderv1alpha1.ConditionCopiesReady)
	if condition.Reason != larderv1alpha1.ReasonCopyFailed || !strings.Contains(condition.Message, "Given key ID is not accessible") {
		t.Errorf("the condition is %+v", condition)
	}
	if left := w.cloud.copiesOf("us-west-2", w.current.ID); len(left) > 0 {
		t.Errorf("left in AWS: %+v", left[0].Snapshot)
	}
	if got := w.cloud.writes["Copy"]; got != 1 {
		t.Errorf("want no other try within %s, got %d", copyRetry, got)
	}
	if diff := cmp.Diff(map[string]larderv1alpha1.CopyState{"us-west-2": "Completed"}, states(w.settle())); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
}

func TestARefusedCopySaysWhyAndIsTriedAgainAfterAnEdit(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2")})
	w.cloud.before = func(_, call string) error {
		if call == "Copy" {
			return awsError("UnauthorizedOperation")
		}
		return nil
	}
	w.mustPass()
	w.mustPass()
	if got := w.condition(larderv1alpha1.ConditionCopiesReady); got.Reason != larderv1alpha1.ReasonCopyFailed || !strings.Contains(got.Message, "UnauthorizedOperation") {
		t.Errorf("the condition is %+v", got)
	}
	w.cloud.before = func(string, string) error { return nil }
	w.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) {
		spec.Tags = map[string]larderv1alpha1.TagValue{"team": "ml"}
	})
	if got := states(w.mustPass())["us-west-2"]; got != larderv1alpha1.CopyPending {
		t.Errorf("want it tried again at once, got %s", got)
	}
}

func TestADeletedCopyIsMadeAgain(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2")})
	object := w.settle()
	delete(w.cloud.snapshots, object.Status.Copies[0].SnapshotID)
	again := w.settle()
	if again.Status.Copies[0].State != larderv1alpha1.CopyCompleted || again.Status.Copies[0].SnapshotID == object.Status.Copies[0].SnapshotID {
		t.Errorf("the status says %+v", again.Status.Copies)
	}
}

func TestARegionThatLeavesTheSpecLeavesTheStatus(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2", "ap-south-1")})
	w.settle()
	w.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Copies = copiesIn("ap-south-1") })
	if diff := cmp.Diff(map[string]larderv1alpha1.CopyState{"ap-south-1": "Completed"}, states(w.mustPass())); diff != "" {
		t.Errorf("status.copies (-want +got):\n%s", diff)
	}
	if len(w.cloud.copiesOf("us-west-2", w.current.ID)) != 1 || !slices.Contains(CopiedTo(w.current.Tags), "us-west-2") {
		t.Error("the copy is the collector's, who finds it by the home snapshot's tag")
	}
}

func TestANewRevisionGetsCopiesOfItsOwn(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2")})
	first := w.settle().Status.Copies[0]
	w.build(2)
	second := w.settle().Status.Copies[0]
	if second.Revision != 2 || second.SnapshotID == first.SnapshotID || w.cloud.snapshots[first.SnapshotID] == nil {
		t.Errorf("want another copy beside the first, got %+v after %+v", second, first)
	}
}

// TestNothingIsMarkedThatCannotBeTagged: a copy that its home snapshot does not tell of would never be collected.
func TestNothingIsMarkedThatCannotBeTagged(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{
		Copies: copiesIn("us-west-2"), SharedWith: []larderv1alpha1.AccountID{"111122223333"}, Publish: publishTo("/larder/a", ""),
	})
	w.cloud.before = func(_, call string) error {
		if call == "Tag" {
			return awsError("UnauthorizedOperation")
		}
		return nil
	}
	w.mustPass()
	w.mustPass()
	for _, call := range []string{"Copy", "Share", "CreateParameter"} {
		if w.cloud.writes[call] > 0 {
			t.Errorf("%s came before the tag", call)
		}
	}
	for _, kind := range []string{larderv1alpha1.ConditionCopiesReady, larderv1alpha1.ConditionShared, larderv1alpha1.ConditionPublished} {
		if got := w.condition(kind); got.Reason != larderv1alpha1.ReasonAccessDenied {
			t.Errorf("%s is %+v", kind, got)
		}
	}
	if len(w.outcome.Problems) != 1 || len(w.object().Status.Copies) > 0 {
		t.Errorf("want one problem and no marker, got %+v and %+v", w.outcome.Problems, w.object().Status.Copies)
	}
}

// TestTagsThatAreReadLateForgetNoRegion: tags are listed late, and putting them replaces their values.
func TestTagsThatAreReadLateForgetNoRegion(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2"), SharedWith: []larderv1alpha1.AccountID{alice}})
	w.current.staleTags = maps.Clone(w.current.Tags)
	w.mustPass()
	w.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) {
		spec.Copies, spec.SharedWith = copiesIn("ap-south-1"), nil
	})
	w.mustPass()
	if diff := cmp.Diff([]string{"ap-south-1", "us-west-2"}, CopiedTo(w.current.Tags)); diff != "" {
		t.Errorf("Regions (-want +got):\n%s", diff)
	}
	if got := w.current.Tags[ebs.TagExposed]; got != "copied+shared" {
		t.Errorf("the snapshot was %q", got)
	}
}

// TestACopyThatTheListNeverShowsIsKnownByItsID: making it again and again would cost each time.
func TestACopyThatTheListNeverShowsIsKnownByItsID(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2")})
	w.cloud.unlisted = true
	if got := states(w.settle())["us-west-2"]; got != larderv1alpha1.CopyCompleted || w.cloud.writes["Copy"] != 1 {
		t.Errorf("%s after %d calls", got, w.cloud.writes["Copy"])
	}
}

// TestACommitThatComesTooLateAsksForNothing: a later look relies upon the marker's time.
func TestACommitThatComesTooLateAsksForNothing(t *testing.T) {
	w := newWorld(t, larderv1alpha1.ImageCacheSnapshotSpec{Copies: copiesIn("us-west-2")})
	d, object := w.distributor(), w.object()
	outcome := d.Pass(t.Context(), object, w.cloud.show(w.current), nil)
	w.wait(startWithin + time.Second)
	if err := d.Commit(t.Context(), object, outcome); err != nil || w.cloud.writes["Copy"] > 0 {
		t.Errorf("want nothing, got %d calls and %v", w.cloud.writes["Copy"], err)
	}
}
