package snapshot

import (
	"fmt"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/image"
)

// freshnessScenarios are about what happens when nobody edits the spec.
var freshnessScenarios = map[string]func(*testing.T, *operator){
	"a tag moves":                        testTagMoves,
	"nothing moves for a day":            testSteadyDay,
	"the interval is short":              testShortInterval,
	"a look is asked for":                testRequested,
	"one of many images has vanished":    testOneImageVanished,
	"a renewal fails":                    testRenewalFails,
	"a policy chooses the tag":           testTagPolicy,
	"a policy that chooses nothing":      testTagPolicyWithoutMatch,
	"two names of one image":             testSameImageTwice,
	"another name under the same tag":    testRenamed,
	"a registry says when to come again": testRetryAfter,
	"a spec that means the same":         testIrrelevantEdit,
}

// onward lets time pass until the operator has looked at the registries again.
func (o *operator) onward() {
	o.t.Helper()
	o.clock.SetTime(o.clock.Now().Add(defaultInterval * 11 / 10))
	if _, err := o.pass(); err != nil {
		o.t.Fatal(err)
	}
}

// untilRevision passes until a revision is the current one and nothing is under way.
func (o *operator) untilRevision(number int64) *larderv1alpha1.ImageCacheSnapshot {
	o.t.Helper()
	return o.until(fmt.Sprintf("revision %d", number), func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Revision == number && object.Status.ObservedGeneration == object.Generation &&
			meta.FindStatusCondition(object.Status.Conditions, larderv1alpha1.ConditionReconciling) == nil &&
			meta.IsStatusConditionTrue(object.Status.Conditions, larderv1alpha1.ConditionReady)
	})
}

