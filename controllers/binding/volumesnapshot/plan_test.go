package volumesnapshot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/controllers/binding"
)

const (
	older = "snap-0000000a"
	newer = "snap-0000000b"
)

var now = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// bindingAt is a binding that applied a snapshot an hour ago; none for an empty one.
func bindingAt(applied string, edits ...func(*v1alpha1.NodeClassBinding)) *v1alpha1.NodeClassBinding {
	b := &v1alpha1.NodeClassBinding{ObjectMeta: metav1.ObjectMeta{Name: "llama", UID: "uid"}}
	b.Spec.Target.VolumeSnapshot = &v1alpha1.VolumeSnapshotTarget{Namespace: "models", Name: "llama"}
	if b.Status.AppliedSnapshotID = applied; applied != "" {
		b.Status.AppliedTime = &metav1.Time{Time: now.Add(-time.Hour)}
	}
	for _, edit := range edits {
		edit(b)
	}
	return b
}

// scene is a namespace with a ready VolumeSnapshot of a snapshot; none for an empty one.
func scene(b *v1alpha1.NodeClassBinding, inPlace string, edits ...func(*observation)) *observation {
	o := &observation{key: keyOf(b), namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "models", CreationTimestamp: metav1.Time{Time: now.Add(-24 * time.Hour)}}}}
	if inPlace != "" {
		o.snapshot = newSnapshot(b, inPlace)
		o.snapshot.UID, o.snapshot.Finalizers = "vs", []string{"snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection"}
		content := newContent(b, inPlace)
		content.Spec.VolumeSnapshotRef.UID = "vs"
		o.contents = append(o.contents, *content)
		o.snapshot.Status = &snapshotv1.VolumeSnapshotStatus{BoundVolumeSnapshotContentName: &content.Name, ReadyToUse: new(true)}
	}
	for _, edit := range edits {
		edit(o)
	}
	return o
}

// with adds a content that is, or was, bound to the VolumeSnapshot of that UID; to none for an empty one.
func with(b *v1alpha1.NodeClassBinding, id string, boundTo types.UID) func(*observation) {
	return func(o *observation) {
		content := newContent(b, id)
		content.Spec.VolumeSnapshotRef.UID = boundTo
		o.contents = append(o.contents, *content)
	}
}

func ending(o *observation) { o.snapshot.DeletionTimestamp = &metav1.Time{Time: now} }

// told puts a write into words, in the order in which it is carried out.
func told(planned binding.Write) []string {
	w, ok := planned.(*write)
	if !ok {
		return nil
	}
	var all []string
	say := func(is bool, words ...string) {
		if is {
			all = append(all, strings.Join(words, " "))
		}
	}
	id := func(content *snapshotv1.VolumeSnapshotContent) string {
		return strings.TrimPrefix(content.Name, "larder-uid-")
	}
	for _, content := range w.retains {
		say(true, "retain", id(content))
	}
	if w.dropsBefore != nil {
		say(true, "delete content", id(w.dropsBefore))
	}
	if w.makesContent != nil {
		say(true, "make content", id(w.makesContent))
	}
	say(w.deletes != nil, "delete")
	if w.makes != nil {
		say(true, "make for", strings.TrimPrefix(sourceOf(w.makes), "larder-uid-"))
	}
	say(w.reclasses != nil, "class", valueOf(w.class))
	for _, content := range w.drops {
		say(true, "delete content", id(content))
	}
	say(w.leavesContent != nil, "leave content")
	say(w.leaves != nil, "leave")
	return all
}

