package targets

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
	"github.com/larder-dev/larder/test/fakeaws"
)

// TestBatchRefusedRenewal has an environment whose instances boot a proven snapshot meet what keeps it from the next one: the
// condition says so word for word, its instances stay, and the second comes once a person has mended it, by one version of
// each template and one update.
func TestBatchRefusedRenewal(t *testing.T) {
	cases := map[string]struct {
		reason  string
		breaks  func(batchQueue)
		sizeGiB int64
		// condition is the one that says want; SECOND in it is the snapshot.
		condition, want string
		mends           func(batchQueue)
	}{
		"a template of two that is full": {
			reason: "the environment is updated with both or not at all", breaks: func(batchQueue) {}, sizeGiB: 40, condition: "Applied",
			want: "LaunchTemplateVersionLimit: launch template lt-00000000000000002 has as many versions as AWS allows, by default 10000: " +
				"delete versions of it that nothing launches with; Larder deletes only those that it made",
			mends: func(q batchQueue) { q.delete("gpus", "2") },
		},
		"an update that is denied": {
			reason: "the versions are there already, and no others are made for each try",
			breaks: func(q batchQueue) {
				q.delete("gpus", "2")
				q.AWS.Inject(fakeaws.Fault{Action: "UpdateComputeEnvironment", Kind: fakeaws.Denied})
			}, sizeGiB: 40, condition: "Applied",
			want: "WriteDenied: compute environment gpu cannot be written, since AWS refuses batch:UpdateComputeEnvironment: " +
				"AccessDeniedException: User: arn:aws:iam::111122223333:user/larder is not authorized to perform: " +
				"batch:UpdateComputeEnvironment: allow it to Larder's role",
			mends: func(q batchQueue) { q.AWS.Heal() },
		},
		"a snapshot that is larger than asked": {
			reason: "EC2 makes no volume smaller than its snapshot", breaks: func(q batchQueue) { q.delete("gpus", "2") }, sizeGiB: 90,
			condition: "PreflightPassed",
			want: "VolumeSizeTooSmall: device.volumeSize 80Gi is below the 90 GiB of snapshot SECOND, and EC2 makes no volume smaller than its " +
				"snapshot: raise it to 90Gi or more, or leave it out",
			mends: func(q batchQueue) {
				q.Edit("b", func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.BatchComputeEnvironment.Device.VolumeSize = nil })
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := batchOptions()
			options.AWS.TemplateVersions = 3 // of one template the owner's two and Larder's first
			q := newBatchQueue(New(t, options))
			q.version("gpus")
			first := q.Renew(v1alpha1.FormatFiles)
			size := resource.MustParse("80Gi")
			q.bind(func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.BatchComputeEnvironment.Device.VolumeSize = &size })
			q.Settle("b")
			bound, updates := q.volumes(), q.environment().Updates
			tc.breaks(q)
			second := q.Snapshot(v1alpha1.FormatFiles, tc.sizeGiB)
			q.Publish(second)
			reason, message, _ := strings.Cut(strings.ReplaceAll(tc.want, "SECOND", second), ": ")
			q.SettleUntil("b", "it says why", Is(tc.condition, "False "+reason))
			q.Wait(time.Hour) // it stays so
			b := q.Pass("b")
			q.Expect(tc.reason, b, map[string]string{tc.condition: "False " + reason, "Ready": "False " + reason})
			if got := Message(b, tc.condition); got != message {
				t.Errorf("it says\n%s\nand should say\n%s", got, message)
			}
			q.expectVolumes(tc.reason, bound)
			if diff := cmp.Diff([]string{"2", "3"}, q.named()); diff != "" || q.environment().Updates != updates {
				t.Errorf("%s: half applied in %d updates: versions (-want +got):\n%s", tc.reason, q.environment().Updates-updates, diff)
			}
			if b.Status.AppliedSnapshotID != first || b.Status.LastKnownGoodSnapshotID != first || b.Status.RejectedSnapshotID != "" {
				t.Errorf("%s: %s is applied, %s good and %s rejected, want %s", tc.reason, b.Status.AppliedSnapshotID,
					b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, first)
			}
			tc.mends(q)
			q.Expect("mended", q.Settle("b"), map[string]string{"Ready": "True Ready"})
			for _, volume := range q.volumes() {
				if !strings.HasSuffix(volume, second) {
					t.Errorf("mended, an instance boots with %s", volume)
				}
			}
			if diff := cmp.Diff(map[string]int64{"workers": 3, "gpus": 4}, q.latest()); diff != "" || q.environment().Updates != updates+1 {
				t.Errorf("mended by %d updates: versions (-want +got):\n%s", q.environment().Updates-updates, diff)
			}
		})
	}
}