func testTagMoves(t *testing.T, o *operator) {
	o.create("a", "b")
	first := o.untilReady()
	o.registry.push("a")
	o.onward()
	renewing := o.object()
	o.wantRead(renewing, status.InProgressStatus)
	if !meta.IsStatusConditionTrue(renewing.Status.Conditions, larderv1alpha1.ConditionReady) ||
		renewing.Status.SnapshotID != first.Status.SnapshotID || renewing.Status.Build.ParentSnapshotID != first.Status.SnapshotID {
		t.Errorf("the first snapshot serves, and is built upon: %+v", renewing.Status)
	}
	second := o.untilRevision(2)
	o.wantRead(second, status.CurrentStatus)
	if second.Status.Images[0].Digest == first.Status.Images[0].Digest || second.Status.Images[1].Digest != first.Status.Images[1].Digest {
		t.Errorf("only image a has moved: %+v, before %+v", second.Status.Images, first.Status.Images)
	}
	type line struct {
		Number                   int64
		State                    larderv1alpha1.RevisionState
		Trigger                  larderv1alpha1.Trigger
		Stored, Fetched, Written int64
		Began, Ended, Superseded bool
	}
	var lines []line
	for _, one := range second.Status.Revisions {
		lines = append(lines, line{
			one.Number, one.State, one.Trigger, one.StoredBytes, one.FetchedBytes, one.WrittenBytes,
			one.StartTime != nil, one.CompletionTime != nil, one.SupersededTime != nil,
		})
	}
	want := []line{
		{2, larderv1alpha1.RevisionCurrent, larderv1alpha1.TriggerImagesChanged, 3 << 20, 1 << 20, 2 << 20, true, true, false},
		{1, larderv1alpha1.RevisionSuperseded, larderv1alpha1.TriggerCreated, 3 << 20, 1 << 20, 2 << 20, true, true, true},
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	o.delete()
	o.untilGone()
}

// testSteadyDay drives a day by what Reconcile asks for, and counts.
func testSteadyDay(t *testing.T, o *operator) {
	o.create("a", "b", "c")
	ready := o.untilReady()
	heads, resolutions := o.registry.heads, o.registry.resolutions
	o.cloud.fault = func(call string) error {
		if call != "Find" && call != "Describe" {
			t.Errorf("%s is called while nothing changes", call)
		}
		return nil
	}
	const day = 24 * time.Hour
	for end := o.clock.Now().Add(day); o.clock.Now().Before(end); {
		result, err := o.pass()
		if err != nil {
			t.Fatal(err)
		}
		o.clock.SetTime(o.clock.Now().Add(result.RequeueAfter))
	}
	least, most := 3*int(day/defaultInterval), 3*int(day/(defaultInterval*9/10))
	if got := o.registry.heads - heads; got < least || got > most {
		t.Errorf("%d digests were asked for in a day, want %d to %d: one for each image and interval", got, least, most)
	}
	if o.registry.resolutions != resolutions {
		t.Errorf("%d manifests were read", o.registry.resolutions-resolutions)
	}
	if again := o.object(); again.ResourceVersion != ready.ResourceVersion {
		t.Errorf("the object was written (-before +after):\n%s", cmp.Diff(ready.Status, again.Status))
	}
}

// testShortInterval lets nothing but Reconcile say when the first look after a build comes.
func testShortInterval(t *testing.T, o *operator) {
	spec := specOf("a")
	spec.Interval = metav1.Duration{Duration: time.Minute}
	o.createSpec(spec)
	begin := o.clock.Now()
	o.until("the registry is asked whether the tag has moved", func(*larderv1alpha1.ImageCacheSnapshot) bool {
		return o.registry.heads > 0
	})
	if waited := o.clock.Now().Sub(begin); waited > 66*time.Second {
		t.Errorf("the first look came %s after the references were resolved, want about a minute", waited)
	}
}

func testRequested(t *testing.T, o *operator) {
	o.create("a")
	o.untilReady()
	o.registry.push("a")
	if _, err := o.pass(); err != nil || o.running() {
		t.Fatalf("nobody was to look yet: %v", err)
	}
	patch := `{"metadata":{"annotations":{"larder.dev/reconcile-requested-at":"now"}}}`
	if err := o.admin.Patch(t.Context(), o.object(), rawMerge(patch)); err != nil {
		t.Fatal(err)
	}
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	asked := o.object()
	if asked.Status.LastHandledReconcileAt != "now" || asked.Status.Build == nil {
		t.Errorf("a look was asked for: %+v", asked.Status)
	}
	o.untilRevision(2)
	heads := o.registry.heads
	if _, err := o.pass(); err != nil || o.registry.heads != heads {
		t.Errorf("the same request is followed again: %v", err)
	}
}

// testOneImageVanished has all that an object can hold, of which one image is gone and one does not answer.
func testOneImageVanished(t *testing.T, o *operator) {
	var references []string
	for i := range 100 {
		references = append(references, fmt.Sprintf("image-%d", i))
	}
	o.create(references...)
	first := o.untilReady()
	o.registry.fault = func(reference string) error {
		switch reference {
		case "image-41":
			return imageError(reference, image.NotFound)
		case "image-7":
			return imageError(reference, image.Unreachable)
		}
		return nil
	}
	o.registry.push("image-3")
	o.onward()
	bad := o.object()
	resolved := conditionOf(bad, larderv1alpha1.ConditionImagesResolved)
	if resolved.Status != metav1.ConditionFalse || resolved.Reason != larderv1alpha1.ReasonImageNotFound {
		t.Errorf("ImagesResolved: %+v", resolved)
	}
	for _, part := range []string{"spec.images[41]", "image image-41 not found", "spec.images[7]"} {
		wantIn(t, resolved.Message, part)
	}
	if !meta.IsStatusConditionTrue(bad.Status.Conditions, larderv1alpha1.ConditionReady) || bad.Status.SnapshotID != first.Status.SnapshotID {
		t.Errorf("the last good snapshot serves: %+v", bad.Status.Conditions)
	}
	o.wantRead(bad, status.FailedStatus)
	o.registry.fault = nil
	healed := o.untilRevision(2)
	o.wantRead(healed, status.CurrentStatus)
}

func testRenewalFails(t *testing.T, o *operator) {
	o.create("a")
	first := o.untilReady()
	o.registry.push("a")
	o.builder.fault = func(step string) error {
		if step == "write" {
			return errDisk
		}
		return nil
	}
	o.onward()
	bad := o.until("three failed attempts", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Build != nil && len(object.Status.Build.Errors) == 3
	})
	ready, built := conditionOf(bad, larderv1alpha1.ConditionReady), conditionOf(bad, larderv1alpha1.ConditionBuilt)
	if ready.Status != metav1.ConditionTrue || built.Status != metav1.ConditionFalse || built.Reason != larderv1alpha1.ReasonBuildFailed ||
		bad.Status.SnapshotID != first.Status.SnapshotID {
		t.Errorf("the old snapshot serves, and Built says why there is no newer: %+v", bad.Status)
	}
	o.wantRead(bad, status.InProgressStatus)
	if errors := bad.Status.Build.Errors; errors[0].Attempt != 3 || errors[2].Attempt != 1 || errors[0].Message != errDisk.Error() {
		t.Errorf("errors of the attempts, the newest first: %+v", errors)
	}
	exhausted := o.until("the limit of attempts", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return conditionOf(object, larderv1alpha1.ConditionBuilt).Reason == larderv1alpha1.ReasonAttemptsExhausted
	})
	o.wantRead(exhausted, status.FailedStatus)
	if len(exhausted.Status.Build.Errors) != keptErrors {
		t.Errorf("want %d errors, got %d", keptErrors, len(exhausted.Status.Build.Errors))
	}
	o.builder.fault = func(string) error { return nil }
	second := o.untilRevision(2)
	if second.Status.Build != nil {
		t.Errorf("nothing is left of failed attempts: %+v", second.Status.Build)
	}
}