func TestWhatIsWritten(t *testing.T) {
	none, at := bindingAt(""), bindingAt(older)
	cases := map[string]struct {
		reason        string
		b             *v1alpha1.NodeClassBinding
		o             *observation
		write, upkeep []string
		takenBackBy   string
	}{
		"nothing there":            {reason: "the content first: until there is one, claims wait for nothing that is not there", b: none, o: scene(none, ""), write: []string{"make content " + newer, "make for " + newer}},
		"ended after the content":  {reason: "it goes on", b: none, o: scene(none, "", with(none, newer, "")), write: []string{"make for " + newer}},
		"in place":                 {reason: "nothing is left", b: bindingAt(newer), o: scene(at, newer)},
		"another in place":         {reason: "claims are without one as shortly as can be", b: at, o: scene(at, older), write: []string{"make content " + newer, "delete", "make for " + newer}},
		"ended while it is held":   {reason: "it is released, and made", b: at, o: scene(at, older, with(at, newer, ""), ending), write: []string{"delete", "make for " + newer}, upkeep: []string{"delete content " + older, "make content " + older, "delete", "make for " + older}},
		"ended in the gap":         {reason: "for a closed window, claims get what is applied", b: at, o: scene(at, "", with(at, older, "gone"), with(at, newer, "")), write: []string{"make for " + newer}, upkeep: []string{"delete content " + older, "make content " + older, "make for " + older}},
		"the applied one rejected": {reason: "it is not brought back", b: bindingAt(older, func(b *v1alpha1.NodeClassBinding) { b.Status.RejectedSnapshotID = older }), o: scene(at, "", with(at, newer, "")), write: []string{"make for " + newer}},
		"deleted by somebody":      {reason: "it is what is applied", b: bindingAt(newer), o: scene(at, "", with(at, newer, "gone")), write: []string{"delete content " + newer, "make content " + newer, "make for " + newer}, upkeep: []string{"delete content " + newer, "make content " + newer, "make for " + newer}, takenBackBy: someone},
		"an old content":           {reason: "nobody goes back to it", b: bindingAt(newer), o: scene(at, newer, with(at, older, "gone")), upkeep: []string{"delete content " + older}},
		"the last good content":    {reason: "somebody may", b: bindingAt(newer, func(b *v1alpha1.NodeClassBinding) { b.Status.LastKnownGoodSnapshotID = older }), o: scene(at, newer, with(at, older, "gone"))},
		"the policy Delete": {
			reason: "an EBS snapshot would go", b: bindingAt(newer), takenBackBy: "backup", write: []string{"retain " + newer},
			o: scene(at, newer, func(o *observation) {
				o.contents[0].Spec.DeletionPolicy = snapshotv1.VolumeSnapshotContentDelete
				o.contents[0].ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "backup", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:deletionPolicy":{}}}`)}}
			}),
		},
		"another class": {
			reason: "it can change in place", b: bindingAt(newer, func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.VolumeSnapshot.SnapshotClassName = "ebs" }),
			o: scene(at, newer), write: []string{"class ebs"}, takenBackBy: someone,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan := c.o.Plan(c.b, binding.Snapshot{ID: newer, Format: v1alpha1.FormatFiles}, now)
			if plan.Problem != nil || plan.Busy != nil {
				t.Fatalf("%s: %v, %v", c.reason, plan.Problem, plan.Busy)
			}
			if diff := cmp.Diff(c.write, told(plan.Write)); diff != "" {
				t.Errorf("%s: the write (-want +got):\n%s", c.reason, diff)
			}
			if diff := cmp.Diff(c.upkeep, told(plan.Upkeep)); diff != "" {
				t.Errorf("%s: the upkeep (-want +got):\n%s", c.reason, diff)
			}
			if plan.TakenBackBy != c.takenBackBy {
				t.Errorf("%s: taken back by %q, want %q", c.reason, plan.TakenBackBy, c.takenBackBy)
			}
		})
	}
}

func TestWhatIsLeftAtTheEnd(t *testing.T) {
	restore := bindingAt(newer)
	leave := bindingAt(newer, func(b *v1alpha1.NodeClassBinding) { b.Spec.DeletionPolicy = v1alpha1.BindingDeletionLeave })
	cases := map[string]struct {
		reason string
		b      *v1alpha1.NodeClassBinding
		o      *observation
		want   []string
	}{
		"restore":          {"nothing was there before", restore, scene(restore, newer, with(restore, older, "gone")), []string{"delete", "delete content " + newer, "delete content " + older}},
		"leave":            {"what claims need stays, and no more", leave, scene(leave, newer, with(leave, older, "gone")), []string{"delete content " + older, "leave content", "leave"}},
		"leave in the gap": {"there is nothing to leave", leave, scene(leave, "", with(leave, older, "")), []string{"delete content " + older}},
		"somebody else's":  {"it is theirs", restore, scene(restore, newer, func(o *observation) { o.snapshot.Labels, o.contents = nil, nil }), nil},
		"gone":             {"nothing is left to do", restore, scene(restore, ""), nil},
		"no kinds":         {"nothing can be left", restore, &observation{problem: kindMissing()}, nil},
		"no namespace":     {"contents have none", restore, &observation{key: keyOf(restore), contents: []snapshotv1.VolumeSnapshotContent{*newContent(restore, newer)}}, []string{"delete content " + newer}},
		"held by somebody": {"that is up to them", restore, scene(restore, newer, ending, func(o *observation) {
			o.snapshot.Finalizers, o.contents = []string{"example.com/keep"}, nil
		}), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			plan := c.o.PlanEnd(c.b, now)
			if diff := cmp.Diff(c.want, told(plan.Write)); diff != "" || plan.Problem != nil {
				t.Errorf("%s: %v (-want +got):\n%s", c.reason, plan.Problem, diff)
			}
		})
	}
}

func claimOf(edit func(*corev1.PersistentVolumeClaim)) corev1.PersistentVolumeClaim {
	claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		CreationTimestamp: metav1.Time{Time: now.Add(-time.Minute)}, Annotations: map[string]string{provisionerAnnotation: driver},
	}}
	claim.Spec.DataSource = &corev1.TypedLocalObjectReference{APIGroup: new(snapshotv1.GroupName), Kind: Kind, Name: "llama"}
	claim.Status.Phase = corev1.ClaimPending
	edit(&claim)
	return claim
}

