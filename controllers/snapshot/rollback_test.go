package snapshot

import (
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	larderv1alpha1 "github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/internal/aws/ebs"
)

// controlScenarios are about what a person says beside what to cache.
var controlScenarios = map[string]func(*testing.T, *operator){
	"rolled back and forward":            testRollback,
	"pinned to what is not there":        testPinWithoutRevision,
	"rolled back, and it cannot be read": testUnreadableRevision,
	"suspended":                          testSuspended,
	"suspended during a build":           testSuspendedDuringBuild,
	"a key":                              testEncryption,
	"a key that is of no use":            testUnusableKey,
	"tags of one's own":                  testTags,
	"restarted while a renewal ends":     testRestartDuringRenewal,
	"EBS reports the snapshot as failed": testSnapshotFailsLater,
}

func rawMerge(patch string) client.Patch { return client.RawPatch(types.MergePatchType, []byte(patch)) }

func (o *operator) edit(change func(*larderv1alpha1.ImageCacheSnapshotSpec)) {
	o.t.Helper()
	object := o.object()
	change(&object.Spec)
	if err := o.admin.Update(o.t.Context(), object); err != nil {
		o.t.Fatal(err)
	}
}

// twoRevisionsOf makes one, and another by moving its tag.
func (o *operator) renewed() (first, second *larderv1alpha1.ImageCacheSnapshot) {
	o.t.Helper()
	o.create("a")
	first = o.untilReady()
	o.registry.push("a")
	o.onward()
	return first, o.untilRevision(2)
}

func testRollback(t *testing.T, o *operator) {
	first, second := o.renewed()
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Revision = ptr.To[int64](1) })
	back := o.untilRevision(1)
	o.wantRead(back, status.CurrentStatus)
	if back.Status.SnapshotID != first.Status.SnapshotID || back.Status.ContentHash != first.Status.ContentHash ||
		conditionOf(back, larderv1alpha1.ConditionReady).Reason != larderv1alpha1.ReasonPinned {
		t.Errorf("rolled back: %+v", back.Status)
	}
	if diff := cmp.Diff(first.Status.Images, back.Status.Images); diff != "" {
		t.Errorf("images are read from the snapshot (-want +got):\n%s", diff)
	}
	o.registry.push("a")
	heads := o.registry.heads
	o.onward()
	if object := o.object(); o.registry.heads != heads || o.running() || object.Status.SnapshotID != first.Status.SnapshotID {
		t.Errorf("a pinned object is renewed: %+v", object.Status)
	}
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Revision = nil })
	third := o.untilRevision(3)
	if third.Status.Build != nil || len(third.Status.Revisions) != 3 || third.Status.SnapshotID == second.Status.SnapshotID {
		t.Errorf("without the pin the newest is made: %+v", third.Status)
	}
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Revision = ptr.To[int64](2) })
	o.untilRevision(2)
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Revision = nil })
	if again := o.untilRevision(3); again.Status.SnapshotID != third.Status.SnapshotID {
		t.Errorf("what is there already is not built again: %+v", again.Status)
	}
	o.delete()
	o.untilGone()
}

func testPinWithoutRevision(t *testing.T, o *operator) {
	_, second := o.renewed()
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Revision = ptr.To[int64](7) })
	bad := o.untilReason(larderv1alpha1.ReasonRevisionNotFound)
	o.wantRead(bad, status.FailedStatus)
	wantMessage(t, bad, "there is no revision 7: choose one of 2, 1")
	if bad.Status.SnapshotID != second.Status.SnapshotID {
		t.Errorf("the last good snapshot stays in use: %+v", bad.Status)
	}
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Revision = nil })
	o.untilRevision(2)
}

func testUnreadableRevision(t *testing.T, o *operator) {
	first, second := o.renewed()
	o.cloud.fault = func(call string) error {
		if call == "Layout" {
			return accessDenied()
		}
		return nil
	}
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Revision = ptr.To[int64](1) })
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	bad := o.object()
	o.wantRead(bad, status.FailedStatus)
	wantMessage(t, bad, "reading what is in snapshot "+first.Status.SnapshotID)
	if bad.Status.SnapshotID != second.Status.SnapshotID {
		t.Errorf("what cannot be read is not used: %+v", bad.Status)
	}
	o.cloud.fault = func(string) error { return nil }
	o.untilRevision(1)
}

func testSuspended(t *testing.T, o *operator) {
	o.create("a")
	o.untilReady()
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Suspend = true })
	o.registry.push("a")
	heads := o.registry.heads
	o.cloud.fault = func(call string) error {
		t.Errorf("%s is called for a suspended object", call)
		return nil
	}
	o.onward()
	suspended := o.object()
	if ready := conditionOf(suspended, larderv1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue || ready.Reason != larderv1alpha1.ReasonSuspended {
		t.Errorf("Ready as it was: %+v", ready)
	}
	o.wantRead(suspended, status.CurrentStatus)
	if o.registry.heads != heads || o.running() {
		t.Error("a suspended object is resolved, or built")
	}
	o.cloud.fault = func(string) error { return nil }
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Suspend = false })
	o.untilRevision(2)
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Suspend = true })
	o.delete()
	o.untilGone()
}