func testTagPolicy(t *testing.T, o *operator) {
	o.registry.tags = []string{"v1.2.0", "v1.10.0", "v2.0.0", "latest"}
	o.createSpec(policySpec(&larderv1alpha1.TagPolicy{SemVer: &larderv1alpha1.SemVerPolicy{Range: "1.x"}}))
	first := o.untilReady()
	if is := first.Status.Images[0]; is.Image != "app" || is.Tag != "v1.10.0" {
		t.Errorf("image: %+v", is)
	}
	o.onward()
	if object := o.object(); object.Status.Revision != 1 || o.running() {
		t.Errorf("no newer tag, and yet: %+v", object.Status)
	}
	o.registry.tags = append(o.registry.tags, "v1.11.0")
	o.onward()
	if second := o.untilRevision(2); second.Status.Images[0].Tag != "v1.11.0" || second.Status.Revisions[0].Trigger != larderv1alpha1.TriggerImagesChanged {
		t.Errorf("a newer tag: %+v", second.Status)
	}
}

func testTagPolicyWithoutMatch(t *testing.T, o *operator) {
	o.registry.tags = []string{"latest"}
	o.createSpec(policySpec(&larderv1alpha1.TagPolicy{SemVer: &larderv1alpha1.SemVerPolicy{Range: "1.x"}}))
	o.wantRead(o.untilReason(larderv1alpha1.ReasonNoTagMatches), status.FailedStatus)
	object := o.object()
	object.Spec.Images[0].TagPolicy = &larderv1alpha1.TagPolicy{
		Numerical: &larderv1alpha1.OrderPolicy{Order: "asc"}, FilterTags: &larderv1alpha1.TagFilter{Pattern: "("},
	}
	if err := o.admin.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	o.wantRead(o.untilReason(larderv1alpha1.ReasonInvalidTagPolicy), status.FailedStatus)
	wantMessage(t, o.object(), "spec.images[0]")
}

func policySpec(policy *larderv1alpha1.TagPolicy) larderv1alpha1.ImageCacheSnapshotSpec {
	spec := specOf("app")
	spec.Images[0].TagPolicy = policy
	return spec
}

func testSameImageTwice(t *testing.T, o *operator) {
	o.registry.alias = map[string]string{"docker.io/library/a": "a"}
	o.create("a", "docker.io/library/a")
	o.wantRead(o.untilReason(larderv1alpha1.ReasonDuplicateImage), status.FailedStatus)
	wantMessage(t, o.object(), "spec.images[0] a and spec.images[1] docker.io/library/a", "remove one of them")
}