func TestWhichClaimsHoldAChangeUp(t *testing.T) {
	cases := map[string]struct {
		reason string
		edit   func(*corev1.PersistentVolumeClaim)
		want   bool
	}{
		"in the making":        {"its volume is being made", func(*corev1.PersistentVolumeClaim) {}, true},
		"bound":                {"it has its volume", func(c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimBound }, false},
		"waits for its pod":    {"nothing is asked of the driver yet", func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil }, false},
		"of another source":    {"it has nothing to do with this", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSource.Name = "other" }, false},
		"of another kind":      {"a claim may have the same name", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSource.Kind = "PersistentVolumeClaim" }, false},
		"of no source":         {"most are", func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSource = nil }, false},
		"being deleted":        {"nobody wants its volume", func(c *corev1.PersistentVolumeClaim) { c.DeletionTimestamp = &metav1.Time{Time: now} }, false},
		"pending for too long": {"it is failing", func(c *corev1.PersistentVolumeClaim) { c.CreationTimestamp.Time = now.Add(-claimPatience) }, false},
		"old, asked just now": {"it waited for its pod until then", func(c *corev1.PersistentVolumeClaim) {
			c.CreationTimestamp.Time = now.Add(-24 * time.Hour)
			c.ManagedFields = []metav1.ManagedFieldsEntry{{Time: &metav1.Time{Time: now}, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:annotations":{"f:volume.kubernetes.io/storage-provisioner":{}}}}`)}}
		}, true},
	}
	b := bindingAt(older)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := scene(b, older, func(o *observation) { o.claims = append(o.claims, claimOf(c.edit)) })
			plan := o.Plan(b, binding.Snapshot{ID: newer, Format: v1alpha1.FormatFiles}, now)
			if got := plan.Busy != nil; got != c.want {
				t.Errorf("%s: busy is %v", c.reason, plan.Busy)
			}
			if end := o.PlanEnd(b, now); (end.Busy != nil) != c.want {
				t.Errorf("%s: at the end busy is %v", c.reason, end.Busy)
			}
		})
	}
	unready := scene(b, older, func(o *observation) {
		o.claims = append(o.claims, claimOf(func(*corev1.PersistentVolumeClaim) {}))
		o.snapshot.Status.ReadyToUse = new(false)
	})
	if plan := unready.Plan(b, binding.Snapshot{ID: newer, Format: v1alpha1.FormatFiles}, now); plan.Busy != nil {
		t.Errorf("no volume is made from what is not ready, and a way back must not wait for it: %v", plan.Busy)
	}
}

func TestHealth(t *testing.T) {
	failing := func(o *observation) {
		o.snapshot.Status.ReadyToUse = new(false)
		o.contents[0].Status = &snapshotv1.VolumeSnapshotContentStatus{ReadyToUse: new(false), Error: &snapshotv1.VolumeSnapshotError{Message: new("no such snapshot")}}
	}
	unready := func(o *observation) { o.snapshot.Status.ReadyToUse = new(false) }
	cases := map[string]struct {
		reason            string
		since             time.Duration
		edit              func(*observation)
		proven            bool
		failure, progress string
		warnings          int
		retryAfter        time.Duration
	}{
		"ready":                {"the driver says so", time.Second, func(*observation) {}, true, "", "", 0, 0},
		"bound to another":     {"then a claim gets nothing from it", time.Second, func(o *observation) { o.snapshot.UID = "other" }, false, "", "the CSI driver has yet to say that " + older + " is ready", 0, driverPatience - time.Second},
		"failing for a moment": {"it may pass", time.Minute, failing, false, "", "", 0, time.Minute},
		"failing for long":     {"it does not pass", driverPatience, failing, false, "UpdateFailed: the CSI driver cannot use snapshot " + older + ": no such snapshot", "", 0, 0},
		"just written":         {"the driver has yet to look", time.Minute, unready, false, "", "the CSI driver has yet to say that " + older + " is ready", 0, time.Minute},
		"never looked at":      {"that is not the snapshot's fault", driverPatience, unready, false, "", "", 1, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := bindingAt(older, func(b *v1alpha1.NodeClassBinding) { b.Status.AppliedTime.Time = now.Add(-c.since) })
			plan := scene(b, older, c.edit).Plan(b, binding.Snapshot{ID: older, Format: v1alpha1.FormatFiles}, now)
			failure := ""
			if plan.Health.Failure != nil {
				failure = plan.Health.Failure.Error()
			}
			if plan.Health.Proven != c.proven || failure != c.failure || plan.Progress != c.progress || len(plan.Warnings) != c.warnings || plan.Health.RetryAfter != c.retryAfter {
				t.Errorf("%s: proven %v, failure %q, progress %q, warnings %v, again after %v", c.reason, plan.Health.Proven, failure, plan.Progress, plan.Warnings, plan.Health.RetryAfter)
			}
		})
	}
}
