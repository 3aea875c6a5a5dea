package targets

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/larder-dev/larder/api/v1alpha1"
)

// TestLaunchTemplateRefusedRenewal has a group that boots a proven snapshot meet what keeps it from the next one: the
// condition says so word for word, nothing is written, and the second comes once a person has mended it.
func TestLaunchTemplateRefusedRenewal(t *testing.T) {
	cases := map[string]struct {
		reason  string
		breaks  func(*hosts)
		sizeGiB int64
		// condition is the one that says want; SECOND in it is the snapshot.
		condition, want string
		mends           func(*hosts)
	}{
		"a template that is full": {
			reason: "Larder deletes no version of others to make room", breaks: func(*hosts) {}, sizeGiB: 40, condition: "Applied",
			want: "LaunchTemplateVersionLimit: launch template lt-00000000000000001 has as many versions as AWS allows, by default 10000: " +
				"delete versions of it that nothing launches with; Larder deletes only those that it made",
			mends: func(h *hosts) { h.deleteVersion("2") },
		},
		"a group of another template": {
			reason: "instances of a template that the binding does not name are not its to change",
			breaks: func(h *hosts) {
				id := h.id
				h.other("others")
				h.setVersion("web", "1")
				h.id = id
			}, sizeGiB: 40, condition: "PreflightPassed",
			want: "OtherLaunchTemplate: Auto Scaling group web launches by launch template lt-00000000000000002 and not by " +
				"lt-00000000000000001: have it launch by that, or take it from target.launchTemplate.autoScalingGroups",
			mends: func(h *hosts) {
				h.setVersion("web", "3")
				h.deleteVersion("2")
			},
		},
		"a version that is deleted": {
			reason: "nobody knows what else its instances launched with", breaks: func(h *hosts) { h.deleteVersion("3") }, sizeGiB: 40,
			condition: "PreflightPassed",
			want: "LaunchTemplateVersionNotFound: version 3 of launch template lt-00000000000000001 does not exist any more, and nothing can " +
				"be launched with it: have the target launch with a version that exists",
			mends: func(h *hosts) { h.setVersion("web", "1") },
		},
		"a snapshot that is larger than asked": {
			reason: "EC2 makes no volume smaller than its snapshot", breaks: func(h *hosts) { h.deleteVersion("2") }, sizeGiB: 90,
			condition: "PreflightPassed",
			want: "VolumeSizeTooSmall: device.volumeSize 80Gi is below the 90 GiB of snapshot SECOND, and EC2 makes no volume smaller than its " +
				"snapshot: raise it to 90Gi or more, or leave it out",
			mends: func(h *hosts) {
				h.Edit("b", func(b *v1alpha1.NodeClassBinding) { b.Spec.Target.LaunchTemplate.Device.VolumeSize = nil })
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			options := scalingOptions()
			options.AWS.TemplateVersions = 3 // the owner's, another one that nothing launches with, and Larder's first
			h := newHosts(New(t, options))
			h.group("web", "1", 1)
			h.publish("ami-0123456789abcdef0")
			first := h.Renew(v1alpha1.FormatBottlerocket)
			size := resource.MustParse("80Gi")
			target := h.target(refreshed("web"))
			target.LaunchTemplate.Device.VolumeSize = &size
			h.Bind("b", target)
			h.Settle("b")
			h.expectBoots("bound", "web", first, first)
			tc.breaks(h)
			second := h.Snapshot(v1alpha1.FormatBottlerocket, tc.sizeGiB)
			h.Publish(second)
			reason, message, _ := strings.Cut(strings.ReplaceAll(tc.want, "SECOND", second), ": ")
			before, latest := len(h.refreshes("web")), h.LatestNumber()
			h.SettleUntil("b", "it says why", Is(tc.condition, "False "+reason))
			h.Wait(time.Hour) // it stays so
			b := h.Pass("b")
			h.Expect(tc.reason, b, map[string]string{tc.condition: "False " + reason, "Ready": "False " + reason})
			if got := Message(b, tc.condition); got != message {
				t.Errorf("it says\n%s\nand should say\n%s", got, message)
			}
			if len(h.refreshes("web")) != before || h.LatestNumber() != latest {
				t.Errorf("%s: half applied: refreshes %v, and version %d", tc.reason, h.refreshes("web"), h.LatestNumber())
			}
			if b.Status.AppliedSnapshotID != first || b.Status.LastKnownGoodSnapshotID != first || b.Status.RejectedSnapshotID != "" {
				t.Errorf("%s: %s is applied, %s good and %s rejected, want %s", tc.reason, b.Status.AppliedSnapshotID,
					b.Status.LastKnownGoodSnapshotID, b.Status.RejectedSnapshotID, first)
			}
			tc.mends(h)
			h.Expect("mended", h.Settle("b"), map[string]string{"Ready": "True Ready", "RolledOut": "True NodesCurrent"})
			h.expectBoots("mended", "web", second, second)
			if got := h.LatestNumber(); got != 4 {
				t.Errorf("version %d is the latest: two of the owner's, and one for each snapshot", got)
			}
		})
	}
}

// deleteVersion deletes a version of the template, as its owner does.
func (h *hosts) deleteVersion(version string) {
	h.Helper()
	_, err := h.ec2.DeleteLaunchTemplateVersions(h.Context(), &ec2.DeleteLaunchTemplateVersionsInput{LaunchTemplateId: aws.String(h.id), Versions: []string{version}})
	h.Must(err)
}