func testRenamed(t *testing.T, o *operator) {
	o.create("a")
	first := o.untilReady()
	o.registry.alias = map[string]string{"mirror/a": "a"}
	object := o.object()
	object.Spec.Images[0].Image = "mirror/a"
	if err := o.admin.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	o.registry.renamed = "mirror.example/a"
	second := o.untilRevision(2)
	if second.Status.Images[0].Digest != first.Status.Images[0].Digest || second.Status.ContentHash == first.Status.ContentHash {
		t.Errorf("the same bytes under another name are another cache: %+v", second.Status)
	}
}

func testRetryAfter(t *testing.T, o *operator) {
	o.create("a")
	o.untilReady()
	o.registry.fault = func(reference string) error {
		return &image.Error{Reference: reference, Registry: "registry.example", Reason: image.TooManyRequests, RetryAfter: 50 * time.Minute}
	}
	o.onward()
	limited := o.object()
	if resolved := conditionOf(limited, larderv1alpha1.ConditionImagesResolved); resolved.Reason != larderv1alpha1.ReasonTooManyRequests {
		t.Errorf("ImagesResolved: %+v", resolved)
	}
	asked := o.registry.heads
	for end := o.clock.Now().Add(49 * time.Minute); o.clock.Now().Before(end); {
		result, err := o.pass()
		if err != nil {
			t.Fatal(err)
		}
		o.clock.SetTime(o.clock.Now().Add(result.RequeueAfter))
	}
	if got := o.registry.heads - asked; got > 1 {
		t.Errorf("the registry was asked %d times although it wanted to be left alone for 50 minutes", got)
	}
}

func testIrrelevantEdit(t *testing.T, o *operator) {
	o.create("a", "b")
	first := o.untilReady()
	resolutions := o.registry.resolutions
	object := o.object()
	object.Spec = specOf("b", "a")
	object.Spec.Interval = metav1.Duration{Duration: time.Hour}
	if err := o.admin.Update(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	after := o.object()
	o.wantRead(after, status.CurrentStatus)
	if after.Status.SnapshotID != first.Status.SnapshotID || o.registry.resolutions != resolutions {
		t.Errorf("an edit that changes no content has an effect: %+v", after.Status)
	}
}

func TestJitterIsATenth(t *testing.T) {
	at, seen := time.Unix(1_700_000_000, 0), map[time.Duration]bool{}
	for range 1000 {
		got := jitter(types.UID("object"), at, time.Hour)
		if got <= 54*time.Minute || got > time.Hour {
			t.Fatalf("an interval of an hour became %s", got)
		}
		seen[got/time.Minute] = true
		at = at.Add(got)
	}
	if len(seen) < 6 {
		t.Errorf("1000 intervals have only %d lengths in minutes", len(seen))
	}
}

func TestWhenRegistriesAreAskedAgain(t *testing.T) {
	cases := map[string]struct {
		reason string
		failed failure
		times  int64
		want   time.Duration
	}{
		"needs a person":      {"the image may be pushed any moment", failure{needsPerson: true}, 1, 3 * time.Minute},
		"passes by itself":    {"soon", failure{}, 1, firstBackoff},
		"again and again":     {"but not for ever", failure{}, 100, longestBackoff},
		"the registry says":   {"it knows best", failure{retryAfter: time.Hour}, 1, time.Hour},
		"the registry raves":  {"years are a mistake", failure{retryAfter: 1000 * time.Hour}, 1, longestWait},
		"sooner than we wait": {"our own wait counts", failure{retryAfter: time.Millisecond, needsPerson: true}, 1, 3 * time.Minute},
	}
	for name, tc := range cases {
		if got := askAgain(&tc.failed, tc.times, 3*time.Minute); got != tc.want {
			t.Errorf("%s: %s: got %s, want %s", name, tc.reason, got, tc.want)
		}
	}
}