func testSuspendedDuringBuild(t *testing.T, o *operator) {
	release := o.blockBuilds("write")
	o.create("a")
	o.until("writing", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Build != nil && object.Status.Build.Step == larderv1alpha1.BuildWriting
	})
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Suspend = true })
	if _, err := o.pass(); err != nil {
		t.Fatal(err)
	}
	release()
	o.until("the build is stopped", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Build.Step == larderv1alpha1.BuildFailed
	})
	if left := o.cloud.all(); len(left) > 0 {
		t.Errorf("left of it: %+v", left)
	}
	if ready := conditionOf(o.object(), larderv1alpha1.ConditionReady); ready.Status != metav1.ConditionFalse || ready.Reason != larderv1alpha1.ReasonSuspended {
		t.Errorf("Ready as it was: %+v", ready)
	}
	o.builder.fault = func(string) error { return nil }
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Suspend = false })
	o.untilReady()
}

func testEncryption(t *testing.T, o *operator) {
	spec := specOf("a")
	spec.Encryption = &larderv1alpha1.Encryption{KMSKeyID: "alias/images"}
	o.createSpec(spec)
	o.untilReady()
	o.registry.push("a")
	o.onward()
	o.untilRevision(2)
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Encryption.KMSKeyID = "alias/other" })
	o.untilRevision(3)
	type request struct {
		Key       string
		HasParent bool
	}
	var got []request
	for _, one := range o.builder.requests {
		got = append(got, request{one.KMSKeyARN, one.Parent != ""})
	}
	const key = "arn:aws:kms:eu-central-1:111122223333:key/"
	want := []request{{key + "alias/images", false}, {key + "alias/images", true}, {key + "alias/other", false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a child is encrypted as its parent, so another key has no parent (-want +got):\n%s", diff)
	}
}

func testUnusableKey(t *testing.T, o *operator) {
	spec := specOf("a")
	spec.Encryption = &larderv1alpha1.Encryption{KMSKeyID: "alias/unknown"}
	o.createSpec(spec)
	o.wantRead(o.untilReason(larderv1alpha1.ReasonKMSKeyUnusable), status.FailedStatus)
	wantMessage(t, o.object(), "spec.encryption.kmsKeyID", "alias/unknown", "check its id, ARN or alias")
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Encryption.KMSKeyID = "alias/disabled" })
	o.until("the key is disabled", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return conditionOf(object, larderv1alpha1.ConditionReady).Message == "spec.encryption.kmsKeyID: key alias/disabled is Disabled: enable it, or give another"
	})
	if len(o.builder.requests) > 0 || len(o.cloud.all()) > 0 {
		t.Error("a build was started with a key that is of no use")
	}
	o.edit(func(spec *larderv1alpha1.ImageCacheSnapshotSpec) { spec.Encryption.KMSKeyID = "alias/images" })
	o.untilReady()
}

func testTags(t *testing.T, o *operator) {
	spec := specOf("a")
	spec.Format = larderv1alpha1.FormatContainerd
	spec.Tags = map[string]larderv1alpha1.TagValue{"team": "ml", "Name": "images of the ml team"}
	o.createSpec(spec)
	o.untilReady()
	tags := o.cloud.all()[0].Tags
	if tags["team"] != "ml" || tags["Name"] != "images of the ml team" || tags["larder.dev/object-name"] != o.name {
		t.Errorf("tags of the snapshot: %v", tags)
	}
	want := ebs.Contents{Format: "Containerd", Platforms: []string{"linux/amd64"}}
	if diff := cmp.Diff(want, ebs.ContentsOf(tags)); diff != "" {
		t.Errorf("what the tags tell other clusters (-want +got):\n%s", diff)
	}
}

// testRestartDuringRenewal has the tag move again before the operator is back.
func testRestartDuringRenewal(t *testing.T, o *operator) {
	o.create("a")
	o.untilReady()
	o.registry.push("a")
	o.onward()
	completing := o.until("handed to EBS", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return object.Status.Build != nil && object.Status.Build.Step == larderv1alpha1.BuildCompleting
	})
	o.registry.push("a")
	o.reconciler.memories = memories{}
	second := o.until("revision 2", func(object *larderv1alpha1.ImageCacheSnapshot) bool { return object.Status.Revision == 2 })
	if second.Status.SnapshotID != completing.Status.Build.SnapshotID || len(second.Status.Images) != 1 ||
		second.Status.Revisions[0].WrittenBytes == 0 {
		t.Errorf("what was complete is adopted: %+v", second.Status)
	}
	o.untilRevision(3)
}

func testSnapshotFailsLater(t *testing.T, o *operator) {
	o.create("a")
	first := o.untilReady()
	o.cloud.spoil(first.Status.SnapshotID)
	o.until("it is noticed", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return conditionOf(object, larderv1alpha1.ConditionSnapshotReady).Reason == larderv1alpha1.ReasonSnapshotMissing
	})
	second := o.until("another", func(object *larderv1alpha1.ImageCacheSnapshot) bool {
		return meta.IsStatusConditionTrue(object.Status.Conditions, larderv1alpha1.ConditionReady)
	})
	if second.Status.SnapshotID == first.Status.SnapshotID || second.Status.Revisions[0].Trigger != larderv1alpha1.TriggerSnapshotLost {
		t.Errorf("replaced: %+v", second.Status)
	}
	o.until("the failed one is gone", func(*larderv1alpha1.ImageCacheSnapshot) bool { return len(o.cloud.all()) == 1 })
}
